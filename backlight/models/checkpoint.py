"""Checkpoint files of any trainer: read without running code, and every set of weights in them found by its tensors."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backlight.core.errors import FileError
from backlight.core.tensors import read_tensors

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pth.tar")
_WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "network", "weights", "params")
_DEPTH, _MAPPINGS = 6, 1000
_LARGEST_FACTOR = 8  # tied weights count several times, but not without end
_SHOWN = 6


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The tensors of a checkpoint file by name, and what was around them.

    `peeled` names the wrappers that were taken off, `left_out` tensors that belong to no model (a loss's, a metric's),
    `others` more sets of weights in the file by their keys, such as an exponential moving average, and `wanted` the
    one that was asked for as `FILE:NAME`.

    >>> Checkpoint(Path("best.pth"), {"fc.bias": torch.zeros(2)}, ("state_dict",)).peeled
    ('state_dict',)
    """

    path: Path
    tensors: dict[str, Tensor] = field(repr=False)
    peeled: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    wanted: str = ""
    added: str = ""
    """What was put before every name, as the module keeps the network under it."""

    def describe(self) -> str:
        """Return what a reader must know of the file: what was peeled, left out and not taken; else nothing."""
        said = [
            f"peeled {', '.join(self.peeled)}" if self.peeled else "",
            f"put {self.added} before every name" if self.added else "",
            f"left out {len(self.left_out)}: {some(self.left_out)}" if self.left_out else "",
            f"also holds {', '.join(self.others)} (--weights {self.path}:{self.others[0]})" if self.others else "",
        ]
        found = "; ".join(filter(None, said))
        return f"{self.path}: {found}" if found else ""


def is_average(name: str) -> bool:
    """Whether a key or prefix names an exponential moving average of weights.

    >>> is_average("state_dict_ema"), is_average("ema_model."), is_average("schema")
    (True, True, False)
    """
    words = re.split(r"[._\-/]", name.lower())
    return bool({"ema", "averaged", "shadow", "swa"} & set(words))


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read the tensors of a file that safetensors or `torch.load(weights_only=True)` reads, whatever its suffix.

    Nothing in it is executed. Weights inside other keys are found there; of several sets the usual key wins, else
    the largest, and a moving average only where nothing else is there. `FILE:NAME` asks for a set by its key or a
    part of that, as in `last.ckpt:ema`.

    Raises FileError for a missing or broken file, for one without tensors, and for tensors that no module has:
    sparse, quantized, nested, without values, or larger than what is stored.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "net.ckpt"
    >>> torch.save({"epoch": 3, "state_dict": torch.nn.Linear(2, 1).state_dict()}, path)
    >>> sorted(read_checkpoint(path).tensors)
    ['bias', 'weight']
    """
    target, wanted = _split(path)
    if not target.is_file():
        raise FileError(target, "does not exist" if not target.exists() else "is no file", expected="a file of weights")
    found = _read_safetensors(target) if _is_safetensors(target) else _read_pickle(target)
    sets = dict(_sets(found))
    if not sets:
        raise FileError(target, f"holds {_what(found)}", expected="a state dict of tensors, alone or inside other keys")
    place = _choose(target, sets, wanted)
    others = [name for keys in sets if keys != place and is_average(name := ".".join(keys))]
    tensors = sets[place]
    _check(target, tensors)
    # A part that was asked for and is no key of the file may be a prefix of its names.
    prefix = wanted if wanted and not _named(place, wanted) else ""
    return Checkpoint(target, tensors, place, others=tuple(others), wanted=prefix)


def some(names: tuple[Any, ...] | list[Any]) -> str:
    """Phrase the first of some names, and how many more there are.

    >>> some(list("abcdefgh"))
    'a, b, c, d, e, f, and 2 more'
    """
    shown = ", ".join(str(name)[:100] for name in names[:_SHOWN])
    return shown + (f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _split(path: str | os.PathLike[str]) -> tuple[Path, str]:
    target = Path(path)
    file, colon, wanted = str(target).rpartition(":")
    try:
        if colon and wanted and not target.exists() and Path(file).exists():
            return Path(file), wanted
    except OSError as error:  # a name that no file can have
        raise FileError(path, f"cannot be read ({error.strerror})", expected="a file of weights") from None
    return target, ""


def _is_safetensors(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from error
    return path.suffix == ".safetensors" or (len(start) == 9 and start[8:] == b"{")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError

    try:
        return read_tensors(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise FileError(path, f"is not a readable safetensors file ({error})") from error


def _read_pickle(path: Path) -> Any:
    _check_stored(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from None
    # Any other exception: a hostile or broken file decides which one the restricted unpickler ends with.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileError(
            path, f"is not a readable checkpoint ({reason})", hint="save it anew as .safetensors"
        ) from error


def _check_stored(path: Path) -> None:
    # torch.save stores without compression; a small file that unpacks to a huge one was not written by it.
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise FileError(path, f"is not a readable checkpoint ({error})") from error
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > 2 * path.stat().st_size:
        raise FileError(path, f"unpacks to {unpacked} bytes", expected="a checkpoint as torch.save writes it")
    names = {entry.filename.partition("/")[2] for entry in entries}
    if "constants.pkl" in names:
        raise FileError(path, "is a TorchScript program", hint=f"--model torchscript:{path}")
    if any(name.startswith("models/") for name in names):
        raise FileError(path, "is a program of torch.export", hint=f"--model exported:{path}")


def _refusal(path: Path, reason: str) -> FileError:
    named = re.search(r"GLOBAL ([\w.]+)", reason)
    if named is None:
        return FileError(path, "is not a readable checkpoint", expected="a state dict of tensors")
    return FileError(
        path,
        f"holds Python objects ({named[1]}), which could run code and are not loaded",
        expected="a state dict of tensors",
        hint="where you trust it: torch.save(model.state_dict(), FILE) and --weights FILE, "
        "or --model file.py:factory, a function of yours that loads and returns the model",
    )


def _sets(found: Any) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Find every mapping that holds tensors by name, by the keys that lead to it; one that holds itself is met once."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), found)]
    met: set[int] = set()
    while waiting and len(met) < _MAPPINGS:
        keys, one = waiting.pop(0)
        if not isinstance(one, Mapping) or id(one) in met or len(keys) > _DEPTH:
            continue
        met.add(id(one))
        tensors = {name: tensor for name, tensor in one.items() if isinstance(name, str) and isinstance(tensor, Tensor)}
        if tensors:
            yield keys, tensors
        waiting += [((*keys, name), inner) for name, inner in one.items() if isinstance(name, str)]


def _choose(path: Path, sets: Mapping[tuple[str, ...], dict[str, Tensor]], wanted: str) -> tuple[str, ...]:
    if wanted:
        exact = [keys for keys in sets if keys and keys[-1] == wanted]
        named = exact or [keys for keys in sets if _named(keys, wanted)]
        if len(named) > 1:
            raise FileError(path, f"{wanted!r} is {' or '.join(map('.'.join, named))}", expected="one of them")
        if named:
            return named[0]
    plain = [keys for keys in sets if not is_average(".".join(keys))] or list(sets)
    usual = [keys for keys in plain if keys and all(key in _WRAPPERS for key in keys)]
    if usual:
        return min(usual, key=lambda keys: (_WRAPPERS.index(keys[0]), len(keys)))
    best = max(plain, key=lambda keys: sum(one.numel() for one in sets[keys].values()))
    alike = [keys for keys in plain if _shapes(sets[keys]) == _shapes(sets[best]) and len(keys) == len(best)]
    if len(alike) > 1:
        names = [".".join(keys) for keys in alike]
        raise FileError(
            path, f"holds several models: {', '.join(names)}", expected="one", hint=f"--weights {path}:{names[0]}"
        )
    return best


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: one.shape for name, one in tensors.items()}


def _named(keys: tuple[str, ...], wanted: str) -> bool:
    if wanted.lower() == "ema":
        return is_average(".".join(keys))
    return any(wanted == key or wanted in re.split(r"[._\-]", key) for key in keys)


def _check(path: Path, tensors: Mapping[str, Tensor]) -> None:
    stored = 0
    for name, one in tensors.items():
        kind = _unusable(one)
        if kind:
            raise FileError(path, f"{name[:100]} is {kind}", expected="plain tensors", hint="save a plain state dict")
        stored += one.numel() * one.element_size()
    if stored > _LARGEST_FACTOR * max(path.stat().st_size, 1):
        raise FileError(path, f"has tensors of {stored} bytes", expected="as many as the file holds")


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


def _what(found: Any) -> str:
    if not isinstance(found, Mapping):
        return f"a {type(found).__name__}"
    return f"{some(list(found))} that is no tensor" if found else "nothing"
