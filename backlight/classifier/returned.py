"""The one call of a module, in evaluation and in training, and the output found in whatever it returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from backlight.core.errors import ModelError

_WRAP = (
    "wrap it: Classifier.from_module(lambda images: model(images)[0], ...), with what finds the logits in place of [0]"
)


class Output(NamedTuple):
    """One row per picture `[B,K]`, and what a reader must know of how it was found."""

    values: Tensor
    note: str = ""


def call_module(module: nn.Module, inputs: Tensor, *, width: int | None = None) -> Output:
    """Call a module on inputs `[B,C,H,W]` and find its output `[B,K]`.

    A tensor is taken as it is. Of an object with `.logits` or a mapping with `"logits"` these are taken, of a tuple,
    list or other mapping the first tensor `[B,K]`, or the first with `width` columns; a note names what is dropped. A
    tensor `[B]` counts as `[B,1]`.

    Raises ModelError where there is none, where its rows are not one per picture, and where it holds no floats.

    >>> import torch
    >>> call_module(nn.Flatten(), torch.zeros(2, 3, 1, 1)).values.shape
    torch.Size([2, 3])
    """
    return find_output(module(inputs), len(inputs), width=width)


def find_output(returned: Any, count: int, *, width: int | None = None) -> Output:
    """Find the output `[B,K]` for `count` pictures in what a module returned, as `call_module` says.

    >>> import torch
    >>> find_output({"features": torch.zeros(2, 3, 4, 4), "logits": torch.zeros(2, 5)}, 2).values.shape
    torch.Size([2, 5])
    """
    if isinstance(returned, Tensor):
        return Output(_checked(returned, count))
    kind = type(returned).__name__
    named = _named(returned)
    if named is not None:
        return Output(
            _checked(named, count), f"the model returns {kind}: its logits are used, anything else is dropped"
        )
    found = [(name, one) for name, one in _items(returned) if _fits(one, count)]
    if not found:
        held = ", ".join(f"{name}: {_shape(one)}" for name, one in list(_items(returned))[:6]) or "nothing"
        raise ModelError(f"the model returns {kind} ({held})", expected=f"logits [{count}, classes]", hint=_WRAP)
    name, chosen = next(((name, one) for name, one in found if one.ndim == 2 and one.shape[1] == width), found[0])
    return Output(
        _checked(chosen, count),
        f"the model returns {kind}: its item {name} is taken for the {chosen.shape[1]} logits, all else is dropped",
    )


def _named(returned: Any) -> Tensor | None:
    value = returned.get("logits") if isinstance(returned, Mapping) else getattr(returned, "logits", None)
    return value if isinstance(value, Tensor) else None


def _items(returned: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(returned, Mapping):
        yield from ((repr(key), value) for key, value in returned.items())
    elif isinstance(returned, Sequence) and not isinstance(returned, str | bytes):
        yield from ((str(place), value) for place, value in enumerate(returned))


def _fits(value: Any, count: int) -> bool:
    return isinstance(value, Tensor) and value.ndim == 2 and len(value) == count and value.is_floating_point()


def _checked(output: Tensor, count: int) -> Tensor:
    output = output.dequantize() if output.is_quantized else output
    shape = _shape(output)
    if output.ndim == 0 or len(output) != count:
        raise ModelError(
            f"the model returns {shape} for {count} pictures",
            expected=f"one row per picture, [{count}, classes]",
            hint="look in the network for a mean, squeeze or index over the batch, its first dimension",
        )
    if not output.is_floating_point():
        raise ModelError(
            f"the model returns {output.dtype}", expected="logits, as floats", hint="leave out its argmax or threshold"
        )
    if output.ndim == 1:
        return output[:, None]
    if output.ndim != 2:
        flat = all(side == 1 for side in output.shape[2:])
        way = "nn.Sequential(model, nn.Flatten())" if flat else "wrap it: lambda images: model(images).mean((2, 3))"
        raise ModelError(f"the model returns {shape}", expected=f"logits [{count}, classes]", hint=way)
    return output


def _shape(value: Any) -> str:
    return f"[{', '.join(map(str, value.shape))}]" if isinstance(value, Tensor) else type(value).__name__
