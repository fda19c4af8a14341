"""The one call of a module, in evaluation and in training, and the output found in whatever it returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from backlight.core.chunks import is_out_of_memory
from backlight.core.errors import BacklightError, ModelError

_WRAP = "wrap it: Classifier.from_module(lambda images: model(images){}, ...)"


class Output(NamedTuple):
    """One row per picture `[B,K]`, and what a reader must know of how it was found."""

    values: Tensor
    note: str = ""


def call_module(module: nn.Module, inputs: Tensor, *, width: int | None = None) -> Output:
    """Call a module on inputs `[B,C,H,W]` and find its output `[B,K]`.

    A tensor is taken as it is. Of an object with `.logits` or a mapping with `"logits"` these are taken, of a tuple,
    list or other mapping the first tensor `[B,K]`, or the first with `width` columns; a note names what is dropped. A
    tensor `[B]` counts as `[B,1]`.

    Raises ModelError where there is none, where its rows are not one per picture, where it holds no floats, and for
    whatever the module raises.

    >>> call_module(nn.Flatten(), torch.zeros(2, 3, 1, 1)).values.shape
    torch.Size([2, 3])
    """
    with named_as_the_models(f"given {shape_of(inputs)}"):
        returned = module(inputs)
    found = find_output(returned, len(inputs), width=width)
    return found._replace(values=found.values.to(inputs.device))


@contextmanager
def named_as_the_models(when: str) -> Iterator[None]:
    """Turn an exception of the code inside, which is the model's, into a ModelError that names it as such.

    It is the cause of the error. Errors of this program pass, and so does what ends a process.

    >>> with named_as_the_models("given [2, 3]"):
    ...     torch.zeros(2, 3) @ torch.zeros(2, 3)
    Traceback (most recent call last):
    backlight.core.errors.ModelError: the model itself failed, given [2, 3]: RuntimeError: mat1 and mat2 shapes...
    """
    try:
        yield
    except BacklightError:
        raise
    except Exception as error:
        hint = "fewer pictures at a time, or smaller ones" if is_out_of_memory(error) else ""
        raise ModelError(f"the model itself failed, {when}: {_described(error)}", hint=hint) from error


def _described(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # TorchScript puts its own traceback before what happened.
    told = lines[-1] if isinstance(error, torch.jit.Error) else lines[0]
    return f"{type(error).__name__}: {told}"


def find_output(returned: Any, count: int, *, width: int | None = None) -> Output:
    """Find the output `[B,K]` for `count` pictures in what a module returned, as `call_module` says.

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
    items = list(_items(returned))
    found = [(name, one) for name, one in items if _fits(one, count)]
    if not found:
        held = ", ".join(f"{name}: {shape_of(one)}" for name, one in items[:6]) or "nothing"
        raise ModelError(
            f"the model returns {kind} ({held})", expected=f"logits [{count}, classes]", hint=_way_out(returned, items)
        )
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
    elif is_dataclass(returned):
        yield from ((one.name, getattr(returned, one.name, None)) for one in fields(returned))


def _way_out(returned: Any, items: Sequence[tuple[str, Any]]) -> str:
    if returned is None:
        return "return the logits from its forward(), or wrap it"
    if isinstance(returned, np.ndarray):
        return "return the tensor, or wrap it with torch.from_numpy(...) for what needs no gradient"
    name = items[0][0] if items else "logits"
    access = f".{name}" if name.isidentifier() else f"[{name}]"
    return _WRAP.format(access) + f", with what finds the logits in place of {access}"


def _fits(value: Any, count: int) -> bool:
    return isinstance(value, Tensor) and value.ndim == 2 and len(value) == count and value.is_floating_point()


def _checked(output: Tensor, count: int) -> Tensor:
    output = output.dequantize() if output.is_quantized else output
    output = output.to_dense() if output.layout != torch.strided else output
    shape = shape_of(output)
    if output.ndim == 0 or len(output) != count:
        raise ModelError(
            f"the model returns {shape} for {count} pictures",
            expected=f"one row per picture, [{count}, classes]",
            hint="look in the network for a mean, squeeze or index over the batch, its first dimension",
        )
    if not output.is_floating_point():
        way = "take its .real or .abs()" if output.is_complex() else "leave out its argmax or threshold"
        raise ModelError(f"the model returns {output.dtype}", expected="logits, as floats", hint=way)
    if output.ndim == 1:
        return output[:, None]
    if output.ndim != 2:
        flat = all(side == 1 for side in output.shape[2:])
        way = "nn.Sequential(model, nn.Flatten())" if flat else "wrap it: lambda images: model(images).mean((2, 3))"
        raise ModelError(f"the model returns {shape}", expected=f"logits [{count}, classes]", hint=way)
    return output


def shape_of(value: Any) -> str:
    """Write the shape of a tensor, or the type of anything else.

    >>> shape_of(torch.zeros(2, 3)), shape_of(None)
    ('[2, 3]', 'NoneType')
    """
    return f"[{', '.join(map(str, value.shape))}]" if isinstance(value, Tensor) else type(value).__name__
