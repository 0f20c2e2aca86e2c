"""Triton's binary tensors: behind the JSON of a request, in the order of its inputs.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from turnout.errors import Unprocessable
from turnout.interop.oip.tensors import DATATYPES, TEXT, Input, TensorMalformed
from turnout.registry.domain.signature import DType

HEADER: Final = "inference-header-content-length"
SIZE: Final = "binary_data_size"
_LENGTH: Final = 4
_DTYPES: Final = {
    datatype: np.dtype(dtype.value).newbyteorder("<")
    for dtype, datatype in DATATYPES.items()
    if dtype is not DType.STRING
}


class BinaryMalformed(Unprocessable):
    pass


def separated(body: bytes, length: str | None) -> tuple[bytes, bytes]:
    """The JSON of a request, and the binary data behind it."""
    if length is None:
        return body, b""
    if not (length.isascii() and length.isdigit() and int(length[:20]) <= len(body)):
        raise BinaryMalformed(
            f"{HEADER} is the length of the JSON, of a body of {len(body)} bytes,"
            f" not {length[:20]!r}"
        )
    return body[: int(length)], body[int(length) :]


def filled(inputs: Sequence[Input], binary: bytes) -> list[Input]:
    """Give each input that announces binary data its part of them."""
    found = []
    at = 0
    for tensor in inputs:
        size = tensor.parameters.get(SIZE)
        if size is None:
            found.append(tensor)
            continue
        if type(size) is not int or not 0 <= size <= len(binary) - at:
            raise TensorMalformed(tensor.name, f"there are no {size} bytes of it")
        data = _read(tensor, binary[at : at + size])
        found.append(msgspec.structs.replace(tensor, data=data))
        at += size
    if at < len(binary):
        raise BinaryMalformed(f"{len(binary) - at} bytes of binary data belong to no input")
    return found


def _read(tensor: Input, part: bytes) -> list[Any]:
    if tensor.datatype == TEXT:
        return [*_texts(tensor, part)]
    dtype = _DTYPES.get(tensor.datatype)
    if dtype is None:
        return []  # as for any other tensor, this datatype is refused
    if len(part) % dtype.itemsize:
        raise TensorMalformed(tensor.name, f"{len(part)} bytes are no whole {tensor.datatype}")
    data: list[Any] = np.frombuffer(part, dtype).tolist()
    return data


def _texts(tensor: Input, part: bytes) -> Iterator[str]:
    at = 0
    while at < len(part):
        start = at + _LENGTH
        at = start + int.from_bytes(part[at:start], "little")
        if start > len(part) or at > len(part):
            raise TensorMalformed(tensor.name, "its last text is cut off")
        try:
            yield part[start:at].decode()
        except UnicodeDecodeError:
            raise TensorMalformed(tensor.name, "a text of it is not UTF-8") from None
