"""Whether a made picture does what it was made for: what the model says of the file, and of small shifts of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.classifier import Classifier
from backlight.page.made import Chance
from backlight.page.sections import number, percent

_SHIFT = 28  # by so small a part of the shorter side: 8 pixels at 224
_STEADY = 5  # of 8 shifts that have to keep the answer


@dataclass(frozen=True)
class Judged:
    """A verdict: a sentence, `good`, `look` or `bad`, probabilities before and after, and the shifts that keep it.

    >>> Judged("The model names it cat.", "good", (Chance("cat", None, 0.9),)).shifts is None
    True
    """

    sentence: str
    light: str
    chances: tuple[Chance, ...] = ()
    shifts: tuple[int, int] | None = None


def judge_class(classifier: Classifier, image: Tensor, wanted: int) -> Judged:
    """Judge a picture `[C,H,W]` of what class `wanted` looks like to the model.

    It is looked at as it is and moved by a 28th of its side in eight directions, its edge repeated: structure that
    means the class survives that, noise that was fitted to single pixels does not.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    >>> classifier = Classifier.from_module(net, size=8, labels=["cat", "dog"])
    >>> gray = torch.full((3, 8, 8), 0.5)
    >>> says = int(classifier.logits(gray[None]).argmax())
    >>> judge_class(classifier, gray, says).light, judge_class(classifier, gray, 1 - says).light
    ('good', 'bad')
    """
    shares = _shares(classifier, torch.stack([image, *_shifted(image)]))
    first, kept = _answer(shares[0]), sum(_answer(one) == wanted for one in shares[1:])
    name, pixels = classifier.label(wanted), _pixels(image)
    sure = percent(float(shares[0, wanted]))
    chances = _chances(classifier, None, shares[0], wanted, first)
    of = len(shares) - 1
    if first != wanted:
        instead = f"{classifier.label(first)} ({percent(float(shares[0, first]))})" if first >= 0 else "nothing"
        sentence = (
            f"The model itself does not see {name} in it ({sure}) but {instead}: "
            "this is not what the class looks like to it."
        )
        return Judged(sentence, "bad", chances, (kept, of))
    if kept < _STEADY:
        sentence = (
            f"The model names it {name} ({sure} sure), but after a shift by {pixels} in {kept} of {of} "
            "cases: what it answers to are single pixels rather than shapes."
        )
        return Judged(sentence, "look", chances, (kept, of))
    sentence = (
        f"The model itself names it {name} ({sure} sure), and still does after {kept} of {of} shifts by {pixels}."
    )
    return Judged(sentence, "good", chances, (kept, of))


def judge_fooled(classifier: Classifier, before: Tensor, after: Tensor, target: int, success: bool) -> Judged:
    """Judge a picture `[C,H,W]` that was changed to be taken for `target`; `success` says that all asked for is so.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    >>> classifier = Classifier.from_module(net, size=8, labels=["cat", "dog"])
    >>> gray = torch.full((3, 8, 8), 0.5)
    >>> judge_fooled(classifier, gray, gray, int(classifier.logits(gray[None]).argmin()), False).sentence[:10]
    'Not fooled'
    """
    shares = _shares(classifier, torch.stack([before, after]))
    first, now = _answer(shares[0]), _answer(shares[1])
    chances = _chances(classifier, shares[0], shares[1], first, now, target)
    was = f"it was {_said(classifier, shares[0], first)}"
    if now != target:
        aim = f"{classifier.label(target)} ({percent(float(shares[1, target]))})"
        verb = "still is" if now == first else "now it is"
        return Judged(f"Not fooled: {was}, {verb} {_said(classifier, shares[1], now)}, not {aim}.", "look", chances)
    if not success:
        sure = percent(float(shares[1, target]))
        return Judged(f"Fooled, though less surely than was asked for: {was}, now it is {sure}.", "look", chances)
    return Judged(f"Fooled: {was}, now it is {_said(classifier, shares[1], now)}.", "good", chances)


def judge_kept(classifier: Classifier, before: Tensor, after: Tensor) -> Judged:
    """Describe whether the model still gives a picture `[C,H,W]` the name that it gave the one it came from.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> gray = torch.full((3, 2, 2), 0.5)
    >>> judge_kept(classifier, gray, gray).sentence[:24]
    'To the model it still is'
    """
    shares = _shares(classifier, torch.stack([before, after]))
    first, now = _answer(shares[0]), _answer(shares[1])
    chances = _chances(classifier, shares[0], shares[1], first, now)
    was, is_now = _said(classifier, shares[0], first), _said(classifier, shares[1], now)
    if first == now:
        sure = percent(float(shares[0, first])) if first >= 0 else "none"
        return Judged(f"To the model it still is {is_now}; before {sure}.", "", chances)
    return Judged(f"To the model it was {was}, now it is {is_now}.", "", chances)


def judge_raised(classifier: Classifier, image: Tensor, start: float, end: float) -> Judged:
    """Judge a picture `[C,H,W]` that was to raise a channel's response from `start` to `end`.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> judge_raised(classifier, torch.zeros(3, 2, 2), 1.0, 0.5).light
    'bad'
    """
    (shares,) = _shares(classifier, image[None])
    chances = _chances(classifier, None, shares, *shares.argsort(descending=True)[:3].tolist())
    if not end > start:
        return Judged(f"The response did not rise: {number(start)} before, {number(end)} after.", "bad", chances)
    return Judged(f"The response rose from {number(start)} to {number(end)}.", "", chances)


def judge_quality(before: tuple[float, float] | None, after: tuple[float, float] | None) -> Judged:
    """Judge denoising by PSNR in dB and SSIM beside the clean picture, of the noisy and of the denoised picture.

    >>> judge_quality((20.0, 0.5), (26.0, 0.8)).light, judge_quality((30.0, 0.9), (26.0, 0.8)).light
    ('good', 'bad')
    """
    if before is None or after is None:
        return Judged("Whether it is nearer to the clean picture cannot be told without that (--reference).", "")
    words = (
        f"PSNR {before[0]:.1f} dB before, {after[0]:.1f} dB after; SSIM {before[1]:.3f} before, {after[1]:.3f} after"
    )
    gains = (after[0] > before[0], after[1] > before[1])
    if all(gains):
        return Judged(f"Nearer to the clean picture than before: {words}.", "good")
    if not any(gains):
        return Judged(f"No nearer to the clean picture than the noisy one was: {words}. Try a smaller alpha.", "bad")
    return Judged(f"Nearer by one measure, not by the other: {words}.", "look")


def _shifted(image: Tensor) -> list[Tensor]:
    step = max(1, min(image.shape[-2:]) // _SHIFT)
    padded = F.pad(image[None], [step] * 4, mode="replicate")[0]
    height, width = image.shape[-2:]
    places = [place for place in product((0, step, 2 * step), repeat=2) if place != (step, step)]
    return [padded[:, top : top + height, left : left + width] for top, left in places]


def _pixels(image: Tensor) -> str:
    step = max(1, min(image.shape[-2:]) // _SHIFT)
    return f"{step} pixel{'' if step == 1 else 's'}"


def _shares(classifier: Classifier, images: Tensor) -> Tensor:
    with torch.no_grad():
        return classifier.probabilities(images.to(classifier.device)).double().cpu()


def _answer(shares: Tensor) -> int:
    return int(shares.argmax()) if bool(torch.isfinite(shares).all()) else -1


def _said(classifier: Classifier, shares: Tensor, index: int) -> str:
    return f"{classifier.label(index)} ({percent(float(shares[index]))})" if index >= 0 else classifier.label(-1)


def _chances(classifier: Classifier, before: Tensor | None, after: Tensor, *indices: int) -> tuple[Chance, ...]:
    return tuple(
        Chance(classifier.label(index), None if before is None else float(before[index]), float(after[index]))
        for index in dict.fromkeys(indices)
        if index >= 0
    )
