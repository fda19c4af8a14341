"""Measures: functions of a view with a number, or yes or no, per image; they combine like formulas."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.pixels.describe import brief
from backlight.pixels.view import View, guarded

# How tightly each operator binds in Python, so that a printed formula can be read back.
_COMPARE, _OR, _AND, _SUM, _PRODUCT, _UNARY, _ATOM = range(7)


class Measure:
    """Judge each picture of a view: an objective, a verdict, or which picture to keep.

    `function` maps a `View` to a tensor `[A]`, floats or booleans; `name` is how formulas show it; `layers` are
    the outputs that it reads (none for a measure of the pixels alone). Measures combine by
    `+ - * > < >= <= & | ~` with each other, with numbers and with per-image tensors `[B]`.

    >>> brightness = Measure(lambda view: view.images.flatten(1).mean(1), "brightness", layers=())
    >>> 2 * brightness - 1
    2 * brightness - 1
    >>> (brightness > 0.5).evaluate(None, torch.full((1, 3, 2, 2), 0.7))
    tensor([True])
    """

    def __init__(
        self,
        function: Callable[[View], Tensor],
        name: str,
        *,
        layers: Iterable[str] = ("logits",),
        binding: int = _ATOM,
    ) -> None:
        self.function, self.name, self.layers, self.binding = function, name, frozenset(layers), binding

    def __call__(self, view: View) -> Tensor:
        """Return one value per image of the view, `[A]`."""
        values = self.function(view)
        if values.shape != (len(view),):
            raise InputError(f"{self} gave shape {list(values.shape)}", expected=f"one value per image [{len(view)}]")
        return values

    def __repr__(self) -> str:
        return self.name

    def evaluate(self, classifier: Classifier | None, images: Tensor) -> Tensor:
        """Judge pictures `[B,C,H,W]` in one pass without gradients: `[B]`."""
        with torch.no_grad(), guarded(classifier):
            return self(View(classifier, images, layers=self.layers))

    def __add__(self, other: Measure | float | Tensor) -> Measure:
        return _combine(operator.add, "+", self, other, _SUM)

    def __radd__(self, other: float | Tensor) -> Measure:
        return _combine(operator.add, "+", other, self, _SUM)

    def __sub__(self, other: Measure | float | Tensor) -> Measure:
        return _combine(operator.sub, "-", self, other, _SUM)

    def __rsub__(self, other: float | Tensor) -> Measure:
        return _combine(operator.sub, "-", other, self, _SUM)

    def __mul__(self, other: Measure | float | Tensor) -> Measure:
        return _combine(operator.mul, "*", self, other, _PRODUCT)

    def __rmul__(self, other: float | Tensor) -> Measure:
        return _combine(operator.mul, "*", other, self, _PRODUCT)

    def __gt__(self, other: Measure | float | Tensor) -> Measure:
        return _combine(operator.gt, ">", self, other, _COMPARE)

    def __lt__(self, other: Measure | float | Tensor) -> Measure:
        return _combine(operator.lt, "<", self, other, _COMPARE)

    def __ge__(self, other: Measure | float | Tensor) -> Measure:
        return _combine(operator.ge, ">=", self, other, _COMPARE)

    def __le__(self, other: Measure | float | Tensor) -> Measure:
        return _combine(operator.le, "<=", self, other, _COMPARE)

    def __and__(self, other: Measure) -> Measure:
        return _combine(operator.and_, "&", self, other, _AND)

    def __or__(self, other: Measure) -> Measure:
        return _combine(operator.or_, "|", self, other, _OR)

    def __neg__(self) -> Measure:
        return _apply(operator.neg, "-", self)

    def __invert__(self) -> Measure:
        return _apply(operator.invert, "~", self)


def _apply(function: Callable[[Tensor], Tensor], sign: str, measure: Measure) -> Measure:
    name = sign + _inside(measure, _UNARY)
    return Measure(lambda view: function(measure(view)), name, layers=measure.layers, binding=_UNARY)


def _combine(
    function: Callable[[Tensor, Tensor], Tensor],
    sign: str,
    left: Measure | float | Tensor,
    right: Measure | float | Tensor,
    binding: int,
) -> Measure:
    first, second = _as_measure(left), _as_measure(right)
    # Python reads a - b - c from the left, and a < b < c as something else altogether.
    names = _inside(first, binding + (binding == _COMPARE)), _inside(second, binding + 1)

    def combined(view: View) -> Tensor:
        return function(first(view), second(view))

    return Measure(combined, f" {sign} ".join(names), layers=first.layers | second.layers, binding=binding)


def _inside(measure: Measure, binding: int) -> str:
    return measure.name if measure.binding >= binding else f"({measure.name})"


def _as_measure(value: Measure | float | Tensor) -> Measure:
    if isinstance(value, Measure):
        return value
    if not isinstance(value, int | float | Tensor) or (isinstance(value, Tensor) and value.ndim > 1):
        raise InputError(
            f"{brief(value)} in a formula of measures", expected="a measure, a number or one per image [B]"
        )

    def constant(view: View) -> Tensor:
        picked = view.pick(value)
        if not isinstance(picked, Tensor):
            picked = torch.tensor(picked, dtype=view.images.dtype, device=view.images.device)
        return picked.expand(len(view))

    return Measure(constant, brief(value), layers=())
