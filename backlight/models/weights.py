"""Checkpoint files on known architectures: read without running code, peeled, compared, loaded strictly."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from backlight.errors import FileError, ModelError

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_WRAPPERS = ("state_dict", "model", "model_state_dict", "net")
_PREFIXES = ("module.", "model.")
_COMPILED = "_orig_mod."
_SHOWN = 6


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The tensors of a checkpoint file by name, and the wrappers that were around them.

    >>> Checkpoint(Path("best.pth"), {"fc.bias": torch.zeros(2)}, ("state_dict",)).peeled
    ('state_dict',)
    """

    path: Path
    tensors: dict[str, Tensor] = field(repr=False)
    peeled: tuple[str, ...] = ()

    def without_prefixes(self, module: nn.Module) -> Checkpoint:
        """Peel `module.`, `model.` and `_orig_mod.` off the names where `module` has no such names.

        >>> wrapped = Checkpoint(Path("a.pth"), {"module.weight": torch.zeros(2, 2)})
        >>> list(wrapped.without_prefixes(nn.Linear(2, 2, bias=False)).tensors)
        ['weight']
        """
        tensors, peeled, known = self.tensors, list(self.peeled), set(module.state_dict())
        while not known & set(tensors):
            if any(_COMPILED in name for name in tensors):
                prefix, tensors = _COMPILED, {name.replace(_COMPILED, ""): one for name, one in tensors.items()}
            elif shared := next((prefix for prefix in _PREFIXES if _all_start(tensors, prefix)), None):
                prefix, tensors = shared, {name.removeprefix(shared): one for name, one in tensors.items()}
            else:
                break
            peeled.append(prefix)
        return replace(self, tensors=tensors, peeled=tuple(peeled))


def _all_start(names: Mapping[str, Tensor], prefix: str) -> bool:
    return bool(names) and all(name.startswith(prefix) for name in names)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read the tensors of a `.safetensors`, `.pt`, `.pth` or `.bin` file; nothing in it is executed.

    A state dict inside `state_dict`, `model`, `model_state_dict` or `net` is found there.

    Raises FileError for a missing or broken file, other formats, and files that hold more than tensors.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "net.pth"
    >>> torch.save({"epoch": 3, "state_dict": nn.Linear(2, 1).state_dict()}, path)
    >>> sorted(read_checkpoint(path).tensors)
    ['bias', 'weight']
    """
    target = Path(path)
    if target.suffix not in SUFFIXES:
        raise FileError(path, "is no known kind of weights", expected=" or ".join(SUFFIXES))
    if not target.is_file():
        raise FileError(path, "does not exist", expected="a file of weights")
    found = _read_safetensors(target) if target.suffix == ".safetensors" else _read_pickle(target)
    peeled: list[str] = []
    while key := next((key for key in _WRAPPERS if _is_wrapper(found, key)), None):
        peeled.append(key)
        found = found[key]
    return Checkpoint(target, _tensors(target, found), tuple(peeled))


def _is_wrapper(found: Any, key: str) -> bool:
    return isinstance(found, Mapping) and isinstance(found.get(key), Mapping)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
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
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise FileError(path, f"is not a readable checkpoint ({error})") from error
    if unpacked > 2 * path.stat().st_size:
        raise FileError(path, f"unpacks to {unpacked} bytes", expected="a checkpoint as torch.save writes it")


def _refusal(path: Path, reason: str) -> FileError:
    named = re.search(r"GLOBAL ([\w.]+)", reason)
    if named is None:
        return FileError(path, "is not a readable checkpoint", expected="a state dict of tensors")
    return FileError(
        path,
        f"holds Python objects ({named[1]}), which could run code and are not loaded",
        expected="a state dict of tensors",
        hint="where you trust it: torch.save(model.state_dict(), FILE), or save it as .safetensors",
    )


def _tensors(path: Path, found: Any) -> dict[str, Tensor]:
    if not isinstance(found, Mapping):
        raise FileError(path, f"holds a {type(found).__name__}", expected="a state dict of tensors")
    other = [name for name, one in found.items() if not (isinstance(name, str) and isinstance(one, Tensor))]
    if other or not found:
        has = f"{_some(other)} that is no tensor" if other else "nothing"
        expected = "a state dict of tensors, alone or inside " + ", ".join(_WRAPPERS)
        raise FileError(path, f"holds {has}", expected=expected)
    return dict(found)


def head_classes(module: nn.Module, checkpoint: Checkpoint, classes: int) -> int | None:
    """Read the number of classes from a checkpoint's head, where it differs from the module's `classes`.

    The head is what has `classes` rows in the module and another number of rows, the same everywhere, in the
    checkpoint. None where no such tensors exist or where other tensors differ as well.

    >>> head_classes(nn.Linear(4, 1000), Checkpoint(Path("a.pth"), nn.Linear(4, 7).state_dict()), 1000)
    7
    """
    built = module.state_dict()
    differing = [
        (one.shape, built[name].shape)
        for name, one in checkpoint.tensors.items()
        if name in built and built[name].shape != one.shape
    ]
    rows = {given[0] for given, own in differing if len(given) and len(own) and own[0] == classes}
    same_columns = all(given[1:] == own[1:] for given, own in differing)
    return int(rows.pop()) if len(rows) == 1 and same_columns else None


def load_state(module: nn.Module, checkpoint: Checkpoint, *, new_head: int | None = None) -> nn.Module:
    """Copy a checkpoint's tensors into `module` and return it; every name and shape must agree.

    With `new_head`, the module's number of classes, tensors that differ from the module's only in their
    first dimension keep the module's own values: a fresh head on pretrained layers.

    Raises ModelError that lists missing and unexpected names and shapes that differ.

    >>> load_state(nn.Linear(4, 3), Checkpoint(Path("a.pth"), {"weight": torch.zeros(3, 4)}))
    Traceback (most recent call last):
    backlight.errors.ModelError: a.pth does not fit the model: missing 1: bias; ...
    """
    built = module.state_dict()
    tensors = checkpoint.tensors
    if new_head is not None:
        tensors = {name: one for name, one in tensors.items() if not _is_old_head(one, built.get(name), new_head)}
        built = {name: one for name, one in built.items() if name in tensors or name not in checkpoint.tensors}
    # Checkpoints from before torch 0.4.1 have no such counters, and only training with momentum=None reads them.
    missing = [name for name in built if name not in tensors and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in tensors if name not in built]
    differing = [
        f"{name} {list(one.shape)} for {list(built[name].shape)}"
        for name, one in tensors.items()
        if name in built and one.shape != built[name].shape
    ]
    problems = [
        f"{kind} {len(names)}: {_some(names)}"
        for kind, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", differing))
        if names
    ]
    if problems:
        peeled = f" (peeled {', '.join(checkpoint.peeled)})" if checkpoint.peeled else ""
        found = f"{checkpoint.path}{peeled} does not fit the model: {'; '.join(problems)}"
        raise ModelError(found, expected="the weights of this architecture")
    module.load_state_dict(tensors, strict=False)
    return module


def _is_old_head(given: Tensor, own: Tensor | None, classes: int) -> bool:
    return (
        own is not None
        and own.ndim > 0
        and own.shape[0] == classes
        and own.shape[1:] == given.shape[1:]
        and (own.shape != given.shape)
    )


def _some(names: list[Any]) -> str:
    shown = ", ".join(str(name)[:100] for name in names[:_SHOWN])
    return shown + (f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
