"""Checkpoint files of any trainer: read without running code, and every set of weights in them found by its tensors."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backlight.core.errors import FileError
from backlight.core.reading import ZIP_ERRORS, open_regular
from backlight.core.tensors import check_tensors, read_pickled, read_safetensors

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pth.tar")
_WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "network", "weights", "params")
_DEPTH, _MAPPINGS = 6, 1000
_SHOWN = 6
_TRUSTED = (
    "where you trust it: torch.save(model.state_dict(), FILE) and --weights FILE, "
    "or --model file.py:factory, a function of yours that loads and returns the model"
)


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
    found = read_safetensors(target) if _is_safetensors(target) else _read_pickle(target)
    sets = dict(_sets(found))
    if not sets:
        raise FileError(target, f"holds {_what(found)}", expected="a state dict of tensors, alone or inside other keys")
    place = _choose(target, sets, wanted)
    others = [name for keys in sets if keys != place and is_average(name := ".".join(keys))]
    tensors = sets[place]
    check_tensors(target, tensors, target.stat().st_size)
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
    if colon and wanted and not os.path.exists(target) and os.path.exists(file):
        return Path(file), wanted
    return target, ""


def _is_safetensors(path: Path) -> bool:
    with open_regular(path, expected="a file of weights") as file:
        start = file.read(9)
    return path.suffix == ".safetensors" or (len(start) == 9 and start[8:] == b"{")


def _read_pickle(path: Path) -> Any:
    _refuse_programs(path)
    try:
        return read_pickled(path)
    except FileError as error:
        raise error.trying(_TRUSTED if "Python objects" in error.reason else "save it anew as .safetensors") from None


def _refuse_programs(path: Path) -> None:
    names: set[str] = set()
    with open_regular(path) as stream, suppress(*ZIP_ERRORS):  # the reader of tensors says why
        names = {entry.partition("/")[2] for entry in zipfile.ZipFile(stream).namelist()}
    if "constants.pkl" in names:
        raise FileError(path, "is a TorchScript program", hint=f"--model torchscript:{path}")
    if any(name.startswith("models/") for name in names):
        raise FileError(path, "is a program of torch.export", hint=f"--model exported:{path}")


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


def _what(found: Any) -> str:
    if not isinstance(found, Mapping):
        return f"a {type(found).__name__}"
    return f"{some(list(found))} that is no tensor" if found else "nothing"
