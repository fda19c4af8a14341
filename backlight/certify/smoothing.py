"""Randomized smoothing: what a network answers most often under Gaussian noise, and how far that is proved to hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.heads import predicted_classes
from backlight.classifier.recording import LOGITS
from backlight.core.chunks import Chunk, sum_chunks
from backlight.core.errors import UsageError
from backlight.core.random import Random, Seed
from backlight.table.statistics import exact_interval, wilson

ABSTAINED = -1
_MOST, _AT_ONCE = 10**8, 2**16


@dataclass(frozen=True, eq=False)
class SmoothingCertificates:
    """Hold the classes that a smoothed classifier answers for B pictures, and the l2 radii within which it does.

    >>> found = SmoothingCertificates(torch.tensor([2, ABSTAINED]), torch.tensor([0.5, 0.0]), 0.25, 1000, 0.001)
    >>> found.certified(torch.tensor([2, 1]), 0.4).tolist()
    [True, False]
    """

    prediction: Tensor
    """The class that is certified, int64 `[B]`, -1 where the smoothed classifier abstains."""
    radius: Tensor
    """Pixel units of pictures in [0,1], float64 `[B]`; 0 where it abstains."""
    sigma: float
    n: int
    alpha: float

    def certified(self, labels: Tensor, radius: float) -> Tensor:
        """Tell which pictures are proved to be named `labels` `[B]` within an l2 radius: bool `[B]`."""
        return (self.prediction == labels.cpu()) & (self.radius >= radius)

    def share(self, labels: Tensor, radius: float) -> tuple[float, tuple[float, float]]:
        """Return the certified accuracy at a radius, and its 95% interval over pictures (Wilson)."""
        held = int(self.certified(labels, radius).sum())
        return held / len(self.radius), wilson(held, len(self.radius))


def certify_by_smoothing(
    classifier: Classifier,
    images: Tensor,
    *,
    sigma: float = 0.25,
    n: int = 1000,
    n0: int = 100,
    alpha: float = 0.001,
    seed: Seed = 0,
    ids: Tensor | Sequence[int] | Sequence[str] | None = None,
) -> SmoothingCertificates:
    """Certify the answers of a classifier that is smoothed by Gaussian noise on images `[B,C,H,W]` in [0,1].

    Of `n0` noisy copies the most frequent class is taken; of `n` others its share is bounded from below by the exact
    interval at confidence 1 - `alpha`. Where that bound p is above a half, no perturbation of l2 size below
    `sigma` Phi^-1(p) changes the smoothed answer; elsewhere it abstains. At most a share `alpha` of certificates may be
    wrong. The noise, of standard deviation `sigma` in pixel units, is not clipped; it is keyed by `seed` and `ids`
    `[B]` (default 0 to B - 1), so a picture gets the same certificate in any batch. The classifier should have been
    trained with such noise.

    Source: CERTIFY of Cohen et al. 2019, arXiv:1902.02918. Raises InputError for images, UsageError for settings.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> found = certify_by_smoothing(Classifier.from_module(net, size=2), torch.rand(3, 3, 2, 2), n=50, n0=10)
    >>> found.radius.shape
    torch.Size([3])
    """
    check_smoothing(sigma, n, n0, alpha)
    images = classifier.check(images)
    random = Random((seed, "smoothing"), list(range(len(images))) if ids is None else ids).to(images.device)
    with torch.no_grad():
        guess = _counts(classifier, images, random.fork("guess"), n0, sigma).argmax(1)
        counts = _counts(classifier, images, random.fork("proof"), n, sigma)
    agreeing = counts.gather(1, guess[:, None])[:, 0].tolist()
    least = [exact_interval(count, n, 1 - 2 * alpha)[0] for count in agreeing]
    radius = torch.tensor([sigma * NormalDist().inv_cdf(p) if p > 0.5 else 0.0 for p in least], dtype=torch.float64)
    sure = torch.tensor([p > 0.5 for p in least], dtype=torch.bool)
    return SmoothingCertificates(guess.cpu().where(sure, torch.tensor(ABSTAINED)), radius, sigma, n, alpha)


def check_smoothing(sigma: float, n: int, n0: int, alpha: float) -> None:
    """Raise UsageError for settings that prove nothing, whatever the network answers.

    >>> check_smoothing(0.25, 5, 10, 0.001)
    Traceback (most recent call last):
    backlight.core.errors.UsageError: n 5 at alpha 0.001 proves nothing, even where all copies agree; ...
    """
    if not 0 < sigma < float("inf"):
        raise UsageError(f"sigma {sigma}", expected="a positive standard deviation in pixel units, such as 0.25")
    if not (1 <= n <= _MOST and 1 <= n0 <= _MOST):
        raise UsageError(f"n {n} and n0 {n0}", expected="from 1 to 100,000,000 noisy copies for each")
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha {alpha}", expected="a chance above 0 and below 0.5, such as 0.001")
    least = int(math.log(alpha) / math.log(0.5)) + 1
    if n < least:
        found = f"n {n} at alpha {alpha} proves nothing, even where all copies agree"
        raise UsageError(found, expected=f"n of {least} or more")


def _counts(classifier: Classifier, images: Tensor, random: Random, draws: int, sigma: float) -> Tensor:
    """Count how often each class is answered for `draws` noisy copies of each image: int64 `[B,classes]`."""
    size = Chunk.fitting(images)
    counts = torch.zeros(len(images), classifier.classes, dtype=torch.int64, device=images.device)
    for first in range(0, draws, _AT_ONCE):
        some = min(_AT_ONCE, draws - first)
        copies = Random(random.seed, random.ids, first).integer(2**53, some, stream="copies")
        answers = partial(_votes, classifier, images, random.seed, copies, sigma)
        counts += sum_chunks(answers, len(images), some, size=size, device=images.device).long()
    return counts


def _votes(
    classifier: Classifier, images: Tensor, seed: Seed, copies: Tensor, sigma: float, row: Tensor, draw: Tensor
) -> Tensor:
    """Tell which class some noisy copies are given: bool `[A,classes]`."""
    noise = Random(seed, copies[row, draw]).normal(*images.shape[1:]).to(images)
    # Not clipped, so not checked either: outside of [0,1] lies what the smoothed classifier averages over.
    logits = classifier.record(images[row] + sigma * noise, (LOGITS,))[LOGITS]
    said = predicted_classes(logits)
    # Where no prediction is well defined the copy votes for nothing.
    return said[:, None] == torch.arange(classifier.classes, device=said.device)
