"""Losses of a clean picture and the same picture attacked: TRADES and MART, one number per pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

# As in the authors' code: they keep the logarithms finite where a probability is 1 or 0.
_BELOW_ONE, _ABOVE_ZERO, _FLOOR = 1.0001, 1.0000001, 1e-12


class PairLoss(Protocol):
    """What is learned from clean and attacked pictures together."""

    def __call__(
        self, clean: Tensor, attacked: Tensor, labels: Tensor, loss: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Return one number per pair `[A]` from logits `[A,K]`; `loss` is the recipe's, of logits and labels."""
        ...


def trades(
    clean: Tensor,
    attacked: Tensor,
    labels: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    beta: float = 6.0,
) -> Tensor:
    """Add to the loss of the clean picture `beta` times the divergence of the attacked one's prediction from its own.

    Zhang et al. 2019, arXiv:1901.08573; gradients reach the weights through both.

    >>> logits, labels = torch.zeros(1, 2), torch.tensor([0])
    >>> trades(logits, logits, labels, lambda logits, labels: F.cross_entropy(logits, labels, reduction="none"))
    tensor([0.6931])
    """
    return loss(clean, labels) + beta * _divergence(clean, attacked)


def mart(
    clean: Tensor,
    attacked: Tensor,
    labels: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    beta: float = 5.0,
) -> Tensor:
    """Add to the loss of the attacked picture a margin, and `beta` times the divergence where the clean one is wrong.

    The margin is -log(1 - the largest probability of another class); the divergence is weighted by 1 - the clean
    probability of the label (Wang et al. 2020, "Improving adversarial robustness requires revisiting misclassified
    examples", with the constants of the authors' code).

    >>> logits, labels = torch.zeros(1, 2), torch.tensor([0])
    >>> mart(logits, logits, labels, lambda logits, labels: F.cross_entropy(logits, labels, reduction="none"))
    tensor([1.3861])
    """
    others = attacked.softmax(1).scatter(1, labels[:, None], 0.0).amax(1)
    margin = -torch.log(_BELOW_ONE - others + _FLOOR)
    wrong = _ABOVE_ZERO - clean.softmax(1).gather(1, labels[:, None])[:, 0]
    return loss(attacked, labels) + margin + beta * _divergence(clean, attacked) * wrong


def _divergence(clean: Tensor, attacked: Tensor) -> Tensor:
    """Compute the Kullback-Leibler divergence from the clean prediction to the attacked one, `[A]`."""
    return F.kl_div(attacked.log_softmax(1), clean.log_softmax(1), reduction="none", log_target=True).sum(1)
