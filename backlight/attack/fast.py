"""A stand-in for AutoAttack at a quarter of its passes: PMA, APGD at targets by local linearity, a few squares."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from backlight.attack.auto import apgd_at, square
from backlight.attack.challenge import Challenge
from backlight.attack.gradient import bound_of
from backlight.attack.nearest import check_in_norm
from backlight.attack.rules.cosine import Halves
from backlight.classifier.gradients import differentiate_one
from backlight.classifier.recording import LOGITS
from backlight.pixels import Measure, Result, Uniform, View
from backlight.pixels.geometry import length
from backlight.pixels.objectives import classes_of

_DUAL = {"linf": "l1", "l2": "l2"}
_TRIED = 100  # most likely classes whose planes are looked at
_BLIND, _SEEING = 1000, 150  # squares for a picture that met a zero gradient, and for any other


def pma(challenge: Challenge, *, steps: int = 100, restarts: int = 2, after: Result | None = None) -> Result:
    """Climb the margin of probabilities (Xie et al. 2024, arXiv:2411.15210), linf or l2.

    In the first half of the steps every other restart climbs one part of it alone, minus the label's probability or the
    best other's. Steps shrink from twice eps to nothing along a cosine, in each half.

    Raises UsageError in l1, or without an eps.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> pma(Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2)), steps=10).images.shape
    torch.Size([4, 3, 2, 2])
    """
    check_in_norm(challenge, "pma", "linf", "l2")
    eps = bound_of(challenge, "pma")
    after = challenge.begin() if after is None else after
    for restart in range(restarts):
        after = challenge.climb(
            probability_margin(challenge, alone="other" if restart % 2 else "label", turns=steps // 2),
            Halves(challenge.threat.norm, 2 * eps),
            steps=steps,
            stream=("pma", restart),
            moved=challenge.pixels(Uniform(challenge.threat.norm, eps)),
            after=after,
        )
    return after


def probability_margin(challenge: Challenge, *, alone: str, turns: int) -> Measure:
    """Measure the best other probability minus the label's; at the first `turns` one of them `alone`.

    `alone` is `label` or `other`. With a target: its probability minus the best other's, and its own alone.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))
    >>> probability_margin(challenge, alone="label", turns=50)
    probability margin
    """
    targeted = challenge.targets is not None
    meant = challenge.labels if challenge.targets is None else challenge.targets

    def measure(view: View) -> Tensor:
        own_class = classes_of(view, meant)[:, None]
        probabilities = view.logits.softmax(1)
        own = probabilities.gather(1, own_class)[:, 0]
        other = probabilities.scatter(1, own_class, -torch.inf).amax(1)
        if view.t >= turns:
            return own - other if targeted else other - own
        if targeted:
            return own if alone == "label" else -other
        return -own if alone == "label" else other

    return Measure(measure, "probability margin")


def apgd_by_linearity(
    challenge: Challenge, *, steps: int = 100, targets: int = 9, after: Result | None = None
) -> Result:
    """Run Auto-PGD towards the classes whose linearized boundary is nearest (Melamed et al. 2024, arXiv:2407.02240).

    As apgd-t, which takes the most likely classes instead; linf or l2. One more forward, and one backward for each
    of the other classes, at most 100 of them.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))
    >>> apgd_by_linearity(challenge, steps=10).images.shape
    torch.Size([4, 3, 2, 2])
    """
    check_in_norm(challenge, "apgd-malt", "linf", "l2")
    after = challenge.begin() if after is None else after
    left = ~after.success
    if not bool(left.any()):
        return after
    ordered, backwards = nearest_planes(challenge, left)
    after = replace(after, forwards=after.forwards + left.long(), backwards=after.backwards + backwards * left.long())
    return apgd_at(challenge, ordered[:, :targets], steps=steps, stream="apgd-malt", after=after)


def nearest_planes(challenge: Challenge, rows: Tensor) -> tuple[Tensor, int]:
    """Order the other classes of each image by the distance of their linearized boundary, int64 `[B,n]`.

    The distance is the margin over the dual norm of its gradient. Images outside of `rows` (bool `[B]`) keep the order
    of their logits. Also returns the number of backwards per image.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))
    >>> nearest_planes(challenge, torch.ones(4, dtype=torch.bool))[0].shape
    torch.Size([4, 3])
    """
    rivals = challenge.rivals(_TRIED).clone()
    count = rivals.shape[1]
    if count < 2:
        return rivals, 0
    margins, slopes = _slopes(challenge, rows, rivals)
    # Where nothing is known the order of the logits stays.
    far = (margins / slopes.clamp(min=torch.finfo(slopes.dtype).tiny)).nan_to_num(nan=torch.inf)
    rivals[rows] = rivals[rows].gather(1, far.sort(dim=1, stable=True).indices)
    return rivals, count


def _slopes(challenge: Challenge, rows: Tensor, rivals: Tensor) -> tuple[Tensor, Tensor]:
    """Return the label's margin before each rival class, and its gradient's length in the dual norm, both `[A,n]`."""
    parts = [_slopes_of(challenge, part, rivals[part]) for part in rows.nonzero()[:, 0].split(challenge.chunk.size)]
    margins, slopes = zip(*parts)
    return torch.cat(margins), torch.cat(slopes)


def _slopes_of(challenge: Challenge, rows: Tensor, rivals: Tensor) -> tuple[Tensor, Tensor]:
    margins, slopes = [], []
    with torch.inference_mode(False), torch.enable_grad(), challenge.search.guard():
        images = challenge.images[rows].detach().clone().requires_grad_()
        logits = challenge.search.record(images, (LOGITS,))[LOGITS]
        own = logits.gather(1, challenge.labels[rows][:, None])[:, 0]
        for number, rival in enumerate(rivals.T):
            margin = own - logits.gather(1, rival[:, None])[:, 0]
            slope = differentiate_one(margin, images, retain_graph=number < rivals.shape[1] - 1)
            margins.append(margin.detach())
            slopes.append(length(slope, _DUAL[challenge.threat.norm]))
    return torch.stack(margins, 1), torch.stack(slopes, 1)


def square_check(challenge: Challenge, *, after: Result | None = None) -> Result:
    """Look for masked gradients by random squares: 1,000 where the original's gradient is zero, 150 elsewhere.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> square_check(Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))).images.shape
    torch.Size([4, 3, 2, 2])
    """
    check_in_norm(challenge, "square-check", "linf", "l2")
    after = challenge.begin() if after is None else after
    left = ~after.success
    if not bool(left.any()):
        return after
    _, slopes = _slopes(challenge, left, challenge.rivals(1))
    after = replace(after, forwards=after.forwards + left.long(), backwards=after.backwards + left.long())
    blind = left.clone()
    blind[left] = ~((slopes[:, 0] > 0) & slopes[:, 0].isfinite())
    for steps, chosen in ((_BLIND, blind), (_SEEING, left & ~blind)):
        found = square(challenge, steps=steps, after=replace(after, success=~chosen))
        after = replace(found, success=torch.where(chosen, found.success, after.success))
    return after
