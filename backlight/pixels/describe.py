"""What a piece of a problem says about itself: a short text for people, and a hash of all of it for machines."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from types import CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from backlight.classifier import Classifier


def brief(value: object) -> str:
    """Write a value as in a formula: tensors by their shape, everything else in full.

    >>> brief(torch.zeros(64, 10)), brief(torch.tensor(0.5)), brief("linf")
    ('tensor[64, 10]', '0.5', "'linf'")
    """
    if isinstance(value, Tensor):
        return f"tensor{list(value.shape)}" if value.ndim else f"{value.item():g}"
    if isinstance(value, FunctionType):
        return value.__name__
    return repr(value)


class Brief:
    """Give a dataclass a one-line `repr` that never prints a whole tensor."""

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(brief(getattr(self, one.name)) for one in fields)})"


def fingerprint(*things: object) -> str:
    """Hash values with all that they hold: tensors' contents, dataclass fields, closures of functions.

    Two problems with the same fingerprint make the same pictures; names and constants of a function count,
    its other instructions do not.

    >>> fingerprint(torch.ones(2)) == fingerprint(torch.ones(2)), fingerprint(1.0) == fingerprint(2.0)
    (True, False)
    """
    digest = _Digest()
    for thing in things:
        digest.add(thing)
    return digest.hash.hexdigest()


class _Digest:
    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=16)
        self.met: dict[int, tuple[int, object]] = {}  # holds the object, so that its id stays its own

    def add(self, thing: object) -> None:
        if thing is None or isinstance(thing, bool | int | float | complex | str | bytes):
            self.write(type(thing).__name__, repr(thing))
        elif id(thing) in self.met:
            self.write("met", str(self.met[id(thing)][0]))
        else:
            self.met[id(thing)] = (len(self.met), thing)
            self.write(type(thing).__module__, type(thing).__qualname__)
            self.add_parts(thing)

    def write(self, *words: str) -> None:
        for word in words:
            encoded = word.encode("utf-8", "backslashreplace")
            self.hash.update(len(encoded).to_bytes(8, "little") + encoded)

    def add_parts(self, thing: Any) -> None:
        if isinstance(thing, Tensor):
            self.add_tensor(thing)
        elif isinstance(thing, list | tuple):
            self.add_all(len(thing), *thing)
        elif isinstance(thing, dict):
            self.add_all(len(thing), *(part for pair in thing.items() for part in pair))
        elif isinstance(thing, set | frozenset):
            self.add_all(*sorted(thing, key=repr))
        elif isinstance(thing, Classifier):
            self.add_all(thing.module, thing.mean, thing.std, thing.outputs)
        elif isinstance(thing, nn.Module):
            self.add(dict(thing.state_dict()))
        elif isinstance(thing, FunctionType):
            self.add_function(thing)
        elif isinstance(thing, MethodType):
            self.add_all(thing.__func__, thing.__self__)
        elif isinstance(thing, functools.partial):
            self.add_all(thing.func, thing.args, thing.keywords)
        elif hasattr(thing, "__dict__"):
            self.add(dict(vars(thing)))
        else:
            self.write(repr(thing))

    def add_all(self, *things: object) -> None:
        for thing in things:
            self.add(thing)

    def add_tensor(self, tensor: Tensor) -> None:
        self.write(str(tensor.dtype), str(list(tensor.shape)))
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        self.hash.update(flat.view(torch.uint8).numpy().data)

    def add_function(self, function: FunctionType) -> None:
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        constants = [one for one in function.__code__.co_consts if not isinstance(one, CodeType)]
        self.write(function.__module__, function.__qualname__)
        self.add_all(constants, cells, function.__defaults__, function.__kwdefaults__)
