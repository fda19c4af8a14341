"""Devices and processes.

Started by `python` there is one process; started by `torchrun` the environment names the others. No random state and
no data order lives here.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from backlight.core.errors import BacklightError, OtherProcessError, UsageError
from backlight.core.meeting import meet, store_of_torchrun
from backlight.core.share import Share

T = TypeVar("T")
# Plain objects travel through the CPU, whatever the device.
_BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}


@dataclass(frozen=True)
class Engine:
    """Hold this process's device, its rank and how many there are.

    `part` is the share of a process that works on blocks and tells of nothing: it has a folder in common with the
    others, and no group of `torchrun`. Where it is `planning`, sweeps say what they take, and do nothing.

    >>> engine = make_engine("cpu")
    >>> engine.rank, engine.world, engine.is_main, engine.shard(4).tolist()
    (0, 1, True, [0, 1, 2, 3])
    """

    device: torch.device
    rank: int = 0
    world: int = 1
    part: Share | None = None
    planning: bool = False

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and draws progress."""
        return self.rank == 0 and self.part is None

    @property
    def pulled(self) -> Share:
        """Return which blocks of a folder this process begins with; of a group everybody helps."""
        return self.part or Share(self.rank, self.world, helps=True)

    def shard(self, count: int) -> Tensor:
        """Return this process's rows of `count`, int64: every `world`-th, none twice, none padded."""
        return torch.arange(count)[self.rank :: self.world]

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            torch.distributed.barrier()

    def gather_objects(self, thing: T) -> list[T]:
        """Collect one plain object of every process, in the order of ranks, in all of them."""
        if self.world == 1:
            return [thing]
        everything: list[T] = [thing] * self.world
        torch.distributed.all_gather_object(everything, thing)
        return everything

    def share(self, make: Callable[[], T]) -> T:
        """Compute something in the main process only, and hand it to all, as a probe's choice.

        What it raises there ends all; the others raise OtherProcessError.
        """
        if self.world == 1:
            return make()
        made: T | None = None
        error: Exception | None = None
        if self.rank == 0:
            try:
                made = make()
            except Exception as raised:  # noqa: BLE001
                error = raised
        told = [(made, _named(error))]
        torch.distributed.broadcast_object_list(told, src=0)
        thing, problem = told[0]
        if problem is not None:
            raise error or OtherProcessError(problem)
        return thing  # type: ignore[return-value]

    def agree(self, make: Callable[[], T]) -> T:
        """Compute something in every process on its own; what one raises ends all, and is told by one alone.

        `make` must not wait for the others. The first process with a problem raises it as it is, and so does each with
        another one; the rest raise OtherProcessError.
        """
        made: T | None = None
        error: Exception | None = None
        try:
            made = make()
        except Exception as raised:
            if self.world == 1:
                raise
            error = raised
        problems = self.gather_objects(_named(error))
        if error is not None and problems.index(problems[self.rank]) == self.rank:
            raise error
        for problem in problems:
            if problem is not None:
                raise OtherProcessError(problem)
        return made  # type: ignore[return-value]

    def sum(self, value: Tensor) -> Tensor:
        """Add a tensor of the same shape over all processes."""
        if self.world == 1:
            return value
        total = value.detach().clone()
        torch.distributed.all_reduce(total)
        return total

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors by what the main process has in them."""
        if self.world == 1:
            return
        with torch.no_grad():
            for kind in dict.fromkeys(one.dtype for one in tensors):
                group = [one for one in tensors if one.dtype == kind]
                flat = torch.cat([one.flatten() for one in group])
                torch.distributed.broadcast(flat, src=0)
                for one, part in zip(group, flat.split([one.numel() for one in group])):
                    one.copy_(part.view_as(one))

    def parallel(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that its gradients are the mean over all processes; alone it stays as it is.

        Buffers are not shared: `broadcast` does that when they have changed.
        """
        if self.world == 1:
            return module
        devices = None if self.device.type == "cpu" else [self.device]
        kind = partial(nn.parallel.DistributedDataParallel, module, devices, gradient_as_bucket_view=True)
        # One option of two names, the older of which is deprecated.
        if "forward_sync_buffers" in inspect.signature(nn.parallel.DistributedDataParallel).parameters:
            return kind(forward_sync_buffers=False)
        return kind(broadcast_buffers=False)

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Say in one sentence that the others of the group are gone, where the block finds no answer of them."""
        try:
            yield
        except Exception as error:
            if self.world == 1 or not _is_lost(error):
                raise
            raise BacklightError(
                f"process {self.rank} of {self.world} has lost the others: one of them, or its machine, has ended",
                hint="see what that one said; torchrun --max-restarts=3 goes on by itself",
            ) from error


def make_engine(device: str = "auto", part: Share | None = None) -> Engine:
    """Choose the device and join the other processes, if there are any.

    `device` is "auto" (the accelerator if there is one, else the CPU) or a torch device; `part` is the share of a
    process that only works on blocks. Raises `UsageError` for a device that is not there, and for a share under
    `torchrun`.

    >>> make_engine("cpu").device
    device(type='cpu')
    """
    chosen = choose_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Engine(chosen, part=part)
    if part is not None:
        raise UsageError(f"share {part} of the blocks under torchrun", expected="one of the two")
    if chosen.type != "cpu" and chosen.index is None:
        chosen = torch.device(chosen.type, int(os.environ.get("LOCAL_RANK", "0")))
        torch.accelerator.set_device_index(chosen)
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if not torch.distributed.is_initialized():
        with Engine(chosen, rank, world).connected():
            _join(_BACKENDS.get(chosen.type), rank, world)
    return Engine(chosen, torch.distributed.get_rank(), torch.distributed.get_world_size())


def _join(backend: str | None, rank: int, world: int) -> None:
    store = store_of_torchrun()
    if store is None:
        torch.distributed.init_process_group(backend)
    else:
        torch.distributed.init_process_group(backend, store=meet(store, rank, world), rank=rank, world_size=world)


def choose_device(device: str = "auto") -> torch.device:
    """Turn "auto" or the name of a device into a device that exists; raises `UsageError`.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return torch.device("cpu") if found is None else found
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UsageError(f"device {device!r} ({reason})", expected="auto, cpu, cuda, cuda:1, mps") from None
    return chosen


def _named(error: Exception | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"


def _is_lost(error: BaseException | None) -> bool:
    """Whether an error comes of a connection between processes; gloo's errors have no class of their own."""
    while error is not None:
        if isinstance(error, torch.distributed.DistError):
            return True
        if isinstance(error, RuntimeError) and "gloo" in str(error).lower():
            return True
        error = error.__cause__
    return False
