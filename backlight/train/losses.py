"""Losses by name: what a network learns to make small, one number per picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from backlight.core.errors import InputError, UsageError
from backlight.core.grammar import parse_spec
from backlight.core.options import Option, options_of, read_options
from backlight.core.plugins import Registry

Loss = Callable[..., Tensor]
"""From logits `[A,K]` and labels int64 `[A]`, with options as keywords, to one number per picture `[A]`."""

_SMOOTHING = "label_smoothing"


@dataclass(frozen=True)
class LossCard:
    """One loss: its function, where it comes from, and when not to use it.

    A function with a keyword `label_smoothing` is handed the recipe's; others go with recipes without it.

    >>> list(LOSSES["focal"].options)
    ['gamma']
    """

    name: str
    function: Loss
    reference: str = "not stated"
    avoid: str = "not stated"

    @property
    def options(self) -> Mapping[str, Option]:
        """Return the options that may be written behind the name."""
        return options_of(self.function, hidden=(_SMOOTHING,))

    @property
    def smooths(self) -> bool:
        """Whether the loss takes label smoothing."""
        return _SMOOTHING in options_of(self.function)


def cross_entropy(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Compute the cross-entropy of each picture, `[A]`.

    >>> import torch
    >>> cross_entropy(torch.zeros(1, 2), torch.tensor([0]))
    tensor([0.6931])
    """
    return F.cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)


def focal(logits: Tensor, labels: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Compute the cross-entropy times (1 - p)^gamma, p the label's probability (Lin et al. 2017, arXiv:1708.02002).

    >>> import torch
    >>> focal(torch.zeros(1, 2), torch.tensor([0]))  # log(2) / 4
    tensor([0.1733])
    """
    losses = F.cross_entropy(logits, labels, reduction="none")
    return (-(-losses).expm1()).clamp(min=0).pow(gamma) * losses


LOSSES = Registry(
    "losses",
    "loss",
    (
        LossCard(
            "cross-entropy",
            cross_entropy,
            "the negative logarithm of the label's probability",
            "labels of which many are wrong: it pulls hardest at those",
        ),
        LossCard(
            "focal",
            focal,
            "Lin et al., 2017, arXiv:1708.02002",
            "labels of which some are wrong: it gives the hardest pictures the most weight",
        ),
    ),
    LossCard,
    wrap=LossCard,
)


def read_loss(text: str, label_smoothing: float = 0.0) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of `NAME`, `NAME:key=value` or `file.py:function`, a function of logits and labels.

    Raises UsageError for unknown losses and options, and for label smoothing that a loss does not take; what is
    returned raises InputError where the loss does not give one number per picture.

    >>> import torch
    >>> read_loss("focal:gamma=0")(torch.zeros(1, 2), torch.tensor([0]))
    tensor([0.6931])
    """
    spec = parse_spec(text)
    card = LOSSES.find(spec.name)
    chosen: dict[str, Any] = read_options(card.name, spec.options, {}, card.options)
    if card.smooths:
        chosen[_SMOOTHING] = label_smoothing
    elif label_smoothing:
        raise UsageError(f"{card.name} with label_smoothing={label_smoothing}", expected="0", hint="label_smoothing=0")
    return partial(_checked, card.name, partial(card.function, **chosen))


def _checked(name: str, loss: Loss, logits: Tensor, labels: Tensor) -> Tensor:
    losses = loss(logits, labels)
    if not isinstance(losses, Tensor) or losses.shape != labels.shape:
        seen = f"shape {list(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
        raise InputError(f"the loss {name} returned {seen}", expected=f"one number per picture {list(labels.shape)}")
    return losses
