"""Laws of reading JSON values as arrays; the cases stand beside the models that take them."""

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.gateway.runtimes import oip
from turnout.gateway.runtimes.answers import Answer, InputMismatch, RuntimeFailure
from turnout.gateway.runtimes.tensors import TEXT, Port, feeds
from turnout.quantities import JsonValue

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


@pytest.mark.parametrize("dtype", ["float32", "bool", TEXT])
def test_one_long_text_among_many_does_not_fill_the_memory(dtype):
    texts: list[JsonValue] = [
        "x" * 1_000_000,
        *[""] * 100_000,
        1,
    ]  # 400 GB as an array of NumPy's texts

    with pytest.raises(InputMismatch) as refused:
        Port(name="X", dtype=dtype, shape=(None,)).read(texts)
    assert len(refused.value.detail) < 200
    with pytest.raises(InputMismatch):
        oip.request({"X": texts}, None)


@pytest.mark.parametrize("leaf", ["1", '"a"', "[]"])
def test_what_is_nested_as_deep_as_json_may_be_does_not_fit(leaf):
    nested = json.loads("[" * 900 + leaf + "]" * 900)

    with pytest.raises(InputMismatch):
        feeds(PORTS, nested)
    with pytest.raises(InputMismatch):
        oip.request({"X": nested}, None)


leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
)
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)
DECLARED = [
    {"X": Port(name="X", dtype=dtype, shape=shape)}
    for dtype in ("float32", "float64", "int8", "uint64", "bool", "float16", TEXT)
    for shape in ((), (2,), (None, 2), ("N", "M", 3))
]


@given(st.sampled_from(DECLARED), documents)
def test_any_json_is_read_or_refused(ports, document):
    with suppress(InputMismatch):
        arrays, _ = feeds(ports, document)
        assert arrays.keys() == ports.keys()


@given(st.none() | st.sampled_from(DECLARED), documents)
def test_any_json_becomes_an_inference_request_or_is_refused(ports, document):
    with suppress(InputMismatch):
        body, _ = oip.request(document, ports)
        assert json.loads(body)["inputs"] is not None


tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["label", "probabilities"]),
        "datatype": st.text(max_size=3),
        "shape": st.lists(st.integers(-1, 3), max_size=3),
        "data": st.lists(documents, max_size=4),
    }
)


@given(st.lists(tensors, max_size=3), st.booleans())
def test_any_inference_response_is_an_answer_or_a_failure(outputs, lone):
    with suppress(RuntimeFailure):
        assert isinstance(oip.answer(json.dumps({"outputs": outputs}).encode(), lone=lone), Answer)
