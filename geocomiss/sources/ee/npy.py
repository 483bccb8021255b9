"""Arrays in NumPy's own format, read by many threads at a time.

`numpy.load` reads a header with `ast.literal_eval`, which is not safe there: CPython before 3.11.8 and 3.12.2
counts the depth of a syntax tree in one place for all threads, and may raise "AST constructor recursion depth
mismatch" when one is interrupted. A header is a literal of a few kinds only, and nearly JSON.
"""

import json
import re
import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAGIC: Final = b"\x93NUMPY"
LENGTHS: Final = {1: "<H", 2: "<I", 3: "<I"}
"""How the length of the header is written, by version of the format
(https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)."""
BRACKETS: Final = str.maketrans({"'": '"', "(": "[", ")": "]"})
NOT_JSON: Final = {r",\s*([\]}])": r"\1", r"\bTrue\b": "true", r"\bFalse\b": "false"}


def parsed_npy(content: bytes) -> NDArray[Any]:
    """An array that was written by `numpy.save`.

    Args:
        content: All bytes of it.

    Returns:
        The array, which cannot be written to.

    Raises:
        ValueError: It is none, is cut short, or holds objects.
    """
    if not content.startswith(MAGIC) or len(content) < len(MAGIC) + 2:
        raise ValueError("no array in NumPy's format")
    at = len(MAGIC) + 2
    try:
        (length,) = struct.unpack_from(LENGTHS[content[len(MAGIC)]], content, at)
        begin = at + struct.calcsize(LENGTHS[content[len(MAGIC)]]) + length
        header = _header(content[begin - length : begin].decode())
        dtype, shape = _dtype(header["descr"]), tuple(header["shape"])
        order = "F" if header["fortran_order"] else "C"
    except (KeyError, TypeError, struct.error) as error:
        raise ValueError(f"an array with a header that is damaged ({type(error).__name__})") from error
    values: NDArray[Any] = np.frombuffer(content, dtype, offset=begin)
    return values.reshape(shape, order=order)  # type: ignore[call-overload, no-any-return]


def _header(text: str) -> dict[str, Any]:
    as_json = text.translate(BRACKETS)
    for pattern, replaced in NOT_JSON.items():
        as_json = re.sub(pattern, replaced, as_json)
    found = json.loads(as_json)
    if not isinstance(found, dict):
        raise ValueError("an array whose header is no dictionary")
    return found


def _dtype(told: Any) -> np.dtype[Any]:
    """A type, or a table of (name, type)."""
    found = np.dtype(told if isinstance(told, str) else [(name, kind) for name, kind in told])
    if found.hasobject:
        raise ValueError("an array of objects")
    return found
