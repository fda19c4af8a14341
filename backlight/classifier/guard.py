"""Leave a module exactly as it was, whoever looks at it and in how many threads.

Explaining or attacking a model must not train it, thaw it, or switch its mode. Inside the guard every submodule is
in evaluation mode and every parameter is frozen; when the last one leaves, also after an exception, modes,
`requires_grad`, `.grad` and buffers are what they were before the first came. Threads that share a module share its
guard: they count themselves in and out, and its passes take turns (`Hold.lock`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Hold:
    """How many hold one module, what puts it back, and the lock that lets one pass run at a time."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.RLock()
        self.shares: list[_Share] = []


class _Share:
    """One submodule, parameter or buffer: several modules may share it, and the last puts it back."""

    def __init__(self, restore: Callable[[], None]) -> None:
        self.count, self.restore = 0, restore


_LOCK = threading.RLock()
_HOLDS: dict[int, Hold] = {}
_SHARES: dict[tuple[str, int, str], _Share] = {}


@contextmanager
def untouched(module: nn.Module, *more: nn.Module) -> Iterator[Hold]:
    """Hold `module`, and `more` that it runs, in evaluation mode with frozen parameters; restore all exactly.

    May be nested, and entered by several threads.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    >>> with untouched(net):
    ...     (net.training, net[0].weight.requires_grad)
    (False, False)
    >>> (net.training, net[0].weight.requires_grad)
    (True, True)
    """
    hold = _enter(module, more)
    try:
        yield hold
    finally:
        _leave(module, hold)


def _enter(module: nn.Module, more: tuple[nn.Module, ...]) -> Hold:
    with _LOCK:
        hold = _HOLDS.setdefault(id(module), Hold())
        hold.count += 1
        if hold.count == 1:
            try:
                for one in (module, *more):
                    _take(one, hold)
            except BaseException:
                _leave(module, hold)
                raise
        return hold


def _leave(module: nn.Module, hold: Hold) -> None:
    with _LOCK:
        hold.count -= 1
        if hold.count:
            return
        del _HOLDS[id(module)]
        for share in hold.shares:
            share.count -= 1
            if not share.count:
                share.restore()


def _take(module: nn.Module, hold: Hold) -> None:
    for part in module.modules():
        _share(hold, ("mode", id(part), ""), part, _still)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                _share(hold, ("buffer", id(part), name), (part, name, buffer), _kept)
    for parameter in module.parameters():
        _share(hold, ("parameter", id(parameter), ""), parameter, _frozen)


def _share(hold: Hold, key: tuple[str, int, str], thing: Any, change: Callable[[Any], Callable[[], None]]) -> None:
    share = _SHARES.get(key)
    if share is None:
        put_back = change(thing)

        def restore() -> None:
            del _SHARES[key]
            put_back()

        share = _SHARES[key] = _Share(restore)
    share.count += 1
    hold.shares.append(share)


def _still(part: nn.Module) -> Callable[[], None]:
    # Frozen TorchScript modules have no mode. Not part.train(False): overridden train() may do more.
    if not hasattr(part, "training"):
        return lambda: None
    mode = part.training
    part.training = False

    def restore() -> None:
        part.training = mode

    return restore


def _frozen(parameter: nn.Parameter) -> Callable[[], None]:
    required, gradient = parameter.requires_grad, parameter.grad
    parameter.requires_grad_(False)

    def restore() -> None:
        parameter.requires_grad_(required)
        if parameter.grad is not gradient:
            parameter.grad = gradient

    return restore


def _kept(place: tuple[nn.Module, str, Tensor]) -> Callable[[], None]:
    part, name, buffer = place
    saved = buffer.detach().clone()

    def restore() -> None:
        part._buffers[name] = buffer
        with torch.no_grad(), torch.inference_mode(buffer.is_inference()):
            if not torch.equal(buffer, saved):
                buffer.copy_(saved)

    return restore


def in_this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Return a forward hook that acts only in the thread that made it: others may run the same module.

    >>> net, seen = nn.Identity(), []
    >>> handle = net.register_forward_hook(in_this_thread(lambda *_: seen.append(1)))
    >>> thread = threading.Thread(target=net, args=(torch.zeros(1),))
    >>> thread.start(), thread.join(), net(torch.zeros(1)), seen
    (None, None, tensor([0.]), [1])
    """
    owner = threading.get_ident()

    def act(*arguments: Any) -> Any:
        return hook(*arguments) if threading.get_ident() == owner else None

    return act
