from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gates.cases import FIRST, facts, signature, spec, version
from turnout.gates.domain.judge import quick
from turnout.gates.domain.policy import MetadataGate, SignatureGate
from turnout.gates.domain.report import Result
from turnout.gates.domain.signatures import incompatibilities, sample
from turnout.registry.domain.signature import DType, Signature, TensorSpec

X = spec("x")
Y = spec("y", "float32", (None,))


@pytest.mark.parametrize(
    ("now", "before", "trouble"),
    [
        pytest.param(signature(X), signature(X), None, id="the same"),
        pytest.param(
            signature(X, spec("z")),
            signature(X),
            "input z (float32[any, 3]) is new",
            id="asks more",
        ),
        pytest.param(signature(spec("z")), signature(spec("z"), X), "input x is gone", id="gone"),
        pytest.param(signature(spec("x", "float64")), signature(X), None, id="takes a wider type"),
        pytest.param(
            signature(spec("x", "int64")), signature(X), "takes int64", id="takes another type"
        ),
        pytest.param(
            signature(spec("x", "float64")),
            signature(spec("x", "int32")),
            None,
            id="whole numbers fit real ones",
        ),
        pytest.param(
            signature(spec("x", "float64")),
            signature(spec("x", "int64")),
            "takes float64",
            id="not all whole numbers fit",
        ),
        pytest.param(
            signature(spec("x", shape=(None, 4))), signature(X), "[any, 4]", id="more columns"
        ),
        pytest.param(
            signature(spec("x", shape=(1, 3))), signature(X), "[1, 3]", id="no batches any more"
        ),
        pytest.param(
            signature(spec("x", shape=(None, None))), signature(X), None, id="takes any columns"
        ),
        pytest.param(
            signature(spec("x", shape=(None, 3, 1))), signature(X), "[any, 3, 1]", id="deeper"
        ),
        pytest.param(
            signature(spec("x", shape=())), signature(X), None, id="says nothing of its shape"
        ),
        pytest.param(
            signature(X), signature(X, outputs=(Y,)), "output y is gone", id="an output is gone"
        ),
        pytest.param(signature(X, outputs=(Y,)), signature(X), None, id="one output more"),
        pytest.param(
            signature(X, outputs=(spec("y", "float64", (None,)),)),
            signature(X, outputs=(Y,)),
            "output y is float64",
            id="an output that readers cannot hold",
        ),
        pytest.param(
            signature(X, outputs=(spec("y", "float16", (None,)),)),
            signature(X, outputs=(Y,)),
            None,
            id="a narrower output",
        ),
        pytest.param(
            signature(X, outputs=(spec("y", shape=(None, 2)),)),
            signature(X, outputs=(Y,)),
            "output y is float32[any, 2]",
            id="an output of another shape",
        ),
    ],
)
def test_who_calls_production_can_call_the_version(
    now: Signature, before: Signature, trouble: str | None
) -> None:
    found = list(incompatibilities(now, before))

    assert (found == []) if trouble is None else (trouble in "; ".join(found))


@pytest.mark.parametrize(
    ("now", "production", "results"),
    [
        pytest.param(None, None, [Result.FAIL, Result.SKIPPED], id="none, and nothing to compare"),
        pytest.param(signature(X), None, [Result.PASS, Result.SKIPPED], id="no production"),
        pytest.param(signature(X), FIRST, [Result.PASS, Result.SKIPPED], id="production has none"),
        pytest.param(
            None,
            replace(FIRST, signature=signature(X)),
            [Result.FAIL, Result.FAIL],
            id="none where production has one",
        ),
        pytest.param(
            signature(X),
            replace(FIRST, signature=signature(X)),
            [Result.PASS, Result.PASS],
            id="compatible",
        ),
    ],
)
def test_a_signature_is_there_and_compatible(
    now: Signature | None, production: Any, results: list[Result]
) -> None:
    checks = quick(SignatureGate(), facts(version(signature=now), production))

    assert [check.result for check in checks] == results


SPECS = st.builds(
    TensorSpec,
    name=st.sampled_from("xyz"),
    dtype=st.sampled_from([dtype for dtype in DType if dtype is not DType.MAP]),
    shape=st.lists(st.none() | st.integers(1, 4), max_size=3).map(tuple),
)
SIGNATURES = st.builds(
    Signature,
    inputs=st.lists(SPECS, min_size=1, max_size=3, unique_by=lambda found: found.name).map(tuple),
)


@given(SIGNATURES)
def test_a_signature_is_compatible_with_itself(found: Signature) -> None:
    assert list(incompatibilities(found, found)) == []


@given(SIGNATURES)
def test_samples_have_the_declared_shapes(found: Signature) -> None:
    inputs = sample(found)

    assert inputs is not None
    for one in found.inputs:
        value: Any = inputs[one.name]
        for size in one.shape:
            assert len(value) == (size or 1)
            value = value[0]


def test_what_cannot_be_made_up_is_not() -> None:
    assert sample(signature(spec("x", "map", ()))) is None
    assert sample(signature(spec("x", shape=(100_000, 100_000)))) is None


@pytest.mark.parametrize(
    ("fields", "said", "missing"),
    [
        pytest.param(("owner",), {"owner": "ml"}, None, id="there"),
        pytest.param(("owner", "run_id"), {"owner": "ml"}, "missing: run_id", id="one is not"),
        pytest.param(("description",), {"description": "  "}, "description", id="blank"),
        pytest.param(("metadata.ticket",), {"metadata": {"ticket": "A-1"}}, None, id="free"),
        pytest.param(("metadata.ticket",), {"metadata": {}}, "metadata.ticket", id="free, missing"),
        pytest.param(("metadata.n",), {"metadata": {"n": 0}}, None, id="zero is something"),
        pytest.param(("tags", "signature"), {}, "missing: tags, signature", id="empty"),
    ],
)
def test_required_metadata(
    fields: tuple[str, ...], said: dict[str, Any], missing: str | None
) -> None:
    (check,) = quick(MetadataGate(fields=fields), facts(version(**said)))

    assert check.result is (Result.FAIL if missing else Result.PASS)
    assert missing is None or missing in check.reason
