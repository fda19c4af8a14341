"""Several models as one: each sees the picture at its own size, normalized in its own way; logits are averaged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.naming import match_names
from backlight.classifier.recording import LOGITS
from backlight.core.errors import InputError


def ensemble(members: Sequence[Classifier], *, name: str | None = None) -> Classifier:
    """Join classifiers of any sizes and normalizations into one whose logits are the mean of theirs.

    Its pictures have the largest of the members' sizes; each member looks at them resized to its own (`seen_by`), and
    gradients flow back through that. Classes are numbered as the first member does, others are matched by name.

    Raises InputError for no members, for several labels per picture, and where channels or classes do not match.

    >>> nets = [nn.Sequential(nn.Flatten(), nn.Linear(3 * side**2, 2)) for side in (4, 6)]
    >>> both = ensemble([Classifier.from_module(net, size=side) for net, side in zip(nets, (4, 6))])
    >>> both.size, both.logits(torch.rand(5, 3, 6, 6)).shape
    ((6, 6), torch.Size([5, 2]))
    """
    if not members:
        raise InputError("an ensemble of no models", expected="at least one")
    first = members[0]
    largest = max(members, key=lambda one: one.size or (0, 0))
    for one in members:
        if one.channels != first.channels or one.multilabel:
            kind = "several labels per picture" if one.multilabel else f"{one.channels} channels"
            expected = f"models of one class among all, and {first.channels} channels"
            raise InputError(f"{one.name} with {kind} in an ensemble", expected=expected)
    module = _Mean(members, [_order(first, one) for one in members])
    joined = Classifier.from_module(
        module,
        mean=(0.0,) * first.channels,
        std=(1.0,) * first.channels,
        size=largest.size if largest.resize is None else None,
        resize=largest.resize,
        labels=first.labels,
        name=name or " + ".join(one.name for one in members),
        outputs="logits",
    )
    joined.aliases = first.aliases
    joined.trained = all(one.trained for one in members)
    return joined


def seen_by(classifier: Classifier, images: Tensor) -> Tensor:
    """Resize pictures `[B,C,H,W]` to a classifier's input size, whole and without a crop, differentiably.

    Bilinear, with the filter widened where pictures shrink; pictures of that size already stay as they are.

    >>> seen_by(Classifier.from_module(nn.Flatten(), size=4), torch.ones(1, 3, 8, 8)).shape
    torch.Size([1, 3, 4, 4])
    """
    if classifier.size is None or classifier.size == tuple(images.shape[2:]):
        return images
    return F.interpolate(images, classifier.size, mode="bilinear", align_corners=False, antialias=True)


class _Mean(nn.Module):
    """The members' mean logits, in the first one's order of classes."""

    def __init__(self, members: Sequence[Classifier], orders: Sequence[list[int] | None]) -> None:
        super().__init__()
        self.members, self.orders = tuple(members), tuple(orders)
        self.modules_of_members = nn.ModuleList([one.module for one in members])

    def forward(self, images: Tensor) -> Tensor:
        """Return mean logits `[B,classes]` of pictures in [0,1]."""
        found = []
        for member, order in zip(self.members, self.orders):
            logits = member.record(seen_by(member, images), (LOGITS,))[LOGITS]
            found.append(logits if order is None else logits[:, order])
        return torch.stack(found).mean(0)


def _order(first: Classifier, other: Classifier) -> list[int] | None:
    """Return where the other has the first one's classes, None where both number them in the same way."""
    if other.classes != first.classes:
        found = f"{other.name} with {other.classes} classes, {first.name} with {first.classes}"
        raise InputError(found, expected="an ensemble of models of the same classes")
    if not first.labels or not other.labels or first.labels == other.labels:
        return None
    order = match_names(first.labels, other.labels, other.aliases)
    if order is None:
        lacking = next(name for name in first.labels if name not in other.labels)
        raise InputError(f"{other.name} has no class {lacking!r}", expected=f"the classes of {first.name}")
    return order
