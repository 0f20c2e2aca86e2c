"""The protocol's tensors, and the values and arrays of the gateway."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from math import prod
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct, field

from turnout.errors import Unprocessable
from turnout.gateway.runtimes.answers import Answer
from turnout.gateway.runtimes.oip import Tensor, Tensors
from turnout.gateway.runtimes.tensors import array_of
from turnout.registry.domain.signature import DType, TensorSpec

DATATYPES: Final[Mapping[DType, str]] = {
    **{dtype: dtype.upper().replace("FLOAT", "FP") for dtype in DType if dtype is not DType.MAP},
    DType.STRING: "BYTES",
}
TEXT: Final = "BYTES"
MOST_EMPTY_ROWS: Final = 10_000


class TensorMalformed(Unprocessable):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"input {name!r}: {reason}", field="inputs", input=name)


class OutputUnknown(Unprocessable):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(
            f"there is no output {name!r}: there is {', '.join(known)}", outputs=list(known)
        )


class Input(Struct, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    shape: Annotated[list[Annotated[int, Meta(ge=0, le=2**31)]], Meta(max_length=32)]
    datatype: str
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, Any] = field(default_factory=dict)


def values(inputs: Sequence[Input]) -> Tensors:
    """Name each tensor's values, nested as its shape says; its data may come so, or flat."""
    found = {}
    for tensor in inputs:
        if tensor.name in found:
            raise TensorMalformed(tensor.name, "it is there twice")
        if tensor.datatype not in DATATYPES.values():
            known = ", ".join(DATATYPES.values())
            raise TensorMalformed(tensor.name, f"its datatype is one of {known}")
        found[tensor.name] = _nested(tensor)
    sent = [
        Tensor(name=one.name, shape=one.shape, datatype=one.datatype, data=_data(one))
        for one in inputs
    ]
    return Tensors(found, sent)


def outputs(answer: Answer, wanted: Sequence[str]) -> list[Tensor]:
    """What a version answered: its own tensors, or the prediction and the confidence."""
    found = {one.name: one for one in _outputs(answer)}
    for name in wanted:
        if name not in found:
            raise OutputUnknown(name, [*found])
    return [found[name] for name in wanted] if wanted else [*found.values()]


def described(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    """The tensors of a signature; -1 is any size. What is no tensor is left out."""
    return [
        {
            "name": spec.name,
            "datatype": DATATYPES[spec.dtype],
            "shape": [-1 if size is None else size for size in spec.shape],
        }
        for spec in specs
        if spec.dtype in DATATYPES
    ]


def _nested(tensor: Input) -> Any:
    try:
        array = np.asarray(_data(tensor), dtype=object)
    except ValueError:
        raise _uneven(tensor) from None
    if any(isinstance(one, list) for one in array.ravel()):
        raise _uneven(tensor)
    if array.size != prod(tensor.shape):
        raise TensorMalformed(
            tensor.name, f"its shape {tensor.shape} does not hold {array.size} values"
        )
    # A size of 0 holds nothing, but as many empty rows as the sizes before it say.
    if not array.size and prod(takewhile(bool, tensor.shape)) > MOST_EMPTY_ROWS:
        raise TensorMalformed(
            tensor.name, f"a tensor without values has at most {MOST_EMPTY_ROWS:,} empty rows"
        )
    try:
        nested: list[Any] = array.reshape(tensor.shape).tolist()
    except ValueError:
        raise TensorMalformed(tensor.name, f"its shape {tensor.shape} is too large") from None
    return nested


def _uneven(tensor: Input) -> TensorMalformed:
    return TensorMalformed(tensor.name, "its rows differ in length or depth")


def _data(tensor: Input) -> list[Any]:
    if isinstance(tensor.data, msgspec.UnsetType):
        raise TensorMalformed(tensor.name, "it has no data")
    return tensor.data


def _outputs(answer: Answer) -> Iterator[Tensor]:
    for name, value in answer.outputs.items():
        yield value if isinstance(value, Tensor) else _tensor(name, value)
    if not answer.outputs:
        yield _tensor("prediction", answer.prediction)
        if answer.confidence is not None:
            yield _tensor("confidence", answer.confidence)


def _tensor(name: str, value: Any) -> Tensor:
    """A tensor of numbers or of texts; whatever is neither is JSON in a text."""
    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        value = [list(row.values()) for row in value]  # ONNX's maps of classes to probabilities
    try:
        numbers = np.atleast_1d(array_of(value))
        texts = np.atleast_1d(np.asarray(value, dtype=object))
    except ValueError:  # rows of different lengths
        numbers = texts = np.empty(0, dtype=object)
    if numbers.dtype.kind in "biuf":
        return _written(name, DATATYPES[DType(numbers.dtype.name)], numbers)
    if not texts.size or not all(isinstance(text, str) for text in texts.ravel()):
        texts = np.asarray([msgspec.json.encode(value).decode()], dtype=object)
    return _written(name, TEXT, texts)


def _written(name: str, datatype: str, array: Any) -> Tensor:
    return Tensor(
        name=name, shape=list(array.shape), datatype=datatype, data=array.ravel().tolist()
    )
