"""What makes every number of a model doubtful: answers that are not steady, and values that are hardly logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_FEWEST = 8  # values, or pictures with the same ones
_SAME_SUM, _STEADY, _REPEATS = 0.02, 1e-4, 3

PASSES = (
    "two passes on the same pictures differ: it draws random numbers, counts its passes or changes its weights, so "
    "every number changes from run to run"
)
BATCH = (
    "the answer for a picture changes with the other pictures of its batch, as by BatchNorm without statistics or a "
    "mean over the batch, so every number depends on how many are looked at together"
)


class Seen:
    """Follow the values `[B,K]` that a head takes for logits, and tell where they look like something else.

    >>> seen = Seen()
    >>> seen.take(torch.tensor([[0.1, 0.8], [0.3, 0.4], [0.9, 0.9], [0.5, 0.2]]))
    >>> seen.doubt("logits")[:49]
    'all outputs lie between 0 and 1, as those of a si'
    """

    def __init__(self) -> None:
        self.rows = self.values = 0
        self.within_one, self.total = True, float("nan")
        self._first, self._same_sum, self._constant = torch.empty(0), True, True

    @property
    def settled(self) -> bool:
        """Whether nothing that may come can raise a doubt again."""
        return not (self.within_one or self._same_sum or self._constant)

    def take(self, values: Tensor) -> None:
        """Look at values `[B,K]`, those that are not finite left out."""
        known = values[values.isfinite().all(1)]
        if self.settled or not known.numel():
            return
        sums = known.sum(1)
        if self.rows == 0:
            self._first, self.total = known[0], float(sums[0])
        self.rows, self.values = self.rows + len(known), self.values + known.numel()
        positive = bool((known >= 0).all())
        self.within_one = self.within_one and positive and bool((known <= 1).all())
        same = self.total > 0 and bool(((sums - self.total).abs() <= _SAME_SUM * self.total).all())
        self._same_sum = self._same_sum and positive and same
        self._constant = self._constant and bool((known == self._first.to(known)).all())

    def doubt(self, kind: str) -> str:
        """Return what is to be doubted of a head of some kind, or nothing."""
        if self.values < _FEWEST:
            return ""
        if self._constant:
            told = "all pictures get the same outputs: it hardly looks at them"
            return told if self.rows >= _FEWEST else ""
        if self.within_one:
            ways = {
                "logits": "--outputs multilabel or --outputs probabilities, if they are",
                "binary": "let it end in torch.sigmoid, which is seen, or leave its sigmoid out",
                "multilabel": "let it end in torch.sigmoid, which is seen, or leave its sigmoid out",
            }
            return (
                "all outputs lie between 0 and 1, as those of a sigmoid, a softmax or a cosine; taken for logits they "
                f"make every confidence wrong; {ways.get(kind, '')}"
            )
        if not self._same_sum:
            return ""
        return (
            f"the outputs for each picture are positive and sum to {self.total:.4g}, as shares do; taken for logits "
            "they make every confidence wrong; divide them by that and say --outputs probabilities"
        )


def unsteadiness(look: Callable[[Tensor], Tensor], pair: Tensor, first: Tensor) -> str:
    """Return `PASSES`, `BATCH` or nothing: why `look` answers otherwise for a picture that it saw before.

    `first` is what it answered for `pair` `[2,C,H,W]`. Passes of equal shape differ by no more than a ten-thousandth
    of the largest value.

    >>> unsteadiness(lambda images: images - images.mean(0), torch.eye(2), torch.eye(2) - 0.5) == BATCH
    True
    """
    again = look(torch.cat([pair[:1], pair[:1]]))
    if _same(again, first[:1].expand_as(again)):
        return ""
    # Few random numbers may come out alike once, hardly three times.
    return BATCH if all(_same(look(pair), first) for _ in range(_REPEATS)) else PASSES


def _same(found: Tensor, expected: Tensor) -> bool:
    finite = expected[expected.isfinite()].abs()
    tolerance = _STEADY * float(finite.max()) if len(finite) else 0.0
    return torch.allclose(found, expected, rtol=_STEADY, atol=tolerance, equal_nan=True)
