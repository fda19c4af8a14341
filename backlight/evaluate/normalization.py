"""Whether an assumed normalization is wrong: what a model makes of the same pictures under the usual ones.

Without labels this is a doubt and no proof: a network that is fed as it was trained tends to be surer of itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.chunks import in_chunks
from backlight.core.errors import InputError

Values = tuple[float, ...]
USUAL: dict[str, tuple[Values, Values]] = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "[-1, 1]": ((0.5,) * 3, (0.5,) * 3),
    "[0, 1]": ((0.0,) * 3, (1.0,) * 3),
}
ASSUMED = "the assumed"
_ERRORS, _SHARE, _FEWEST, _P = 3.0, 0.2, 8, 0.01


@dataclass(frozen=True)
class Look:
    """What a model makes of pictures under one normalization; `entropy` in nats, `accuracy` None without labels.

    >>> Look("[-1, 1]", (0.5,), (0.5,), 0.9, 0.3).accuracy is None
    True
    """

    name: str
    mean: Values
    std: Values
    confidence: float
    entropy: float
    accuracy: float | None = None


@dataclass(frozen=True)
class NormalizationCheck:
    """The looks at `n` pictures, the assumed normalization first, and the one that fits better, if any.

    >>> NormalizationCheck(8, (Look(ASSUMED, (0.0,), (1.0,), 0.4, 1.2),)).sentence()
    ''
    """

    n: int
    looks: tuple[Look, ...]
    better: Look | None = None

    def sentence(self) -> str:
        """Return the doubt in one sentence, or nothing where there is none."""
        if self.better is None:
            return ""
        own, other = self.looks[0], self.better
        flags = f"did you mean --mean {_listed(other.mean)} --std {_listed(other.std)}?"
        if own.accuracy is not None and other.accuracy is not None:
            return (
                f"the assumed normalization is in doubt: {own.accuracy:.0%} of {self.n} pictures are right with it, "
                f"{other.accuracy:.0%} with {other.name} mean and std; {flags}"
            )
        return (
            f"the assumed normalization may be wrong: on {self.n} pictures the model is {own.confidence:.0%} sure on "
            f"average (entropy {own.entropy:.2f}), and {other.confidence:.0%} ({other.entropy:.2f}) with {other.name} "
            f"mean and std; {flags}"
        )

    def to_json(self) -> dict[str, object]:
        """Return `{"n", "looks": [{"name","mean","std","confidence","entropy","accuracy"}], "better", "sentence"}`."""
        looks = [{**vars(one), "mean": list(one.mean), "std": list(one.std)} for one in self.looks]
        better = self.better.name if self.better else None
        return {"n": self.n, "looks": looks, "better": better, "sentence": self.sentence()}


def check_normalization(
    classifier: Classifier, images: Tensor, labels: Tensor | None = None, *, batch_size: int = 32
) -> NormalizationCheck:
    """Compare a classifier's normalization with the usual ones on images `[B,C,H,W]` in `[0,1]`.

    With labels `[B]` another one is better where it gets more pictures right than chance explains (McNemar's exact
    test at 1%); without, where on eight pictures or more its mean entropy is lower by a fifth and by three standard
    errors.

    Raises InputError without images.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> check_normalization(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2)).n
    4
    """
    if not len(images):
        raise InputError("no images", expected="at least one picture to look at")
    own = (classifier.mean, classifier.std)
    others = {name: _for_channels(*one, classifier.channels) for name, one in USUAL.items()}
    asked = {ASSUMED: own, **{name: one for name, one in others.items() if one is not None and one != own}}
    seen = {name: _seen(classifier, images, *one, batch_size) for name, one in asked.items()}
    looks = {
        name: Look(
            name,
            *asked[name],
            float(probabilities.amax(1).mean()),
            float(_entropy(probabilities).mean()),
            None if labels is None else float((probabilities.argmax(1) == labels.cpu()).double().mean()),
        )
        for name, probabilities in seen.items()
    }
    better = [name for name in seen if name != ASSUMED and _fits_better(seen[ASSUMED], seen[name], labels)]
    best = min(better, key=lambda name: (-(looks[name].accuracy or 0.0), looks[name].entropy), default=None)
    return NormalizationCheck(len(images), tuple(looks.values()), looks[best] if best else None)


def _seen(classifier: Classifier, images: Tensor, mean: Values, std: Values, batch_size: int) -> Tensor:
    other = classifier.replace()
    other.mean, other.std = mean, std

    def look(part: slice) -> Tensor:
        with torch.no_grad():
            return other.probabilities(images[part]).double().cpu()

    return torch.cat(list(in_chunks(look, len(images), batch_size)))


def _for_channels(mean: Values, std: Values, channels: int) -> tuple[Values, Values] | None:
    if channels == len(mean):
        return mean, std
    if channels == 1 or len(set(mean)) == 1:
        return (sum(mean) / len(mean),) * channels, (sum(std) / len(std),) * channels
    return None


def _entropy(probabilities: Tensor) -> Tensor:
    return torch.special.entr(probabilities).sum(1)


def _fits_better(own: Tensor, other: Tensor, labels: Tensor | None) -> bool:
    if not bool(own.isfinite().all() and other.isfinite().all()):
        return False
    if labels is not None:
        from scipy.stats import binomtest

        right, also = (one.argmax(1) == labels.cpu() for one in (own, other))
        gained, lost = int((also & ~right).sum()), int((right & ~also).sum())
        return gained > lost and float(binomtest(gained, gained + lost).pvalue) < _P
    fall = _entropy(own) - _entropy(other)
    if len(fall) < _FEWEST:
        return False
    clear = float(fall.mean()) > _ERRORS * float(fall.std()) / len(fall) ** 0.5
    return clear and float(fall.mean()) > _SHARE * float(_entropy(own).mean())


def _listed(values: Values) -> str:
    return ",".join(f"{value:g}" for value in values)
