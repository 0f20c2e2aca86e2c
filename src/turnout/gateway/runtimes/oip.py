"""The Open Inference Protocol v2: inputs as named tensors, and the tensors that come back.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, Final

import msgspec
import numpy as np

from turnout.gateway.runtimes.answers import (
    UNREADABLE,
    Answer,
    Failure,
    InputMismatch,
    RuntimeFailure,
)
from turnout.gateway.runtimes.tensors import TEXT, Array, Port, answer_of, array_of, feeds
from turnout.quantities import JsonValue
from turnout.registry.domain.signature import DType, Signature

_DATATYPES: Final = {
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    TEXT: "BYTES",
}
_BY_KIND: Final = {"b": "BOOL", "i": "INT64", "u": "UINT64", "f": "FP64", "O": "BYTES"}
_TENSOR: Final = {"name", "shape", "datatype", "data"}


class Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Reply(msgspec.Struct):
    outputs: list[Tensor]


class Tensors(dict[str, JsonValue]):
    """Named values that came as v2 tensors: a server that speaks v2, and whose types are not known
    here, gets them as they were `sent`."""

    def __init__(self, values: Mapping[str, JsonValue], sent: Sequence[Tensor]) -> None:
        super().__init__(values)
        self.sent = sent


def alone(inputs: JsonValue) -> JsonValue:
    """For versions that take values and no tensors: a tensor of one value is that value."""
    if not isinstance(inputs, Tensors):
        return inputs
    return {name: _only(value) for name, value in inputs.items()}


def _only(value: JsonValue) -> JsonValue:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


_replies: Final = msgspec.json.Decoder(Reply)


def ports_of(signature: Signature) -> dict[str, Port]:
    return {
        spec.name: Port(
            name=spec.name,
            dtype=TEXT if spec.dtype is DType.STRING else spec.dtype.value,
            shape=spec.shape,
        )
        for spec in signature.inputs
    }


def request(inputs: JsonValue, ports: Mapping[str, Port] | None) -> tuple[bytes, bool]:
    """Write the body of an inference request; tell whether a batch dimension had to be added.

    Inputs that are v2 tensors already go as they are. With a signature the tensors get its names
    and types; without one they are named as the caller names them, whole numbers are INT64 and
    others FP64.
    """
    if isinstance(inputs, Tensors) and ports is None:
        return msgspec.json.encode({"inputs": inputs.sent}), False
    if _are_tensors(inputs):
        return msgspec.json.encode({"inputs": inputs}), False
    if ports is not None:
        arrays, lone = feeds(ports, inputs)
        tensors = [
            _tensor(name, array, _DATATYPES.get(ports[name].dtype, ports[name].dtype.upper()))
            for name, array in arrays.items()
        ]
    else:
        named = inputs if isinstance(inputs, Mapping) else {"input-0": inputs}
        lone = False
        tensors = []
        for name, value in named.items():
            array, added = _undeclared(name, value)
            tensors.append(_tensor(name, array, _BY_KIND[array.dtype.kind]))
            lone = lone or added
    return msgspec.json.encode({"inputs": tensors}), lone


def answer(body: bytes, *, lone: bool) -> Answer:
    """Read the reply: the output that speaks of probability is the confidence, the first other
    one the prediction."""
    try:
        outputs = _replies.decode(body).outputs
    except UNREADABLE as error:
        raise RuntimeFailure(Failure.GARBAGE, f"not an inference response: {error}") from None
    scores = next((output for output in outputs if _is_scores(output.name)), None)
    prediction = next((output for output in outputs if output is not scores), scores)
    if prediction is None:
        raise RuntimeFailure(Failure.GARBAGE, "an inference response without outputs")
    read = answer_of(_array(prediction), scores and _array(scores), lone=lone)
    return replace(read, outputs={output.name: output for output in outputs})


def _are_tensors(inputs: JsonValue) -> bool:
    return (
        isinstance(inputs, Sequence)
        and not isinstance(inputs, str)
        and bool(inputs)
        and all(isinstance(part, Mapping) and part.keys() >= _TENSOR for part in inputs)
    )


def _undeclared(name: str, value: JsonValue) -> tuple[Array, bool]:
    try:
        array = array_of(value)
    except ValueError:
        raise _unfit(name, "its rows differ in length or depth") from None
    objects = array.ravel().tolist() if array.dtype.kind == "O" else ()
    if any(isinstance(part, list) for part in objects):
        raise _unfit(name, "its rows differ in length or depth")
    mixed = any(not isinstance(part, str) for part in objects)
    if mixed or array.dtype.kind not in _BY_KIND:
        raise _unfit(name, "it is not a number, text, true or false, or rows of one of these")
    if array.ndim > 1:
        return array, False
    return array.reshape((1, -1)), True


def _unfit(name: str, why: str) -> InputMismatch:
    return InputMismatch(f"input {name!r} is no tensor: {why}", field=f"body.inputs.{name}")


def _tensor(name: str, array: Array, datatype: str) -> Tensor:
    return Tensor(
        name=name, shape=list(array.shape), datatype=datatype, data=array.ravel().tolist()
    )


def _is_scores(name: str) -> bool:
    return any(word in name.lower() for word in ("prob", "confidence"))


def _array(tensor: Tensor) -> Array:
    data = np.asarray(list(_leaves(tensor.data)), dtype=object)
    if prod(tensor.shape) != data.size or min(tensor.shape, default=0) < 0:
        raise RuntimeFailure(
            Failure.GARBAGE,
            f"output {tensor.name!r} has shape {tensor.shape} but {data.size} values",
        )
    return data.reshape(tensor.shape)


def _leaves(data: Any) -> Iterable[Any]:
    if isinstance(data, list):
        for part in data:
            yield from _leaves(part)
    else:
        yield data
