"""What a piece of a problem says about itself: a short text for people."""

from __future__ import annotations

from types import FunctionType

from torch import Tensor


def brief(value: object) -> str:
    """Write a value as in a formula: tensors by their shape, everything else in full.

    >>> import torch
    >>> brief(torch.zeros(64, 10)), brief(torch.tensor(0.5)), brief("linf")
    ('tensor[64, 10]', '0.5', "'linf'")
    """
    if isinstance(value, Tensor):
        return f"tensor{list(value.shape)}" if value.ndim else f"{value.item():g}"
    if isinstance(value, FunctionType):
        return value.__name__
    return repr(value)


class Brief:
    """Return a class a one-line `repr` of its attributes that never prints a whole tensor."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(brief, vars(self).values()))})"
