"""A hash of all that objects hold: what tells one model, problem or request from another."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from types import CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn


def fingerprint(*things: object) -> str:
    """Hash values with all that they hold: tensors' contents, dataclass fields, closures of functions.

    Two problems with the same fingerprint make the same pictures; names and constants of a function count,
    its other instructions do not.

    >>> fingerprint(torch.ones(2)) == fingerprint(torch.ones(2)), fingerprint(1.0) == fingerprint(2.0)
    (True, False)
    """
    digests = _Digests()
    return b"".join(digests.of(thing) for thing in things).hex()


_SIZE = 16
_PLAIN = bool | int | float | complex | str | bytes | None


class _Digests:
    """Hash each object from the hashes of its parts, each object once."""

    def __init__(self) -> None:
        # Holds the objects too: the id of one that is gone could be given to another.
        self.known: dict[int, tuple[bytes, object]] = {}

    def of(self, thing: object) -> bytes:
        if isinstance(thing, _PLAIN):
            return _hashed(type(thing).__name__.encode(), repr(thing).encode("utf-8", "backslashreplace"))
        if id(thing) not in self.known:
            self.known[id(thing)] = (b"cycle", thing)
            kind = f"{type(thing).__module__}.{type(thing).__qualname__}".encode()
            self.known[id(thing)] = (_hashed(kind, *self.parts(thing)), thing)
        return self.known[id(thing)][0]

    def parts(self, thing: Any) -> list[bytes | memoryview]:
        if isinstance(thing, Tensor):
            return [str((thing.dtype, list(thing.shape))).encode(), _bytes_of(thing)]
        if isinstance(thing, set | frozenset):
            return sorted(self.of(one) for one in thing)  # type: ignore[return-value]
        return [self.of(one) for one in _members(thing)]


def _hashed(*parts: bytes | memoryview) -> bytes:
    digest = hashlib.blake2b(digest_size=_SIZE)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def _bytes_of(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _members(thing: Any) -> Iterable[object]:
    """List what an object consists of."""
    if isinstance(thing, list | tuple):
        return thing
    if isinstance(thing, dict):
        return [part for pair in thing.items() for part in pair]
    if hasattr(thing, "fingerprint_parts"):
        return thing.fingerprint_parts()
    if isinstance(thing, nn.Module):
        return [thing.state_dict()]
    if isinstance(thing, FunctionType):
        cells = [cell.cell_contents for cell in thing.__closure__ or ()]
        constants = [one for one in thing.__code__.co_consts if not isinstance(one, CodeType)]
        return thing.__module__, thing.__qualname__, constants, cells, thing.__defaults__, thing.__kwdefaults__
    if isinstance(thing, MethodType):
        return thing.__func__, thing.__self__
    if isinstance(thing, functools.partial):
        return thing.func, thing.args, thing.keywords
    return [vars(thing)] if hasattr(thing, "__dict__") else [repr(thing)]
