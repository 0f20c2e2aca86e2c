"""Laws of reading JSON values as arrays; the cases stand beside the models that take them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from turnout.gateway.runtimes.tensors import Port, feeds

WIDTH = 3
PORTS = {"X": Port(name="X", dtype="float32", shape=("N", WIDTH))}

numbers = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000)
rows = st.lists(numbers, min_size=WIDTH, max_size=WIDTH)


@given(st.lists(rows, min_size=1, max_size=5))
def test_a_batch_is_read_like_its_rows(batch):
    together, lone = feeds(PORTS, batch)
    apart = [feeds(PORTS, row) for row in batch]

    assert not lone
    assert all(alone for _, alone in apart)
    assert np.array_equal(together["X"], np.concatenate([arrays["X"] for arrays, _ in apart]))


@given(rows)
def test_naming_the_only_input_changes_nothing(row):
    bare, named = feeds(PORTS, row)[0], feeds(PORTS, {"X": row})[0]

    assert np.array_equal(bare["X"], named["X"])


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_whole_numbers_lose_no_digit(values):
    ports = {"X": Port(name="X", dtype="int64", shape=(None,))}

    assert feeds(ports, values)[0]["X"].tolist() == values
