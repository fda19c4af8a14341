"""How a picture is painted in a style: losses, weights and steps, as data."""

from __future__ import annotations

from dataclasses import dataclass

from backlight.classifier import Classifier
from backlight.core.errors import InputError, LayerError, ModelError, UsageError, did_you_mean
from backlight.pixels import LBFGS, Adam, Constraint, InputSpace, Rule, Watched
from backlight.pixels.features import check_layer, layers_by_resolution
from backlight.visualize.style_losses import STATISTICS, InputBox


@dataclass(frozen=True)
class StylePreset:
    """Constants of style transfer.

    The loss is `content_weight` sum (F - P)**2 + sum over layers of weight sum (S - A)**2 + `tv_weight` total
    variation. F are the features of the picture and P of the content, S the layer's statistic ("gram", divided
    by the number of channels, or "moments": mean and covariance) and A the style's. With `relative` each squared
    distance is divided by the target's squared norm, and the total variation by the number of values, which makes
    weights mean the same on every network and at every size.
    Empty layers are chosen from the classifier's, one per resolution; the last weight serves for further layers.
    `rule` is "adam" or "lbfgs"; `late` (turn, rate) changes Adam's rate once. `scales` are sizes in parts of the
    content's, each started from the one before, with `steps` for each; `average` is the weight of the past in the
    averaged pictures that are returned (0: the best picture is). Rates are in the network's input space.

    >>> StylePreset(style_weights=(1.0, 0.5)).rule
    'adam'
    """

    content_weight: float = 1.0
    style_weights: tuple[float, ...] = (1.0,)
    tv_weight: float = 0.0
    tv_norm: str = "l2"
    statistic: str = "gram"
    relative: bool = False
    content_layer: str = ""
    style_layers: tuple[str, ...] = ()
    rule: str = "adam"
    lr: float = 0.05
    late: tuple[int, float] | None = None
    limit: float | None = None
    steps: int = 200
    scales: tuple[float, ...] = (1.0,)
    average: float = 0.0
    start: str = "content"

    def __post_init__(self) -> None:
        if self.statistic not in STATISTICS or self.rule not in ("adam", "lbfgs"):
            raise UsageError(
                f"statistic {self.statistic!r}, rule {self.rule!r}", expected="gram | moments, adam | lbfgs"
            )
        if self.start not in ("content", "noise"):
            raise UsageError(f"start={self.start!r}", expected="content | noise")
        weights = (self.content_weight, self.tv_weight, *self.style_weights)
        if not self.style_weights or min(weights) < 0 or not 0 <= self.average < 1:
            raise InputError(f"weights {weights}, average {self.average}", expected="0 or more, average below 1")
        if self.steps < 1 or not 0 < self.lr < float("inf") or not self.scales or min(self.scales) <= 0:
            found = f"steps={self.steps}, lr={self.lr}, scales={self.scales}"
            raise InputError(found, expected="steps of 1 or more, lr and scales above 0")

    def make_rule(self, classifier: Classifier) -> Rule:
        """Return the rule, which stops pictures whose loss grows a hundredfold."""
        if self.rule == "lbfgs":
            return Watched(LBFGS(self.lr))
        return Watched(InputSpace(Adam(self.rate), classifier.std))

    def rate(self, t: int) -> float:
        """Return Adam's rate at a turn."""
        return self.late[1] if self.late is not None and t >= self.late[0] else self.lr

    def constraint(self, classifier: Classifier) -> Constraint:
        """Keep pixels in [0, 1], or in the network's input space within `limit` of the mean until late."""
        if self.limit is None:
            return InputBox((0.0,), (1.0,))
        low = tuple(m - self.limit * s for m, s in zip(classifier.mean, classifier.std, strict=True))
        high = tuple(m + self.limit * s for m, s in zip(classifier.mean, classifier.std, strict=True))
        return InputBox(low, high, until=None if self.late is None else self.late[0] + 10)


PRESETS = {
    "default": StylePreset(
        content_weight=1.0,
        style_weights=(1.0,),
        tv_weight=4.0,
        relative=True,
        lr=0.04,
        steps=150,
        scales=(0.5, 1.0),
        average=0.9,
    ),
    "gatys": StylePreset(content_weight=0.5, style_weights=(50.0,), rule="lbfgs", lr=1.0, steps=300),
    "cs231n": StylePreset(
        content_weight=6e-2,
        style_weights=(300000.0, 1000.0, 15.0, 3.0),
        tv_weight=2e-2,
        lr=3.0,
        late=(180, 0.1),
        limit=1.5,
        steps=200,
    ),
}
"""`gatys`: content 1/2, style 1/4 times 200 (Gatys et al. 2016), by L-BFGS. `cs231n`: the exercise's Starry Night.

`default` divides by the targets' norms, so that it works on any network; tuned on EfficientNet-Lite0.
"""


def preset_of(preset: str | StylePreset) -> StylePreset:
    """Find a preset by name; one that is already one passes through.

    Raises UsageError with the nearest names.

    >>> preset_of("cs231n").lr
    3.0
    """
    if isinstance(preset, StylePreset):
        return preset
    if preset not in PRESETS:
        raise UsageError(f"preset {preset!r}", expected=" | ".join(PRESETS), hint=did_you_mean(preset, PRESETS))
    return PRESETS[preset]


def choose_layers(classifier: Classifier, preset: StylePreset) -> tuple[str, tuple[str, ...]]:
    """Return the content layer and the style layers: the preset's, or by the resolutions of the classifier.

    For styles the first activation of each resolution from the finest on, five at most; for content the last one
    at the second coarsest of them: coarse enough to let brush strokes differ, fine enough to keep shapes.

    Raises LayerError for names that the classifier does not have, ModelError where it has no maps.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU())
    >>> net = nn.Sequential(net, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> choose_layers(Classifier.from_module(net, size=16), StylePreset())
    ('0.1', ('0.1', '0.4'))
    """
    stages = layers_by_resolution(classifier)
    if not stages and not (preset.content_layer and preset.style_layers):
        raise ModelError(f"{classifier.name} has no layers [C,h,w]", hint="name content_layer and style_layers")
    finest = list(stages.values())[:5]
    style = preset.style_layers or tuple(names[0] for names in finest)
    content = preset.content_layer or finest[max(0, len(finest) - 2)][-1]
    for layer in (content, *style):
        check_layer(classifier, layer)
    if "logits" in (content, *style):
        raise LayerError("logits have no rows and columns", expected="a layer [C,h,w]")
    return content, style
