"""Tensors as the protocol writes them, and what the gateway makes of them and answers."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.errors import Unprocessable
from turnout.gateway.runtimes import oip
from turnout.gateway.runtimes.answers import Answer
from turnout.gateway.runtimes.oip import Tensor
from turnout.interop.oip.binary import BinaryMalformed, filled, separated
from turnout.interop.oip.domain import ParameterMalformed, caller_of
from turnout.interop.oip.tensors import (
    Input,
    OutputUnknown,
    TensorMalformed,
    described,
    outputs,
    values,
)
from turnout.registry.domain.signature import DType, TensorSpec


def sent(shape: list[int], data: list[Any], *, datatype: str = "FP32", **more: Any) -> Input:
    return Input(name="X", shape=shape, datatype=datatype, data=data, **more)


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        pytest.param(sent([2, 2], [1, 2, 3, 4]), [[1, 2], [3, 4]], id="flat"),
        pytest.param(sent([2, 2], [[1, 2], [3, 4]]), [[1, 2], [3, 4]], id="nested"),
        pytest.param(sent([1], ["a"], datatype="BYTES"), ["a"], id="text"),
        pytest.param(sent([2], [True, False], datatype="BOOL"), [True, False], id="bool"),
        pytest.param(sent([0, 3], []), [], id="no rows"),
        pytest.param(sent([], [7], datatype="INT64"), 7, id="a scalar"),
        pytest.param(sent([1], [2**63], datatype="UINT64"), [2**63], id="beyond signed numbers"),
    ],
)
def test_values_are_nested_as_the_shape_says(tensor: Input, value: object) -> None:
    assert values([tensor]) == {"X": value}


@given(st.lists(st.integers(0, 4), max_size=3), st.data())
def test_flat_and_nested_data_are_the_same(shape: list[int], data: st.DataObject) -> None:
    size = int(np.prod(shape))
    flat = data.draw(st.lists(st.floats(-10, 10), min_size=size, max_size=size))
    nested = np.asarray(flat).reshape(shape).tolist()

    assert values([sent(shape, flat)])["X"] == nested


@pytest.mark.parametrize(
    ("tensor", "why"),
    [
        pytest.param(sent([2, 2], [1, 2, 3]), "does not hold 3 values", id="too few"),
        pytest.param(sent([2], [[1], [2, 3]]), "rows differ", id="rows of two lengths"),
        pytest.param(sent([2], [1, [2]]), "rows differ", id="rows of two depths"),
        pytest.param(sent([1], [1], datatype="float"), "its datatype is one of", id="no type"),
        pytest.param(Input(name="X", shape=[1], datatype="FP32"), "it has no data", id="no data"),
        pytest.param(sent([2**31, 0], []), "empty rows", id="rows without end, of nothing"),
        pytest.param(sent([0] + [2**31] * 20, []), "is too large", id="a shape that is too large"),
    ],
)
def test_what_is_no_tensor_is_refused(tensor: Input, why: str) -> None:
    with pytest.raises(Unprocessable, match=why):
        values([tensor])


def test_a_name_stands_for_one_tensor() -> None:
    with pytest.raises(TensorMalformed, match="it is there twice"):
        values([sent([1], [1]), sent([1], [1])])


def test_a_server_without_a_signature_gets_tensors_as_they_came() -> None:
    body, lone = oip.request(values([sent([1, 2], [1, 2])]), None)

    assert not lone
    assert msgspec.json.decode(body) == {
        "inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]
    }


def announced(datatype: str, size: object, *, name: str = "X") -> Input:
    parameters = {"binary_data_size": size}
    return Input(name=name, shape=[2], datatype=datatype, parameters=parameters)


@pytest.mark.parametrize(
    ("datatype", "binary", "data"),
    [
        pytest.param("FP32", np.asarray([1.5, 2], "<f4").tobytes(), [1.5, 2.0], id="FP32"),
        pytest.param("INT64", np.asarray([-1, 2], "<i8").tobytes(), [-1, 2], id="INT64"),
        pytest.param("BOOL", b"\x01\x00", [True, False], id="BOOL"),
        pytest.param("BYTES", b"\x02\x00\x00\x00\xc3\xa4\x00\x00\x00\x00", ["ä", ""], id="BYTES"),
    ],
)
def test_binary_data_are_what_their_datatype_says(
    datatype: str, binary: bytes, data: list[Any]
) -> None:
    first, second = filled([announced(datatype, len(binary)), sent([1], [7])], binary)

    assert (first.data, second.data) == (data, [7])
    assert values([first]) == {"X": data}


@pytest.mark.parametrize(
    ("tensor", "binary", "why"),
    [
        pytest.param(announced("FP32", 9), b"12345678", "no 9 bytes", id="less than announced"),
        pytest.param(announced("FP32", 4), b"12345678", "4 bytes of binary data", id="more"),
        pytest.param(announced("FP32", "4"), b"1234", "no 4 bytes", id="no number"),
        pytest.param(announced("FP32", -1), b"", "no -1 bytes", id="negative"),
        pytest.param(announced("FP32", 6), b"123456", "no whole FP32", id="half a number"),
        pytest.param(announced("BYTES", 3), b"\x01\x00\x00", "cut off", id="half a length"),
        pytest.param(announced("BYTES", 5), b"\x09\x00\x00\x00a", "cut off", id="half a text"),
        pytest.param(announced("BYTES", 5), b"\x01\x00\x00\x00\xff", "not UTF-8", id="no text"),
        pytest.param(announced("BF16", 4), b"1234", "its datatype is one of", id="no datatype"),
    ],
)
def test_binary_data_that_do_not_fit_are_refused(tensor: Input, binary: bytes, why: str) -> None:
    with pytest.raises(Unprocessable, match=why):
        values(filled([tensor], binary))


@pytest.mark.parametrize("length", ["", "x", "-1", "7", "\u0663", "9" * 5_000])
def test_a_length_that_cannot_be_is_refused(length: str) -> None:
    assert separated(b"{}1234", "2") == (b"{}", b"1234")
    with pytest.raises(BinaryMalformed, match="a body of 6 bytes"):
        separated(b"{}1234", length)


def test_a_version_without_tensors_gets_a_value_that_is_alone() -> None:
    texts = [sent([1, 1], ["a"], datatype="BYTES"), sent([2], ["b", "c"], datatype="BYTES")]
    texts[1].name = "Y"

    assert oip.alone(values(texts)) == {"X": "a", "Y": ["b", "c"]}
    assert oip.alone({"X": ["a"]}) == {"X": ["a"]}


@pytest.mark.parametrize(
    ("answer", "tensors"),
    [
        pytest.param(
            Answer(prediction="fraud", confidence=0.9),
            [("prediction", [1], "BYTES", ["fraud"]), ("confidence", [1], "FP64", [0.9])],
            id="no tensors",
        ),
        pytest.param(
            Answer(prediction=[[1, 2], [3, 4]]),
            [("prediction", [2, 2], "INT64", [1, 2, 3, 4])],
            id="rows",
        ),
        pytest.param(
            Answer(prediction={"a": 1}), [("prediction", [1], "BYTES", ['{"a":1}'])], id="object"
        ),
        pytest.param(
            Answer(prediction=["a", 1]), [("prediction", [1], "BYTES", ['["a",1]'])], id="mixed"
        ),
        pytest.param(
            Answer(prediction=[[1], [2, 3]]),
            [("prediction", [1], "BYTES", ["[[1],[2,3]]"])],
            id="rows of two lengths",
        ),
        pytest.param(
            Answer(prediction=None), [("prediction", [1], "BYTES", ["null"])], id="nothing"
        ),
        pytest.param(
            Answer(
                prediction=1,
                outputs={
                    "Y": np.asarray([[1.5]], dtype=np.float32),
                    "maps": [{"no": 0.25, "yes": 0.75}],
                    "Z": Tensor(name="Z", shape=[1], datatype="INT8", data=[3]),
                },
            ),
            [
                ("Y", [1, 1], "FP32", [1.5]),
                ("maps", [1, 2], "FP64", [0.25, 0.75]),
                ("Z", [1], "INT8", [3]),
            ],
            id="its own tensors",
        ),
    ],
)
def test_an_answer_is_written_as_tensors(answer: Answer, tensors: list[Any]) -> None:
    found = [(one.name, one.shape, one.datatype, one.data) for one in outputs(answer, [])]

    assert found == tensors


def test_the_outputs_that_are_wanted_are_answered() -> None:
    answer = Answer(prediction=1, confidence=0.5)

    assert [one.name for one in outputs(answer, ["confidence"])] == ["confidence"]
    with pytest.raises(OutputUnknown, match="there is prediction, confidence"):
        outputs(answer, ["Y"])


def test_a_signature_is_described_in_the_protocols_words() -> None:
    specs = [
        TensorSpec(name="X", dtype=DType.FLOAT32, shape=(None, 4)),
        TensorSpec(name="text", dtype=DType.STRING, shape=()),
        TensorSpec(name="maps", dtype=DType.MAP, shape=()),
    ]

    assert described(specs) == [
        {"name": "X", "datatype": "FP32", "shape": [-1, 4]},
        {"name": "text", "datatype": "BYTES", "shape": []},
    ]


def test_parameters_tell_the_unit_and_what_is_known_of_it() -> None:
    given = {"unit": "user-42", "country": "DE", "cart": {}, "binary_data_output": True}

    assert caller_of(given) == ("user-42", {"country": "DE"})
    assert caller_of({}) == (None, {})


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"unit": 42}, id="a number"),
        pytest.param({"unit": ""}, id="empty"),
        pytest.param({"unit": "x" * 201}, id="a long unit"),
        pytest.param({"country": "D\x00"}, id="a control character"),
        pytest.param({f"p{n}": n for n in range(101)}, id="too many"),
    ],
)
def test_parameters_that_cannot_be_are_named(parameters: dict[str, Any]) -> None:
    with pytest.raises(ParameterMalformed, match="parameter '"):
        caller_of(parameters)
