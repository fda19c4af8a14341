"""Guided backpropagation and deconvnet without touching the model.

A `TorchFunctionMode` replaces every rectifier call of one forward pass (module, functional, method, in-place or
reused alike) by an autograd function whose backward rule can be switched afterwards. So the plain gradient and
the guided one come from the same forward pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from backlight.core.errors import ModelError

RULES = ("plain", "guided", "deconvnet", "redirected")


@dataclass
class Switch:
    """Describe which backward rule all rectifiers of a pass follow, and count the calls that were seen.

    `rectifiers` counts the calls that follow the rule, `others` the activations that keep their own derivative.

    >>> Switch().rule
    'plain'
    """

    rule: str = "plain"
    rectifiers: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)

    def require_hits(self, method: str) -> None:
        """Raise ModelError that names the activations found where no call was rectified."""
        if not self.rectifiers:
            found = ", ".join(f"{name} x{count}" for name, count in self.others.items()) or "no activation at all"
            raise ModelError(
                f"{method} found no ReLU to override (it found {found}) and would equal the plain gradient",
                expected="ReLU, ReLU6, Hardtanh or Threshold",
                hint="saliency, smoothgrad or integrated_gradients",
            )


class _Rectify(torch.autograd.Function):
    """Clip to [low, high] with a switchable backward rule (Springenberg et al., 2015, figure 1)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, low: float, high: float, inplace: bool, switch: Switch) -> Tensor:
        ctx.low, ctx.high, ctx.switch = low, high, switch
        # Where no gradient arrives none goes on: zeros would look like one.
        ctx.set_materialize_grads(False)
        if inplace:
            ctx.mark_dirty(inputs)
            outputs = inputs.clamp_(low, high)
        else:
            outputs = inputs.relu() if (low, high) == (0.0, torch.inf) else inputs.clamp(low, high)
        # What the native operations save too, so exactly the later in-place changes that they bear are borne.
        ctx.save_for_backward(inputs if not inplace and high < torch.inf else outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        (upstream,) = gradients
        if upstream is None:
            return None, None, None, None, None
        (saved,) = ctx.saved_tensors
        if ctx.switch.rule == "redirected":
            return _redirected(upstream, saved, ctx.low, ctx.high), None, None, None, None
        if ctx.switch.rule != "plain":
            upstream = upstream.clamp(min=0)
        if ctx.switch.rule != "deconvnet":
            if ctx.high == torch.inf:
                upstream = torch.ops.aten.threshold_backward(upstream, saved, ctx.low)
            else:
                upstream = torch.ops.aten.hardtanh_backward(upstream, saved, ctx.low, ctx.high)
        return upstream, None, None, None, None


def _redirected(upstream: Tensor, saved: Tensor, low: float, high: float) -> Tensor:
    """Let through, where an image's whole gradient would be blocked, what pushes dead units back to life."""
    plain = upstream * ((saved > low) & (saved < high))
    dead = ~plain.flatten(1).any(1)
    if not bool(dead.any()):
        return plain
    reviving = ((saved <= low) & (upstream > 0)) | ((saved >= high) & (upstream < 0))
    here = dead.view(-1, *[1] * (upstream.ndim - 1)) & reviving
    return torch.where(here, upstream, plain)


@dataclass(frozen=True)
class _Call:
    """One rectifier call, read from its arguments: clip `inputs` to [low, high]."""

    inputs: Tensor
    low: float = 0.0
    high: float = torch.inf
    inplace: bool = False


def _relu(input: Tensor, inplace: bool = False) -> _Call:  # noqa: A002 - torch's own keyword
    return _Call(input, inplace=inplace)


def _relu6(input: Tensor, inplace: bool = False) -> _Call:  # noqa: A002
    return _Call(input, high=6.0, inplace=inplace)


def _hardtanh(
    input: Tensor,  # noqa: A002
    min_val: float = -1.0,
    max_val: float = 1.0,
    inplace: bool = False,
) -> _Call:
    return _Call(input, float(min_val), float(max_val), inplace)


def _threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> _Call | None:  # noqa: A002
    return _Call(input, float(threshold), inplace=inplace) if threshold == value else None


def _clamp_min(input: Tensor, min: Any, inplace: bool = False) -> _Call | None:  # noqa: A002
    # Only clamp(min=0) is a ReLU by another name; other bounds guard against division by zero and the like.
    is_relu = isinstance(min, (int, float)) and min == 0 and input.is_floating_point()
    return _Call(input, inplace=inplace) if is_relu else None


def _clamp(input: Tensor, min: Any = None, max: Any = None, inplace: bool = False) -> _Call | None:  # noqa: A002
    return _clamp_min(input, min, inplace) if max is None else None


def _in_place(reader: Callable[..., _Call | None]) -> Callable[..., _Call | None]:
    return lambda *args, **kwargs: reader(*args, **{**kwargs, "inplace": True})


_READERS: dict[Any, Callable[..., _Call | None]] = {}
for _reader, _plain, _changing in (
    (_relu, (F.relu, torch.relu, Tensor.relu), (torch.relu_, Tensor.relu_)),
    (_relu6, (F.relu6,), ()),
    (_hardtanh, (F.hardtanh,), (F.hardtanh_,)),
    (_threshold, (F.threshold, torch.threshold), (torch.threshold_,)),
    (_clamp_min, (torch.clamp_min, Tensor.clamp_min), (torch.clamp_min_, Tensor.clamp_min_)),
    (_clamp, (torch.clamp, Tensor.clamp), (torch.clamp_, Tensor.clamp_)),
):
    _READERS |= {function: _reader for function in _plain}
    _READERS |= {function: _in_place(_reader) for function in _changing}

_OTHERS = {
    F.gelu: "GELU",
    F.silu: "SiLU",
    F.hardswish: "Hardswish",
    F.leaky_relu: "LeakyReLU",
    F.elu: "ELU",
    F.selu: "SELU",
    F.celu: "CELU",
    F.prelu: "PReLU",
    torch.prelu: "PReLU",
    F.mish: "Mish",
    F.softplus: "Softplus",
    torch.tanh: "tanh",
    Tensor.tanh: "tanh",
}


class Rectifiers(TorchFunctionMode):
    """Route every rectifier call inside the block through `switch`.

    >>> switch = Switch()
    >>> x = torch.tensor([-1.0, 2.0], requires_grad=True)
    >>> with Rectifiers(switch):
    ...     y = (-F.relu(x)).sum()
    >>> switch.rule = "guided"
    >>> torch.autograd.grad(y, x)[0], dict(switch.rectifiers)
    (tensor([0., 0.]), {'relu': 1})
    """

    def __init__(self, switch: Switch) -> None:
        super().__init__()
        self.switch = switch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        reader = _READERS.get(func)
        call = reader(*args, **kwargs) if reader is not None else None
        if call is None:
            if func in _OTHERS:
                self.switch.others[_OTHERS[func]] += 1
            return func(*args, **kwargs)
        self.switch.rectifiers[func.__name__.rstrip("_")] += 1
        return _Rectify.apply(call.inputs, call.low, call.high, call.inplace, self.switch)
