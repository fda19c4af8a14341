"""A reader for the pickled CIFAR batches that can build numbers, text, lists, dicts and byte arrays: nothing else.

Not even numpy is reached: arrays and types are rebuilt by the two small classes below, so a hostile file can
name no function that would run. It is the reader written in Python: the one in C takes an index of its memory at its
word and allocates that much, and hashes whatever a file uses as a key.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backlight.core.errors import FileError
from backlight.core.reading import read_bytes, unpack_limit

SIZE_LIMIT = 2 * 2**30
EXPECTED = "a batch of CIFAR-10 or CIFAR-100"
_KEYS = (str, bytes, int)


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


_Unpickler: Any = vars(pickle)["_Unpickler"]  # private by its name only: it is what documents the format


class _Reader(_Unpickler):
    """Read a pickle with the few operations and names that a batch needs."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self._left = unpack_limit(len(data))
        # The only names that the batches of the CIFAR releases refer to, and those that re-saved ones do.
        self._allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy.core.multiarray", "_reconstruct"): _Array,
            ("numpy._core.multiarray", "_reconstruct"): _Array,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Type,
            ("_codecs", "encode"): self._latin1,
        }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise ValueError(f"it asks for {module}.{name}")
        return self._allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise ValueError("it refers to outside objects")

    def get_extension(self, code: int) -> Any:
        raise ValueError("it refers to registered extensions")

    def _latin1(self, text: Any, encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise ValueError("an unknown encoding")
        self._left -= len(text)  # one text may be encoded again and again
        if self._left < 0:
            raise ValueError("it unpacks to far more than it holds")
        return text.encode("latin-1")

    def _set_item(self) -> None:
        self._require_plain(self.stack[-2:-1])
        _Unpickler.load_setitem(self)

    def _set_items(self) -> None:
        self._require_plain(self.stack[::2])
        _Unpickler.load_setitems(self)

    def _dict(self) -> None:
        self._require_plain(self.stack[::2])
        _Unpickler.load_dict(self)

    @staticmethod
    def _require_plain(keys: list[Any]) -> None:
        """Refuse keys of which hashing may take for ever: tuples that hold each other."""
        if not all(type(key) in _KEYS for key in keys):
            raise ValueError("a key that is no text")

    def _refuse(self) -> None:
        raise ValueError("an operation that no batch needs")

    dispatch = dict(_Unpickler.dispatch)
    dispatch[pickle.SETITEM[0]] = _set_item
    dispatch[pickle.SETITEMS[0]] = _set_items
    dispatch[pickle.DICT[0]] = _dict
    for _operation in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET, pickle.BYTEARRAY8, pickle.NEXT_BUFFER):
        dispatch[_operation[0]] = _refuse
    del _operation


def read_pickled(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary of arrays, lists, text and numbers; its keys become text.

    Raises `FileError` for anything else, above all for a file that names any function or class.
    """
    data = read_bytes(path, limit=SIZE_LIMIT, expected=EXPECTED)
    try:
        content = _Reader(data).load()
        if not isinstance(content, dict):
            raise ValueError("it is no dictionary")
        return {_text(key): value.numpy() if isinstance(value, _Array) else value for key, value in content.items()}
    except Exception as error:  # a hostile pickle can make the reader fail in any way; none runs code
        reason = str(error) or type(error).__name__
        raise FileError(path, f"not a plain pickled batch ({reason})", expected=EXPECTED) from None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
