"""Whether who calls one version can call another as well; and sample inputs for either."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from turnout.quantities import JsonValue
from turnout.registry.domain.signature import DType, Signature, TensorSpec

_INTEGERS: Final = (DType.INT8, DType.INT16, DType.INT32, DType.INT64)
_NATURALS: Final = (DType.UINT8, DType.UINT16, DType.UINT32, DType.UINT64)
_REALS: Final = (DType.FLOAT16, DType.FLOAT32, DType.FLOAT64)
_EXACT_IN: Final[Mapping[DType, tuple[DType, ...]]] = {
    # each with the types that hold all of its values
    DType.INT8: (*_INTEGERS, *_REALS),
    DType.INT16: (*_INTEGERS[1:], *_REALS[1:]),
    DType.INT32: (*_INTEGERS[2:], DType.FLOAT64),
    DType.INT64: (DType.INT64,),
    DType.UINT8: (*_NATURALS, *_INTEGERS[1:], *_REALS),
    DType.UINT16: (*_NATURALS[1:], *_INTEGERS[2:], *_REALS[1:]),
    DType.UINT32: (*_NATURALS[2:], DType.INT64, DType.FLOAT64),
    DType.UINT64: (DType.UINT64,),
    DType.FLOAT16: _REALS,
    DType.FLOAT32: _REALS[1:],
}


def incompatibilities(version: Signature, production: Signature) -> Iterator[str]:
    """Say, field by field, what production's callers do that would not work with the version.

    What they send must still be accepted, and nothing more be asked for; what they read must
    still be there. More outputs, wider inputs and narrower outputs do no harm.
    """
    sent = {spec.name: spec for spec in production.inputs}
    for spec in version.inputs:
        if spec.name not in sent:
            yield f"input {spec.name} ({spec}) is new, and present callers do not send it"
    taken = {spec.name: spec for spec in version.inputs}
    for spec in production.inputs:
        if (mine := taken.get(spec.name)) is None:
            yield f"input {spec.name} is gone, and present callers send it"
        else:
            yield from _input_trouble(spec, mine)
    given = {spec.name: spec for spec in version.outputs}
    for spec in production.outputs:
        if (mine := given.get(spec.name)) is None:
            yield f"output {spec.name} is gone, and present callers may read it"
        else:
            yield from _output_trouble(spec, mine)


def _input_trouble(sent: TensorSpec, taken: TensorSpec) -> Iterator[str]:
    if not _holds(taken.dtype, sent.dtype):
        yield f"input {sent.name} takes {taken.dtype}, and present callers send {sent.dtype}"
    if sent.shape and taken.shape and not _covers(taken.shape, sent.shape):
        yield f"input {sent.name} takes {taken}, and present callers send {sent}"


def _output_trouble(read: TensorSpec, given: TensorSpec) -> Iterator[str]:
    if not _holds(read.dtype, given.dtype):
        yield f"output {read.name} is {given.dtype}, and present callers read {read.dtype}"
    if read.shape and given.shape and not _covers(read.shape, given.shape):
        yield f"output {read.name} is {given}, and present callers read {read}"


def _holds(wide: DType, narrow: DType) -> bool:
    return wide is narrow or wide in _EXACT_IN.get(narrow, ())


def _covers(wide: Sequence[int | None], narrow: Sequence[int | None]) -> bool:
    """Whether every shape of the one kind is one of the other. An open size covers any."""
    return len(wide) == len(narrow) and all(
        mine is None or mine == theirs for mine, theirs in zip(wide, narrow, strict=True)
    )


LARGEST_SAMPLE: Final = 10_000_000
"""Numbers in all the inputs that are made up; a signature may claim any size."""


def sample(signature: Signature) -> Mapping[str, JsonValue] | None:
    """Make up one row of inputs; None for what nobody can make up, or that would be too large."""
    if any(spec.dtype is DType.MAP for spec in signature.inputs):
        return None
    if sum(_size(spec) for spec in signature.inputs) > LARGEST_SAMPLE:
        return None
    return {spec.name: _filled(spec.dtype, _sizes(spec)) for spec in signature.inputs}


def _sizes(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(size or 1 for size in spec.shape)


def _size(spec: TensorSpec) -> int:
    total = 1
    for size in _sizes(spec):
        total *= size
    return total


def _filled(dtype: DType, shape: Sequence[int], place: int = 0) -> JsonValue:
    """0 and 1 in turns for whole numbers, which also an index of few classes may be."""
    if shape:
        size, *inner = shape
        return [_filled(dtype, inner, place + index) for index in range(size)]
    match dtype:
        case DType.STRING:
            return "sample"
        case DType.BOOL:
            return place % 2 == 0
        case _ if dtype in _REALS:
            return (place % 7) / 7
        case _:
            return place % 2
