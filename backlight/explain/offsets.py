"""What every call of a pass adds besides what is linear in its input: f(x) - f'(x) x.

The bias of a layer is one, on whatever axis it acts; a clipped unit, a GELU and a normalization add some too. A
`TorchFunctionMode` notes them in one forward pass, so that modules, functions and methods are alike, and nothing is
changed in the model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten


class Offset(NamedTuple):
    """One call: its `output` in the graph, and the `bias` that it adds, which broadcasts to the output.

    `channels` is the axis of the output's channels where the bias belongs to places of the image, else None; 0 stands
    for an axis that the shape has to tell.
    """

    output: Tensor
    bias: Tensor
    channels: int | None


class Offsets(TorchFunctionMode):
    """Note the offsets of every call inside the block that depends on an input which requires a gradient.

    Calls count from the moment that `within` lets them.

    >>> x = torch.tensor([-1.0, 2.0, 9.0], requires_grad=True)
    >>> with Offsets() as offsets:
    ...     offsets.counts = True
    ...     y = F.relu6(x + 1)
    >>> [one.bias.tolist() for one in offsets.found]
    [[1.0, 1.0, 1.0], [0.0, 0.0, 6.0]]
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Offset] = []
        self.counts = False

    @contextmanager
    def within(self, module: nn.Module) -> Iterator[None]:
        """Count calls from where this thread enters the module: normalization belongs to the input."""
        owner = threading.get_ident()

        def begin(*_: Any) -> None:
            self.counts = self.counts or threading.get_ident() == owner

        handle = module.register_forward_pre_hook(begin)
        try:
            with self:
                yield
        finally:
            handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        reader = _READERS.get(func) if self.counts and torch.is_grad_enabled() else None
        if reader is None:
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction(), torch.enable_grad():
            read = reader(func, args, kwargs)  # before the call, which may change its input in place
        output = func(*args, **kwargs)
        first, *others = output if isinstance(output, tuple) else (output,)
        if read is None or not _depends(first) or not bool(read[0].any()):
            return output
        self.found.append(Offset(first, *read))
        kept = first.clone()  # what is changed in place later on is not what was noted
        return (kept, *others) if isinstance(output, tuple) else kept


Read = tuple[Tensor, int | None] | None
Reader = Callable[[Any, tuple[Any, ...], dict[str, Any]], Read]


def _depends(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _at(place: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kwargs[name] if name in kwargs else args[place] if len(args) > place else None


def _convolution(_func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Read:
    bias, weight = _at(2, "bias", args, kwargs), _at(1, "weight", args, kwargs)
    return None if bias is None else (bias.detach().view(-1, *[1] * (weight.ndim - 2)), 1)


def _linear(_func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Read:
    bias = _at(2, "bias", args, kwargs)
    return None if bias is None else (bias.detach(), -1)


def _batch_norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Read:
    inputs, mean, variance, weight, bias = (
        _at(place, name, args, kwargs)
        for place, name in enumerate(("input", "running_mean", "running_var", "weight", "bias"))
    )
    if _at(5, "training", args, kwargs) or mean is None:
        return _normalization(func, args, kwargs)
    eps = _at(7, "eps", args, kwargs)
    scale = torch.rsqrt(variance + (1e-5 if eps is None else eps)) * (1 if weight is None else weight)
    offset = -mean * scale + (0 if bias is None else bias)
    return offset.detach().view(-1, *[1] * (inputs.ndim - 2)), 1


def _along(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], channels: int | None) -> Read:
    """Subtract from the output the derivative along all inputs that depend on the image."""
    flat, where = tree_flatten((args, kwargs))
    places = [place for place, value in enumerate(flat) if _depends(value)]
    leaves = [flat[place].detach().requires_grad_(True) for place in places]
    for place, leaf in zip(places, leaves, strict=True):
        flat[place] = leaf
    again, named = tree_unflatten(flat, where)
    with sdpa_kernel(SDPBackend.MATH):  # the derivative of the fused kernels has none itself
        output = func(*again, **named)
    output = output[0] if isinstance(output, tuple) else output
    # The derivative along the inputs, from a backward pass that is linear in what it is given.
    given = torch.zeros_like(output, requires_grad=True)
    slopes = torch.autograd.grad(output, leaves, given, create_graph=True)
    total = sum((slope * leaf.detach()).sum() for slope, leaf in zip(slopes, leaves, strict=True))
    (along,) = torch.autograd.grad(total, given)
    return (output - along).detach(), channels


def _normalization(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Read:
    return _along(func, args, kwargs, 0)


def _unplaced(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Read:
    return _along(func, args, kwargs, None)


def _pointwise(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Read:
    places = [place for place, value in enumerate(args) if _depends(value)]
    if len(places) > 1 or not (places or _depends(kwargs.get("input"))):
        return None
    leaf = (args[places[0]] if places else kwargs["input"]).detach().clone().requires_grad_(True)
    copy = leaf.clone()  # functions that work in place may have it
    given = [copy if place in places else value for place, value in enumerate(args)]
    output = func(*given, **(kwargs if places else {**kwargs, "input": copy}))
    if output.shape != leaf.shape:
        return None
    (slope,) = torch.autograd.grad(output.sum(), leaf)
    bias = (output - slope * leaf).detach()
    return bias, 0


def _constants(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Read:
    """Return what is left where all that depends on the input is zero: what a sum or a concatenation adds."""
    constants: list[Tensor] = []

    def silent(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(silent(one) for one in value)
        if _depends(value):
            return torch.zeros_like(value)
        if isinstance(value, Tensor):
            constants.append(value)
            return value.clone()
        return value

    given, named = [silent(one) for one in args], {name: silent(value) for name, value in kwargs.items()}
    if not constants and not any(isinstance(one, (int, float)) for one in args):
        return None
    bias = func(*given, **named).detach()
    per_channel = all(sum(size > 1 for size in one.shape) <= 1 for one in constants)
    return bias, 0 if per_channel and func not in _JOINS else None


def _product(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Read:
    """Return minus the output where both factors depend on the input: x y - (x y + x y)."""
    if len(args) < 2 or not (_depends(args[0]) and _depends(args[1])):
        return None
    given = (args[0].detach().clone(), args[1].detach())
    return -func(*given, *args[2:], **kwargs), None


_SPACES = (F, torch, Tensor, torch._C._nn, torch.special)
_NAMES: tuple[tuple[Reader, str], ...] = (
    (_convolution, "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d"),
    (_linear, "linear"),
    (_batch_norm, "batch_norm"),
    (_normalization, "layer_norm group_norm rms_norm instance_norm normalize"),
    (
        _unplaced,
        "softmax log_softmax logsumexp scaled_dot_product_attention multi_head_attention_forward div __truediv__",
    ),
    (
        _pointwise,
        "relu relu6 hardtanh threshold leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid "
        "sigmoid tanh softplus softsign logsigmoid hardshrink softshrink tanhshrink clamp clamp_min clamp_max clip "
        "maximum minimum exp expm1 log log1p sqrt rsqrt square pow __pow__ reciprocal sin cos erf where abs",
    ),
    (_constants, "add sub subtract rsub __add__ __radd__ __iadd__ __sub__ __rsub__ __isub__ cat concat stack pad"),
    (_product, "mul multiply __mul__ __rmul__ __imul__ matmul __matmul__ bmm"),
)
_JOINS = {torch.cat, torch.concat, torch.stack, F.pad}
_READERS: dict[Any, Reader] = {
    getattr(space, spelling): reader
    for reader, names in _NAMES
    for name in names.split()
    for spelling in (name, f"{name}_")
    for space in _SPACES
    if hasattr(space, spelling)
}
