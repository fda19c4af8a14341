"""Accuracy over eps: one run for the smallest distances, then budget attacks near each threshold.

An image that breaks at some eps counts as broken at every larger one, so the curve falls by construction; the raw
accuracies, without that, are kept to tell masked gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from backlight.attack.auto import apgd, apgd_t
from backlight.attack.challenge import Challenge
from backlight.attack.checks import Doubt, not_monotone
from backlight.attack.minimum_norm import fmn
from backlight.attack.sparse import apgd_l1, pdpgd, sigma_zero
from backlight.attack.threat import ThreatModel
from backlight.pixels import Result
from backlight.pixels.geometry import per_image
from backlight.sweep.cost import passes_of

SIZES: dict[str, tuple[float, ...]] = {
    "linf": tuple(level / 255 for level in (0, 0.5, 1, 2, 4, 6, 8, 12, 16)),
    "l2": (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    "l1": (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0),
    "l0": (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 48.0),
}
_NEAREST: dict[str, tuple[Callable[..., Result], int]] = {
    "linf": (fmn, 100),
    "l2": (fmn, 100),
    "l1": (pdpgd, 200),
    "l0": (sigma_zero, 300),
}
"""For each norm what looks for the smallest distances, and in how many steps."""

_NEAR = 1.5  # budget attacks run where the known distance is at most this many times eps, or not known
_TARGETS, _STEPS = 2, 30


@dataclass(frozen=True)
class Curve:
    """Accuracy at each eps in a norm; `raw` without carrying successes upward; `distances` per image by id."""

    norm: str
    eps: tuple[float, ...]
    accuracy: tuple[float, ...]
    raw: tuple[float, ...]
    distances: dict[str, float]

    @property
    def verdicts(self) -> tuple[Doubt, ...]:
        """Whether the raw accuracies rise anywhere."""
        found = not_monotone(self.raw, self.eps)
        return () if found is None else (found,)

    def joined(self, distances: Mapping[str, float]) -> Curve:
        """Count what others found too, the smallest change known to fool each image by id, inf for none.

        >>> curve = Curve("linf", (0.0, 0.1), (1.0, 1.0), (1.0, 1.0), {"a": 0.2, "b": 0.3})
        >>> curve.joined({"a": 0.05}).accuracy
        (1.0, 0.5)
        """
        known = {name: min(far, distances.get(name, math.inf)) for name, far in self.distances.items()}
        accuracy = tuple(sum(far > size for far in known.values()) / max(len(known), 1) for size in self.eps)
        return replace(self, accuracy=accuracy, distances=known)

    def to_json(self) -> list[dict[str, Any]]:
        """Return one entry per eps."""
        rows = zip(self.eps, self.accuracy, self.raw)
        return [{"eps": eps, "accuracy": accuracy, "raw": raw} for eps, accuracy, raw in rows]


@dataclass(frozen=True, eq=False)
class Reach:
    """For B images the smallest distance at which each is known to break, inf for none, and the raw outcomes.

    `broken` is bool `[sizes, B]`: broken at that eps by a run at that eps or by its known smallest distance. `images`
    `[B,C,H,W]` are the pictures at these distances, else the originals; None where only numbers were kept.
    """

    distance: Tensor
    broken: Tensor
    images: Tensor | None = None


def reach_of(challenge: Challenge, sizes: Sequence[float], *, steps: int | None = None) -> Reach:
    """Find the smallest distances, then attack at each eps those that they put just beyond.

    By FMN and APGD in linf and l2, by PDPGD and its l1 form in l1, and by sigma-zero alone in l0.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))
    >>> reach_of(challenge, [0.0, 0.1], steps=5).broken.shape
    torch.Size([2, 4])
    """
    search, usual = _NEAREST[challenge.threat.norm]
    nearest = search(challenge.unbounded(), steps=usual if steps is None else steps)
    far = challenge.threat.distance(nearest.images, challenge.images)
    known = torch.where(nearest.success, far, torch.inf)
    reach, broken = known.clone(), []
    images = torch.where(per_image(nearest.success, nearest.images), nearest.images, challenge.images)
    for eps in sorted(sizes):
        near = (known > eps) & ((known <= _NEAR * eps) | known.isinf())
        found, pictures = _attack(challenge, eps, near)
        broken.append((known <= eps) | found.isfinite())
        images = torch.where(per_image(found < reach, images), pictures, images)
        reach = torch.minimum(reach, found)
    return Reach(reach, torch.stack(broken), images)


def _attack(challenge: Challenge, eps: float, near: Tensor) -> tuple[Tensor, Tensor]:
    if challenge.threat.norm == "l0" or not bool(near.any()):
        return torch.full(near.shape, torch.inf, dtype=torch.float64, device=near.device), challenge.images
    at = replace(challenge, threat=replace(challenge.threat, eps=eps))
    before = replace(at.begin(), success=~near)
    if challenge.threat.norm == "l1":
        found = apgd_l1(at, steps=_STEPS, after=before)
    else:
        found = apgd_t(at, steps=_STEPS, targets=_TARGETS, after=apgd(at, steps=_STEPS, after=before))
    far = at.threat.distance(found.images, at.images)
    return torch.where(near & found.success, far.clamp(max=eps), torch.inf), found.images


def join(reaches: Sequence[Reach], sizes: Sequence[float], norm: str, ids: Sequence[str]) -> Curve:
    """Make one curve of the reaches of several blocks, whose images have these ids.

    >>> broken = torch.tensor([[False, False], [True, False]])
    >>> reach = Reach(torch.tensor([0.05, torch.inf]), broken)
    >>> join([reach], [0.0, 0.1], "linf", ["a", "b"]).accuracy
    (1.0, 0.5)
    """
    distance = torch.cat([reach.distance for reach in reaches]).cpu()
    broken = torch.cat([reach.broken for reach in reaches], 1).double().cpu()
    eps = tuple(sorted(sizes))
    accuracy = tuple(float((distance > size).double().mean()) for size in eps)
    raw = tuple((1 - broken.mean(1)).tolist())
    return Curve(norm, eps, accuracy, raw, dict(zip(ids, distance.tolist())))


def passes_over(sizes: Sequence[float], norm: str = "linf") -> float:
    """Return the forwards and backwards per picture of `reach_of` at most.

    >>> passes_over([0.0, 0.1]), passes_over([0.0, 1.0], "l0")
    (560.0, 600.0)
    """
    search, steps = _NEAREST[norm]
    near = {
        "l0": 0.0,
        "l1": passes_of(apgd_l1, {"steps": _STEPS}),
    }.get(norm, passes_of(apgd, {"steps": _STEPS}) + passes_of(apgd_t, {"steps": _STEPS, "targets": _TARGETS}))
    return passes_of(search, {"steps": steps}) + len(sizes) * near


def default_sizes(threat: ThreatModel) -> tuple[float, ...]:
    """List the usual sizes of a norm, with the threat model's own eps among them.

    >>> 8 / 255 in default_sizes(ThreatModel("linf", "8/255"))
    True
    """
    usual = SIZES.get(threat.norm, ())
    return usual if threat.eps is None else tuple(sorted({*usual, threat.size}))
