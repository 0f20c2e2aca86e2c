"""Bodies of the hot path: what is taken, and what is said of the rest."""

import pytest

from turnout.gateway.schemas import Malformed, assign_requests, predict_requests, read


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b'{"unit": 5}', "body.unit: Expected", id="a number for a unit"),
        pytest.param(b'{"unit": ""}', "body.unit: Expected", id="an empty unit"),
        pytest.param(b'{"unit": "a\\u0000b"}', "body.unit: control", id="a control character"),
        pytest.param(b'{"unit": "%s"}' % (b"u" * 201), "body.unit: Expected", id="a long unit"),
        pytest.param(b'{"units": "a"}', "body.units: unknown field", id="an unknown field"),
        pytest.param(b'{"attributes": {"a": [1]}}', "body.attributes", id="a list"),
        pytest.param(b"[]", "body: Expected object", id="no object"),
        pytest.param(b"", "body: not valid JSON", id="nothing"),
        pytest.param(b"\xff", "body: not valid JSON", id="no text"),
        pytest.param(b'{"unit": "\xff"}', "body: not valid JSON", id="text that is not UTF-8"),
    ],
)
def test_a_body_that_is_not_one_is_named_by_its_field(body, said):
    with pytest.raises(Malformed) as caught:
        read(assign_requests, body)

    assert caught.value.detail.startswith(said)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b'{"inputs": [NaN]}', "not valid JSON", id="NaN"),
        pytest.param(b'{"inputs": [1e999]}', "out of range", id="infinity"),
        pytest.param(b'{"inputs": ' + b"[" * 100_000, "nested too deeply", id="too deep"),
        pytest.param(b'{"unit": "a"}', "items[7].inputs: missing", id="no inputs"),
    ],
)
def test_inputs_are_any_json(body, said):
    with pytest.raises(Malformed) as caught:
        read(predict_requests, body, at="items[7]")

    assert said in caught.value.detail


def test_a_body_says_who_and_what():
    body = b'{"unit": "u", "attributes": {"age": 3, "new": true}, "inputs": {"a": [null]}}'

    found = read(predict_requests, body)

    assert (found.unit, found.attributes, found.inputs) == (
        "u",
        {"age": 3, "new": True},
        {"a": [None]},
    )
