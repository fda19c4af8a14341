"""Which class is meant: a label, an index, `top`, `second`, `least-likely` or `random`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backlight.classifier.classifier import Classifier
from backlight.core.errors import InputError
from backlight.core.random import Random

Target = str | int | Tensor | Sequence[str | int] | None
NAMED = ("top", "second", "least-likely", "random")


def resolve_targets(
    classifier: Classifier,
    logits: Tensor,
    target: Target,
    *,
    random: Random | None = None,
    avoid: Tensor | None = None,
) -> Tensor:
    """Turn what a user names into one class index per image, int64 `[B]`.

    `target` is a label, a number, one of `top`, `second`, `least-likely`, `random`, one of these per image, or an
    integer tensor `[B]`; None means `top`. Where a label is one of these words, `label:top` means the class.
    `random` draws any class but `avoid` (default: the prediction).

    Raises InputError for unknown labels, numbers out of range and lists of the wrong length.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), size=2)
    >>> resolve_targets(classifier, torch.tensor([[1.0, 3.0, 2.0]]), "second")
    tensor([2])
    """
    count = len(logits)
    if isinstance(target, Tensor):
        return _checked(classifier, target.reshape(-1), count, logits.device)
    if target is None or isinstance(target, (str, int)):
        return _one(classifier, logits, "top" if target is None else target, random, avoid)
    if len(target) != count:
        raise InputError(f"{len(target)} targets for {count} images", expected="one target, or one per image")
    rows = []
    for row, one in enumerate(target):
        here = slice(row, row + 1)
        draw = random.take(torch.tensor([row])) if random is not None else None
        rows.append(_one(classifier, logits[here], one, draw, avoid[here] if avoid is not None else None))
    return torch.cat(rows) if rows else torch.empty(0, dtype=torch.long)


def _one(
    classifier: Classifier, logits: Tensor, target: str | int, random: Random | None, avoid: Tensor | None
) -> Tensor:
    if target == "top":
        return logits.argmax(1)
    if target == "second":
        return logits.topk(2, dim=1).indices[:, 1]
    if target == "least-likely":
        return logits.argmin(1)
    if target == "random":
        if random is None:
            raise InputError("target 'random'", expected="a keyed Random to draw from")
        return _draw(logits, random, logits.argmax(1) if avoid is None else avoid)
    return torch.full((len(logits),), classifier.class_index(target), dtype=torch.long, device=logits.device)


def _draw(logits: Tensor, random: Random, avoid: Tensor) -> Tensor:
    # Drawn among K - 1 classes and shifted past the avoided one: every other class is equally likely.
    drawn = random.integer(logits.shape[1] - 1, 1, stream="target")[:, 0].to(logits.device)
    return drawn + (drawn >= avoid)


def _checked(classifier: Classifier, target: Tensor, count: int, device: torch.device) -> Tensor:
    if target.is_floating_point() or target.dtype == torch.bool:
        raise InputError(f"targets are {target.dtype}", expected="int64 class indices")
    if len(target) == 1:
        target = target.expand(count)
    if len(target) != count:
        raise InputError(f"{len(target)} targets for {count} images", expected="one target, or one per image")
    if count and (int(target.min()) < 0 or int(target.max()) >= classifier.classes):
        raise InputError(
            f"targets range from {int(target.min())} to {int(target.max())}",
            expected=f"0 to {classifier.classes - 1}",
        )
    return target.long().to(device)
