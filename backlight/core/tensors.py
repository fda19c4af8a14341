"""Files of tensors that nobody vouches for: read without running code, into no more memory than they hold."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import torch
from torch import Tensor

from backlight.core.errors import FileError
from backlight.core.pickles import check_pickle, values_of
from backlight.core.reading import Name, open_regular

_LARGEST_FACTOR = 8  # tied weights count several times, but not without end
_PICKLES = 5  # in a file from before torch 1.6: magic number, version, system, object, keys of storages


def read_safetensors(
    path: Name, device: torch.device | str = "cpu", *, expected: str = "tensors in safetensors"
) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file by name.

    Raises FileError for a file that is missing, no regular file, or no such file.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "net.safetensors"
    >>> _ = path.write_bytes(b"nonsense")
    >>> read_safetensors(path)
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: ... is not a readable safetensors file (...); expected tensors in safetensors
    """
    from safetensors.torch import load, load_file

    with open_regular(path, expected=expected) as stream:  # a pipe would be waited for
        try:
            if str(path).isprintable():
                return load_file(path, str(device))
            # The library opens no file by itself whose name is not UTF-8.
            return {name: one.to(device) for name, one in load(stream.read()).items()}
        except Exception as error:  # a broken file decides which one the parser ends with
            found = f"is not a readable safetensors file ({_reason(error)})"
            raise FileError(path, found, expected=expected) from None


def read_pickled(path: Name, device: torch.device | str = "cpu", *, expected: str = "a state dict of tensors") -> Any:
    """Read what `torch.save` wrote, by its reader that builds tensors and plain values and runs no code.

    Raises FileError for a file that is missing or broken, that holds other objects, and for one made to keep its reader
    busy or to unpack to more than it holds.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "net.pt"
    >>> torch.save({"weight": torch.zeros(2)}, path)
    >>> read_pickled(path)
    {'weight': tensor([0., 0.])}
    """
    with open_regular(path, expected=expected) as stream:
        return read_pickled_stream(stream, path, device, expected=expected)


def read_pickled_stream(
    stream: BinaryIO, name: Name, device: torch.device | str = "cpu", *, expected: str = "a state dict of tensors"
) -> Any:
    """Read what `torch.save` wrote and stood in the file `name`; raises FileError as `read_pickled` does.

    >>> buffer = io.BytesIO()
    >>> torch.save([torch.zeros(1)], buffer)
    >>> read_pickled_stream(buffer, "net.pt2")
    [tensor([0.])]
    """
    try:
        _check_pickles(stream)
        stream.seek(0)
        return torch.load(stream, map_location=device, weights_only=True)
    except Exception as error:  # a broken or hostile file decides which one it is
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named is not None:
            found = f"holds Python objects ({named[1]}), which could run code and are not loaded"
            raise FileError(name, found, expected=expected) from None
        raise FileError(name, f"is not a readable checkpoint ({_reason(error)})", expected=expected) from None


def check_tensors(path: Name, tensors: Mapping[str, Tensor], stored: int) -> None:
    """Raise FileError for tensors that no module has, or that are together far larger than the `stored` bytes.

    They are sparse, quantized, nested, without values, or enlarged views.

    >>> check_tensors("net.pt", {"weight": torch.zeros(1).expand(1000)}, 1000)
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: net.pt: weight is an enlarged view of 4 bytes; expected plain tensors; ...
    """
    total = 0
    for name, one in tensors.items():
        kind = _unusable(one)
        if kind:
            raise FileError(path, f"{name[:100]} is {kind}", expected="plain tensors", hint="save a plain state dict")
        total += one.numel() * one.element_size()
    if total > _LARGEST_FACTOR * max(stored, 1):
        raise FileError(path, f"has tensors of {total} bytes", expected="as many as the file holds")


def _check_pickles(stream: BinaryIO) -> None:
    stored = stream.seek(0, 2)
    if not zipfile.is_zipfile(stream):
        stream.seek(0)
        for _ in range(_PICKLES):
            check_pickle(stream, values_of(stored))
        return
    with zipfile.ZipFile(stream) as archive:
        # torch.save stores without compression; a small file that unpacks to a huge one was not written by it.
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > 2 * stored:
            raise ValueError(f"unpacks to {unpacked} bytes")
        for entry in archive.infolist():
            if entry.filename.endswith("data.pkl"):
                check_pickle(io.BytesIO(archive.read(entry)), values_of(stored))


def _unusable(one: Tensor) -> str:
    if one.is_nested:
        return "a nested tensor"
    if one.is_quantized:
        return "a quantized tensor"
    if one.layout != torch.strided:
        return "a sparse tensor"
    if one.is_meta:
        return "a tensor without values (on the device meta)"
    if one.numel() * one.element_size() > one.untyped_storage().nbytes():
        return f"an enlarged view of {one.untyped_storage().nbytes()} bytes"
    return ""


def _reason(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0][:200]
    return first if " " in first else f"{type(error).__name__} {first}".strip()
