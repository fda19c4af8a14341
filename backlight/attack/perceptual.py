"""The attack whose bound is what the model's own features make of the change."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.attack.claims import Within
from backlight.attack.gradient import bound_of
from backlight.attack.nearest import check_in_norm, gain_of
from backlight.attack.rules.lagrange import Lagrange
from backlight.pixels import Measure, Result, clamp
from backlight.pixels.geometry import per_image
from backlight.pixels.view import View

_INSIDE = 1 - 1e-3  # of the bound: batches of other sizes differ in last bits


def perceptual(challenge: Challenge, *, steps: int = 40, price: float = 100.0, after: Result | None = None) -> Result:
    """Fool within a distance by the model's own features (after LPA, Laidlaw et al. 2021, arXiv:2006.12655).

    The distance is that of `backlight.pixels.own_features.OwnFeatures`, not LPIPS. Steps climb the margin minus `price`
    times what of the distance exceeds the bound; only pictures within the bound count, and what is still outside at the
    end is brought back along the line to the original. LPA's price of 10 in 20 steps fooled 8 of 24 where 100 in 40
    fooled 13: a small net, bound 0.5.

    Raises UsageError in another measure than features, or without an eps.

    >>> from backlight.testing import small_challenge
    >>> perceptual(small_challenge("features", 0.5), steps=5).images.shape
    torch.Size([4, 3, 2, 2])
    """
    check_in_norm(challenge, "perceptual", "features")
    bound, features = _INSIDE * bound_of(challenge, "perceptual"), challenge.threat.features
    assert features is not None
    # The fast copy's layers hold other numbers: batch normalization is folded into them.
    exact = challenge.searching(challenge.classifier)
    far, gain, rule = features.measure(challenge.images), gain_of(challenge), Lagrange(bound, steps)
    paid, layers = gain - price * clamp(far - bound, low=0.0), far.layers | gain.layers

    def climbed(view: View) -> Tensor:
        return far(view) if rule.probing(view.t) else paid(view)

    def kept(view: View) -> Tensor:
        beyond = far(view)
        return torch.where(beyond <= bound, gain(view), torch.finfo(beyond.dtype).min / 2)

    found = exact.climb(
        Measure(climbed, str(paid), layers=layers),
        rule,
        steps=rule.looks,
        stream="perceptual",
        after=after,
        within=Within(far <= bound, keep=Measure(kept, f"{gain} where {far} <= {bound:.4g}", layers=layers)),
    )
    inside = found.success | challenge.referee.judge(found.images).inside
    return replace(found, images=torch.where(per_image(inside, found.images), found.images, challenge.images))
