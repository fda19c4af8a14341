"""A reader for the pickled CIFAR batches that can build numbers, text, lists, dicts and byte arrays: nothing else.

Not even numpy is reached: arrays and types are rebuilt by the two small classes below, so a hostile file can
name no function that would run.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from backlight.errors import FileError

SIZE_LIMIT = 2 * 2**30


class _Type:
    """Stand in for numpy.dtype while a pickle is read: the code is kept, the rest ignored."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.code = code.decode("ascii", "replace") if isinstance(code, bytes) else str(code)

    def __setstate__(self, state: Any) -> None:
        pass


class _Array:
    """Stand in for numpy.ndarray: shape, type and bytes are kept until `numpy()` checks them."""

    def __init__(self, *_: Any) -> None:
        self.shape: tuple[int, ...] = ()
        self.type, self.data, self.fortran = _Type(), b"", False

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.type, self.fortran, self.data = state

    def numpy(self) -> np.ndarray:
        if not isinstance(self.type, _Type) or self.type.code not in ("u1", "uint8"):
            raise ValueError("an array that is not uint8")
        data = self.data.encode("latin-1") if isinstance(self.data, str) else self.data
        return np.frombuffer(data, dtype=np.uint8).reshape(self.shape, order="F" if self.fortran else "C")


def _latin1(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("an unknown encoding")
    return text.encode("latin-1")


# The only names that the batches of the CIFAR releases refer to, and those that re-saved ones do.
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _latin1,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise ValueError(f"it asks for {module}.{name}")
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise ValueError("it refers to outside objects")


def read_pickled(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary of arrays, lists, text and numbers; its keys become text.

    Raises `FileError` for anything else, above all for a file that names any function or class.
    """
    if path.stat().st_size > SIZE_LIMIT:
        raise FileError(path, "larger than 2 GiB", expected="a batch of CIFAR")
    try:
        content = _Reader(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        if not isinstance(content, dict):
            raise ValueError("it is no dictionary")
        return {_text(key): value.numpy() if isinstance(value, _Array) else value for key, value in content.items()}
    except Exception as error:  # a hostile pickle can make the reader fail in any way; none runs code
        raise FileError(
            path, f"not a plain pickled batch ({error})", expected="a batch of CIFAR-10 or CIFAR-100"
        ) from None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
