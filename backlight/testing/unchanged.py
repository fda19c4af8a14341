"""Prove that a function left the model and the global random state as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()


def snapshot(module: nn.Module) -> dict[str, Any]:
    """Copy all that a caller could miss: identities, values, gradients, flags, modes, hooks, random states.

    >>> sorted(snapshot(nn.Linear(2, 2)))[:3]
    ['buffers', 'flags', 'gradients']
    """
    parts = list(module.named_modules())
    return {
        "modules": [(name, id(part), part.training) for name, part in parts],
        "hooks": [(name, kind, tuple(getattr(part, kind))) for name, part in parts for kind in HOOKS],
        "flags": [
            (name, id(p), p.requires_grad, id(p.grad) if p.grad is not None else None)
            for name, p in module.named_parameters()
        ],
        "buffers": [(name, id(b)) for name, b in module.named_buffers()],
        "values": [_copy(t) for t in (*module.parameters(), *module.buffers())],
        "gradients": [_copy(p.grad) for p in module.parameters()],
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(legacy=False)["state"]["key"].tolist(),  # noqa: NPY002
        "python": random.getstate(),
        "modes": (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
        ),
    }


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return torch.equal(left.nan_to_num(7.25), right.nan_to_num(7.25))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Fail unless `module`, its gradients, flags, modes and hooks and all global random states stay as they are.

    Raises AssertionError that names what changed, also where the body raises, so that it holds for exceptions in the
    middle.

    >>> net = nn.Linear(2, 2)
    >>> with unchanged(net):
    ...     _ = net.eval()
    Traceback (most recent call last):
    AssertionError: changed: modules
    """
    before = snapshot(module)
    try:
        yield
    finally:
        after = snapshot(module)
        changed = [name for name in before if not _same(before[name], after[name])]
        if changed:
            raise AssertionError(f"changed: {', '.join(changed)}")


def small_net(classes: int = 4, channels: int = 3, *, seed: int = 0) -> nn.Module:
    """Build a small CNN with BatchNorm statistics, dropout and in-place ReLU, in train mode, with gradients.

    >>> small_net(classes=2)(torch.rand(3, 3, 8, 8)).shape
    torch.Size([3, 2])
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3, padding=1),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(48, classes),
        )
        for part in net:
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None
                assert part.running_var is not None
                part.running_mean.normal_(0, 0.2)
                part.running_var.uniform_(0.5, 1.5)
        for index, parameter in enumerate(net.parameters()):
            parameter.grad = torch.randn_like(parameter)
            parameter.requires_grad_(index % 3 != 1)
    return net.train()


CALLERS = ("plain", "no_grad", "inference_mode", "frozen")


@contextmanager
def caller(module: nn.Module, state: str) -> Iterator[None]:
    """Call from the places people call from: plain, under no_grad, under inference_mode, with frozen parameters.

    >>> with caller(nn.Linear(2, 2), "inference_mode"):
    ...     torch.is_inference_mode_enabled()
    True
    """
    if state == "frozen":
        module.requires_grad_(False)
        yield
    elif state == "no_grad":
        with torch.no_grad():
            yield
    elif state == "inference_mode":
        with torch.inference_mode():
            yield
    else:
        yield
