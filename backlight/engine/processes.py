"""Devices, precision and processes. The only file that imports accelerate.

Started by `python` there is one process and accelerate is not even imported; started by `torchrun` or
`accelerate launch` the environment names the others. No random state and no data order lives here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from backlight.errors import DataError, InputError, UsageError

if TYPE_CHECKING:
    from accelerate import PartialState

T = TypeVar("T")
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Engine:
    """Hold this process's device, its rank and how many there are.

    >>> engine = make_engine("cpu")
    >>> engine.rank, engine.world, engine.is_main, engine.shard(4).tolist()
    (0, 1, True, [0, 1, 2, 3])
    """

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and draws progress."""
        return self.rank == 0

    def shard(self, count: int) -> Tensor:
        """Return this process's rows of `count`, int64: every `world`-th, none twice, none padded."""
        return torch.arange(count)[self.rank :: self.world]

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            _state().wait_for_everyone()

    def main_first(self) -> AbstractContextManager[object]:
        """Let the main process go through a block before the others, as for a file that it caches."""
        return _state().main_process_first() if self.world > 1 else nullcontext()

    def gather(self, rows: Tensor, values: Tensor, count: int) -> Tensor:
        """Put the values [A, ...] of every process's rows, int64 [A], into their places: [count, ...] on the CPU.

        Processes may hold different numbers of rows, also none. Every process gets the result. Raises
        `DataError` unless each of the `count` rows came exactly once.

        >>> make_engine("cpu").gather(torch.tensor([1, 0]), torch.tensor([10.0, 20.0]), 2)
        tensor([20., 10.])
        """
        if len(rows) != len(values):
            raise InputError(f"{len(rows)} rows and {len(values)} values", expected="equal numbers")
        everything = self.gather_objects((rows.cpu(), values.detach().cpu()))
        places = torch.cat([part for part, _ in everything])
        seen = places.bincount(minlength=count) if len(places) else torch.zeros(count, dtype=torch.int64)
        if len(seen) != count or bool((seen != 1).any()):
            wrong = (seen != 1).nonzero()[:3, 0].tolist()
            raise DataError(f"{len(places)} rows gathered, {wrong} not once", expected=f"each of {count} once")
        filled = [part for _, part in everything if len(part)]
        result = values.detach().cpu().new_empty(count, *values.shape[1:])
        if filled:
            result = filled[0].new_empty(count, *filled[0].shape[1:])
            result[places] = torch.cat(filled)
        return result

    def gather_objects(self, thing: T) -> list[T]:
        """Collect one plain object of every process, in the order of ranks, in all of them."""
        if self.world == 1:
            return [thing]
        everything: list[T] = [thing] * self.world
        torch.distributed.all_gather_object(everything, thing)
        return everything

    def share(self, make: Callable[[], T]) -> T:
        """Compute something in the main process only, and hand it to all, as a probe's choice."""
        thing = [make() if self.is_main else None]
        if self.world > 1:
            torch.distributed.broadcast_object_list(thing, src=0)
        return thing[0]  # type: ignore[return-value]

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
        return nn.parallel.DistributedDataParallel(
            module, devices, gradient_as_bucket_view=True, broadcast_buffers=False
        )

    def autocast(self, precision: str = "float32") -> AbstractContextManager[object]:
        """Open mixed precision for a forward pass: float32 (none), bfloat16 or float16.

        >>> with make_engine("cpu").autocast("bfloat16"):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
        """
        check_precision(precision)
        kind = PRECISIONS[precision]
        return nullcontext() if kind is None else torch.autocast(self.device.type, kind)


def make_engine(device: str = "auto") -> Engine:
    """Choose the device and join the other processes, if there are any.

    `device` is "auto" (the accelerator if there is one, else the CPU) or a torch device. Raises `UsageError` for a
    device that is not there.

    >>> make_engine("cpu").device
    device(type='cpu')
    """
    chosen = choose_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Engine(chosen)
    state = _state(cpu=chosen.type == "cpu")
    return Engine(chosen if chosen.type == "cpu" else state.device, state.process_index, state.num_processes)


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


def check_precision(precision: str) -> str:
    """Return the name of a precision; raises `UsageError` for one that is not known.

    >>> check_precision("bfloat16")
    'bfloat16'
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r}", expected=f"one of {list(PRECISIONS)}")
    return precision


def choose_precision(precision: str, device: torch.device) -> str:
    """Settle "auto": float32 on a CPU; bfloat16 where an accelerator computes in it.

    >>> choose_precision("auto", torch.device("cpu"))
    'float32'
    """
    if precision != "auto":
        return check_precision(precision)
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16"
    return "float32"


def _state(cpu: bool = False) -> PartialState:
    from accelerate import PartialState  # keeps one shared state itself: later calls join it

    return PartialState(cpu=cpu)
