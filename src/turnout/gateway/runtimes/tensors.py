"""JSON values as the arrays a model declares: conversion without guessing, refusals in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from turnout.gateway.runtimes.answers import (
    Answer,
    Failure,
    InputMismatch,
    RuntimeFailure,
    confidence_of,
    label_of,
)
from turnout.quantities import JsonValue

Array: TypeAlias = NDArray[Any]

TEXT: Final = "text"
LONGEST_WRITTEN: Final = 80
LARGEST_EXACT: Final = 2**53
"""Beyond it, double precision skips whole numbers."""

_DTYPES: Final = {"float": "float32", "double": "float64", "string": TEXT}
_PLAIN: Final = {"bool", "float16"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One declared input: a dimension is a size, a name that ties sizes together, or open."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.dtype}[{sizes}]"

    def read(self, value: JsonValue) -> tuple[Array, bool]:
        """Make the array; tell whether its batch dimension had to be added."""
        array = self._typed(self._rectangular(value))
        if not self.shape or self._fits(array.shape):
            return array, False
        lone = array.reshape((1, *array.shape)) if array.ndim else array.reshape((1,) * self._rank)
        if self._fits(lone.shape):
            return lone, True
        column = array.reshape((-1, 1))
        if array.ndim == 1 and self._fits(column.shape):
            return column, False
        raise self._mismatch(f"its shape is {list(array.shape)}", array)

    @property
    def batched(self) -> bool:
        return bool(self.shape) and not isinstance(self.shape[0], int)

    @property
    def _rank(self) -> int:
        return len(self.shape)

    def _fits(self, shape: Sequence[int]) -> bool:
        return len(shape) == self._rank and all(
            not isinstance(declared, int) or declared == size
            for declared, size in zip(self.shape, shape, strict=True)
        )

    def _rectangular(self, value: JsonValue) -> Array:
        try:
            return np.asarray(value, dtype=object) if self.dtype == TEXT else array_of(value)
        except ValueError:
            raise self._mismatch("its rows differ in length or depth", None) from None

    def _typed(self, array: Array) -> Array:
        """Convert where nothing is lost: 3 as 3.0, 3.0 as 3, null as a missing real number."""
        if self.dtype == TEXT:
            return self._all(array, (str,), "text")
        if self.dtype == "bool":
            return self._all(array, (bool,), "true or false") if array.dtype != bool else array
        target = np.dtype(self.dtype)
        if array.dtype.kind == "O":
            array = self._numbers(array, missing=target.kind == "f")
        if array.dtype.kind not in "iuf":
            raise self._mismatch(f"it holds {_kind(array)}, not numbers", array)
        if target.kind == "f":
            return self._real(array, target)
        return self._whole(array, target)

    def _all(self, array: Array, kinds: tuple[type, ...], wanted: str) -> Array:
        for element in array.ravel().tolist():
            if not isinstance(element, kinds):
                raise self._mismatch(f"{_written(element)} is not {wanted}", array)
        return array

    def _numbers(self, array: Array, *, missing: bool) -> Array:
        for element in array.ravel().tolist():
            if element is None and missing:
                continue
            if isinstance(element, str):
                raise self._mismatch("it holds text, not numbers", array)
            if isinstance(element, bool) or not isinstance(element, int | float):
                raise self._mismatch(f"{_written(element)} is not a number", array)
        try:
            return array.astype(np.float64)
        except OverflowError:
            raise self._mismatch("a number is too large", array) from None

    def _real(self, array: Array, target: np.dtype[Any]) -> Array:
        try:
            with np.errstate(over="raise"):
                return array.astype(target, copy=False)
        except FloatingPointError:
            raise self._mismatch(f"a number is too large for {self.dtype}", array) from None

    def _whole(self, array: Array, target: np.dtype[Any]) -> Array:
        if array.dtype.kind == "f":
            if not np.array_equal(array, np.trunc(array)):
                raise self._mismatch("it holds numbers that are not whole", array)
            if np.abs(array).max(initial=0) > LARGEST_EXACT:
                raise self._mismatch("a number is too large to be exact", array)
        limits = np.iinfo(target)
        if array.size and (array.min() < limits.min or array.max() > limits.max):
            raise self._mismatch(f"a number does not fit {self.dtype}", array)
        return array.astype(target, copy=False)

    def _mismatch(self, why: str, array: Array | None) -> InputMismatch:
        came = None if array is None else f"{_kind(array)}{list(array.shape)}"
        return InputMismatch(
            f"input {self.name!r} takes {self}: {why}",
            field=f"body.inputs.{self.name}",
            expected=str(self),
            came=came,
        )


def array_of(value: Any) -> Array:
    """An array of numbers; of objects, if there are texts among them.

    NumPy's own arrays of texts give each the room of the longest: one long text among many short
    ones, a megabyte in all, would fill the memory.
    """
    return np.asarray(value, dtype=object if _holds_text(value) else None)


def _holds_text(value: Any) -> bool:
    pending = [[value]]
    while pending:
        part = pending.pop()
        kinds = set(map(type, part))
        if str in kinds:
            return True
        if list in kinds:
            pending += [inner for inner in part if isinstance(inner, list)]
    return False


def _kind(array: Array) -> str:
    kinds = {"i": "integer", "u": "integer", "f": "real", "b": "bool", "U": "text", "O": "mixed"}
    return kinds.get(array.dtype.kind, array.dtype.name)


def _written(element: object) -> str:
    written = "null" if element is None else repr(element)
    return written if len(written) <= LONGEST_WRITTEN else f"{written[:LONGEST_WRITTEN]}…"


def dtype_of(declared: str) -> str | None:
    """Translate `tensor(float)`; None for what JSON cannot give (sequences, maps, complex)."""
    inner = declared.removeprefix("tensor(").removesuffix(")")
    if inner == declared:
        return None
    return _DTYPES.get(inner, inner if inner in _PLAIN else None)


def feeds(ports: Mapping[str, Port], inputs: JsonValue) -> tuple[dict[str, Array], bool]:
    """Give every declared input its array; tell whether this was one row without a batch.

    `inputs` names each input, or is the bare value when the model has only one.
    """
    named = _named(ports, inputs)
    read = {name: ports[name].read(value) for name, value in named.items()}
    # An input of fixed size (a threshold, a temperature) carries no batch and has no say here.
    if len({lone for name, (_, lone) in read.items() if ports[name].batched}) > 1:
        raise InputMismatch(
            "some inputs are one row and some are a batch: give every input one row, or as many",
            field="body.inputs",
        )
    arrays = {name: array for name, (array, _) in read.items()}
    _same_sizes((ports[name], array.shape) for name, array in arrays.items())
    return arrays, any(lone for _, lone in read.values())


def _named(ports: Mapping[str, Port], inputs: JsonValue) -> Mapping[str, JsonValue]:
    described = ", ".join(f"{port.name}: {port}" for port in ports.values())
    if not isinstance(inputs, Mapping):
        if len(ports) == 1:
            return dict.fromkeys(ports, inputs)
        raise InputMismatch(
            f"this version takes {len(ports)} inputs: send an object with {described}",
            field="body.inputs",
            expected=described,
        )
    if inputs.keys() != ports.keys():
        wrong = [f"{name!r} is missing" for name in ports if name not in inputs]
        wrong += [f"{name!r} is unknown" for name in inputs if name not in ports]
        raise InputMismatch(
            f"this version takes {described}: {', '.join(wrong)}",
            field="body.inputs",
            expected=described,
        )
    return inputs


def _same_sizes(shapes: Iterable[tuple[Port, tuple[int, ...]]]) -> None:
    """Dimensions of one name must agree; so must the open first ones, which are the batch."""
    seen: dict[str, tuple[str, int]] = {}
    for port, shape in shapes:
        for place, (declared, size) in enumerate(zip(port.shape, shape, strict=False)):
            name = "batch" if declared is None and place == 0 else declared
            if not isinstance(name, str):
                continue
            other, expected = seen.setdefault(name, (port.name, size))
            if size != expected:
                raise InputMismatch(
                    f"input {port.name!r} has {size} in its dimension {name},"
                    f" but input {other!r} has {expected}",
                    field=f"body.inputs.{port.name}",
                )


def answer_of(prediction: Any, scores: Any, *, lone: bool) -> Answer:
    """Read output tensors; take the batch dimension away again where it had been added.

    Only an answer about one row has a confidence and a class.
    """
    rows = _plain(prediction)
    row = _single(rows)
    one = not isinstance(rows, list) or len(rows) == 1
    return Answer(
        prediction=row if lone else rows,
        confidence=confidence_of(_single(_plain(scores))) if one and scores is not None else None,
        label=label_of(row),
    )


def _plain(value: Any) -> Any:
    """Turn an array, or the dictionaries of an ONNX map, into JSON; a column of one into a row."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    array = np.asarray(value)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise RuntimeFailure(Failure.GARBAGE, "its output holds NaN or infinity")
    if array.ndim > 1 and array.shape[-1] == 1:
        array = array[..., 0]
    return array.tolist()


def _single(rows: Any) -> Any:
    return rows[0] if isinstance(rows, list) and len(rows) == 1 else rows
