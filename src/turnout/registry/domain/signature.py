"""What goes into a model and what comes out: names, types and shapes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from annotated_types import MaxLen

from turnout.quantities import STRICT, Reading
from turnout.registry.domain.fields import Label


class DType(StrEnum):
    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT16 = "float16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"
    MAP = "map"
    """Not a tensor: the list of {class: probability} that many ONNX classifiers answer with."""


_OTHER_NAMES: Final[Mapping[str, DType]] = {
    # the Open Inference Protocol's
    **{f"FP{bits}": DType(f"float{bits}") for bits in (16, 32, 64)},
    **{
        f"{i}INT{bits}": DType(f"{i}int{bits}".lower())
        for i in ("", "U")
        for bits in (8, 16, 32, 64)
    },
    "BOOL": DType.BOOL,
    "BYTES": DType.STRING,
    # and ONNX's
    "float": DType.FLOAT32,
    "double": DType.FLOAT64,
}


def read_dtype(name: object) -> object:
    return _OTHER_NAMES.get(name, name) if isinstance(name, str) else name


def read_dimension(size: object) -> object:
    return None if size == -1 else size


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output. A dimension of `null` (or -1) may have any size."""

    __pydantic_config__ = STRICT

    name: Label
    dtype: Annotated[
        DType,
        Reading(read=read_dtype, describe={"type": "string", "enum": list(DType)}),
    ]
    shape: Annotated[
        tuple[
            Annotated[
                int | None,
                Reading(read=read_dimension, describe={"type": ["integer", "null"]}),
            ],
            ...,
        ],
        MaxLen(16),
    ]

    def __post_init__(self) -> None:
        if any(size is not None and size < 1 for size in self.shape):
            raise ValueError("a dimension is a positive number, or null for any size")

    def fits(self, other: "TensorSpec") -> bool:
        """Tell whether some tensor could be described by both.

        An empty shape says nothing: ONNX has it for a scalar and for a rank that is not known.
        """
        if self.dtype is not other.dtype:
            return False
        if not self.shape or not other.shape:
            return True
        return len(self.shape) == len(other.shape) and all(
            mine is None or theirs is None or mine == theirs
            for mine, theirs in zip(self.shape, other.shape, strict=True)
        )

    def __str__(self) -> str:
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{self.dtype}[{sizes}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    __pydantic_config__ = STRICT

    inputs: Annotated[tuple[TensorSpec, ...], MaxLen(1000)]
    outputs: Annotated[tuple[TensorSpec, ...], MaxLen(1000)] = ()

    def __post_init__(self) -> None:
        if not self.inputs:
            raise ValueError("a signature names at least one input")
        for kind, specs in (("input", self.inputs), ("output", self.outputs)):
            if len({spec.name for spec in specs}) < len(specs):
                raise ValueError(f"every {kind} has a name of its own")

    def differences(self, actual: "Signature") -> Iterator[str]:
        """Say where this declared signature does not describe the `actual` one of a file.

        Every input has to be declared, because it has to be fed; outputs may be left out.
        """
        declared = {spec.name for spec in self.inputs}
        for spec in actual.inputs:
            if spec.name not in declared:
                yield f"input {spec.name} of the file is not declared"
        yield from _differences("input", self.inputs, actual.inputs)
        yield from _differences("output", self.outputs, actual.outputs)


def _differences(
    kind: str, declared: tuple[TensorSpec, ...], actual: tuple[TensorSpec, ...]
) -> Iterator[str]:
    in_file = {spec.name: spec for spec in actual}
    for spec in declared:
        found = in_file.get(spec.name)
        if found is None:
            yield f"the file has no {kind} {spec.name}"
        elif not spec.fits(found):
            yield f"{kind} {spec.name} is {found} in the file, not {spec}"
