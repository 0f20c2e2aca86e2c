"""What an ONNX file says of itself, asked of the engine that will run it."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from turnout.registry.domain.runtime import OnnxRuntime
from turnout.registry.domain.signature import DType, Signature, TensorSpec
from turnout.registry.domain.upload import UnusableModel, check_signature
from turnout.registry.domain.version import VersionRef

_TENSOR: Final = re.compile(r"tensor\((\w+)\)")
_DTYPES: Final[Mapping[str, DType]] = {
    **{dtype.value: dtype for dtype in DType if dtype is not DType.MAP},
    "float": DType.FLOAT32,
    "double": DType.FLOAT64,
}
_MAPS: Final[Mapping[str, DType]] = {
    f"seq(map({label},tensor(float)))": DType.MAP for label in ("int64", "string")
}
_UNKNOWN_OPERATOR: Final = re.compile(
    r"error: (\S+?)\(-?\d+\) is not a registered function|No Op registered for (\S+)"
)
_SIGNATURES: Final = TypeAdapter(Signature)
_ORIGIN: Final = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from \S+ failed:)?(/onnxruntime_src/.*\) )?",
    re.DOTALL,
)


async def checked_signature(version: VersionRef, path: Path) -> Signature | None:
    """What the file says of itself, held against the registration; None when it is run elsewhere.

    Refuses a file that cannot be run, or that is not what was declared.
    """
    if not isinstance(version.runtime, OnnxRuntime):
        return None
    actual = await asyncio.to_thread(signature, path)
    check_signature(version.runtime, declared=version.signature, actual=actual)
    return actual


def signature(path: Path) -> Signature:
    """Load the model once and read its inputs and outputs.

    The file must stand alone in its directory: data that it keeps outside of itself is then not
    found, and it does not load.
    """
    # Imported here because it takes 40 MB, which a process that gets no uploads never needs.
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        loaded = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # noqa: BLE001  (its errors have no other class in common)
        raise UnusableModel(_sentence(str(error))) from None
    inputs = [_tensor(found) for found in loaded.get_inputs()]
    outputs = [_tensor(found) for found in loaded.get_outputs()]
    for found, tensor in zip(loaded.get_inputs(), inputs, strict=True):
        if tensor is None or tensor.dtype is DType.MAP:
            raise UnusableModel(
                f"input {found.name} is a {found.type}, but only plain tensors can be fed to it"
            )
    if not inputs or not any(outputs):
        raise UnusableModel("the model needs at least one input, and one output that can be read")
    return _storable(
        Signature(inputs=tuple(filter(None, inputs)), outputs=tuple(filter(None, outputs)))
    )


def _storable(signature: Signature) -> Signature:
    """Hold what a file says to the rules for what people say, by which it will be read again."""
    try:
        return _SIGNATURES.validate_python(to_jsonable_python(signature))
    except ValidationError as error:
        found = error.errors()[0]
        place = ".".join(map(str, found["loc"]))
        reason = found["msg"].removeprefix("Value error, ")
        raise UnusableModel(f"its signature cannot be kept: {place}: {reason}") from None


def _tensor(found: Any) -> TensorSpec | None:
    """Describe an input or output; None for the kinds that no JSON answer can be made of."""
    plain = _TENSOR.fullmatch(found.type)
    dtype = _DTYPES.get(plain[1]) if plain else _MAPS.get(found.type)
    if dtype is None:
        return None
    sizes = (size if isinstance(size, int) and size > 0 else None for size in found.shape)
    return TensorSpec(name=found.name, dtype=dtype, shape=tuple(sizes))


def _sentence(error: str) -> str:
    """Say what is wrong without the engine's source lines and this machine's paths."""
    if "INVALID_PROTOBUF" in error or "No graph was found" in error:
        return "the file is not an ONNX model"
    if "xternal data" in error:
        return (
            "the model keeps weights outside of its file, where they were not uploaded: save it"
            " as one file"
        )
    if operator := _UNKNOWN_OPERATOR.search(error):
        return (
            f"the model needs the operator {operator[1] or operator[2]}, which onnxruntime does"
            " not have; custom operators cannot be used"
        )
    return f"onnxruntime does not load the model: {_ORIGIN.sub('', error).strip()[:500]}"
