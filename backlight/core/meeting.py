"""How the processes of one group find each other in a store that groups before them have used, and left keys in."""

from __future__ import annotations

import os
import time
from uuid import uuid4

import torch
from torch.distributed import Store

from backlight.core.errors import BacklightError

PATIENCE = 1800.0
_BETWEEN_LOOKS = 0.02  # seconds


def store_of_torchrun() -> Store | None:
    """Return the store that the agent of torchrun serves to all processes; None where there is no such store."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    return torch.distributed.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)


def meet(store: Store, rank: int, world: int, *, patience: float = PATIENCE) -> Store:
    """Return a part of a store that is this group's own: no group before has left anything in it.

    torchrun starts processes again and leaves them the store of those that ended, with the addresses in it at which
    nobody answers any more (pytorch issues 108158 and 135712). So each process says a word that is its own alone, the
    main one answers to each with the group's word, also where it is a dead one's, until all have confirmed it.

    Raises BacklightError where the others have not come after `patience` seconds.

    >>> store = torch.distributed.HashStore()
    >>> meet(store, 0, 1).set("address", "here")
    >>> meet(store, 0, 1).check(["address"])
    False
    """
    own, until = uuid4().hex, time.monotonic() + patience
    if rank:
        store.set(_said(rank), own)
        while not store.check([_answered(own)]):
            _wait(until, rank, world)
        name = store.get(_answered(own)).decode()
        store.set(_confirmed(name, rank), "")
        return torch.distributed.PrefixStore(name, store)
    for other in range(1, world):
        while not store.check([_confirmed(own, other)]):
            if store.check([_said(other)]):
                store.set(_answered(store.get(_said(other)).decode()), own)
            _wait(until, rank, world)
    return torch.distributed.PrefixStore(own, store)


def _said(rank: int) -> str:
    return f"backlight/said/{rank}"


def _answered(word: str) -> str:
    return f"backlight/answered/{word}"


def _confirmed(name: str, rank: int) -> str:
    return f"backlight/confirmed/{name}/{rank}"


def _wait(until: float, rank: int, world: int) -> None:
    """Wait a moment, in Python: what waits inside torch cannot be terminated."""
    if time.monotonic() > until:
        raise BacklightError(f"process {rank} of {world} has waited for the others in vain", hint="start them again")
    time.sleep(_BETWEEN_LOOKS)
