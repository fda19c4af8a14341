"""How class and feature images are climbed: two sets of constants, each with the parts it assembles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import UsageError, did_you_mean
from backlight.core.random import Random
from backlight.pixels import (
    SGD,
    Adam,
    Blurring,
    Box,
    Compose,
    Constraint,
    Fourier,
    InputSpace,
    Jitter,
    Measure,
    Parametrization,
    Pixels,
    Rule,
    Transforms,
    View,
    Warp,
)
from backlight.visualize.redirect import redirected


class Assembly(NamedTuple):
    """The parts that a preset hands to the loop."""

    objective: Measure
    parametrization: Parametrization
    rule: Rule
    constraint: Constraint | None
    transforms: Transforms | None

    def parts(self) -> dict[str, Any]:
        """Return them as keywords of the loop."""
        return self._asdict()


class Preset(Protocol):
    """Constants that know their parts."""

    @property
    def steps(self) -> int:
        """Count the steps."""
        ...

    def assemble(self, classifier: Classifier, objective: Measure, count: int, size: tuple[int, int]) -> Assembly:
        """Return the parts for `count` pictures of a size."""
        ...


@dataclass(frozen=True)
class Lucid:
    """Spectra of decorrelated colors, Adam, and views moved, turned and scaled (Olah et al. 2017).

    `jitter` is in parts of the shorter side, so that small pictures are moved less.

    >>> Lucid(steps=64).lr
    0.05
    """

    steps: int = 192
    lr: float = 0.05
    deviation: float = 0.01
    decay: float = 1.0
    jitter: float = 8 / 128
    scale: tuple[float, float] = (0.9, 1.1)
    degrees: float = 10.0
    dead_turns: int = 16

    def assemble(self, classifier: Classifier, objective: Measure, count: int, size: tuple[int, int]) -> Assembly:
        """Return the parts; the pictures need no box, a sigmoid keeps them in [0, 1]."""
        dtype = torch.float64 if classifier.dtype == torch.float64 else torch.float32
        spectra = Fourier(count, size, classifier.channels, self.deviation, self.decay, dtype)
        reach = round(self.jitter * min(size))
        views = Compose((Jitter(reach), Warp(self.degrees, self.scale), Jitter(reach // 2)))
        return Assembly(redirected(objective, self.dead_turns), spectra, Adam(self.lr), None, views)


@dataclass(frozen=True)
class Classic:
    """Plain ascent from noise with an l2 penalty, jitter and a blur now and then, as CS231n's exercise does it.

    `lr`, `l2` and the noise are in the network's input space: pixels minus mean, over standard deviation.
    Values are clipped to [0, 1] after each step, blurred after steps 0, `blur_every`, ... (Simonyan et al. 2014,
    arXiv:1312.6034; Yosinski et al. 2015, arXiv:1506.06579).

    >>> Classic().lr
    25.0
    """

    steps: int = 100
    lr: float = 25.0
    l2: float = 1e-3
    jitter: int = 8
    blur_every: int = 10
    blur_sigma: float = 0.5

    def assemble(self, classifier: Classifier, objective: Measure, count: int, size: tuple[int, int]) -> Assembly:
        """Return the parts."""
        gray = torch.tensor(classifier.mean, dtype=_precise(classifier), device=classifier.device)
        canvas = gray.view(1, -1, 1, 1).expand(count, -1, *size).contiguous()
        rule = Blurring(InputSpace(SGD(self.lr), classifier.std), self.blur_every, self.blur_sigma)
        penalized = objective - self.l2 * input_norm(classifier)
        return Assembly(penalized, Pixels(canvas, InputNoise(classifier.std)), rule, Box(), Jitter(self.jitter))


PRESETS: dict[str, Preset] = {"lucid": Lucid(), "cs231n": Classic()}
"""The presets by name; `dataclasses.replace(PRESETS["lucid"], lr=0.1)` makes another."""


def preset_of(preset: str | Preset) -> Preset:
    """Find a preset by name; one that is already one passes through.

    Raises UsageError with the nearest names.

    >>> preset_of("cs231n").steps
    100
    """
    if not isinstance(preset, str):
        return preset
    if preset not in PRESETS:
        raise UsageError(f"preset {preset!r}", expected=" | ".join(PRESETS), hint=did_you_mean(preset, PRESETS))
    return PRESETS[preset]


@dataclass(frozen=True)
class InputNoise:
    """Start at the pictures plus normal noise of deviation 1 in the network's input space.

    >>> InputNoise((0.5,))(torch.zeros(1, 1, 2, 2), torch.tensor([0]), Random(0, [0])).shape
    torch.Size([1, 1, 2, 2])
    """

    std: tuple[float, ...]

    def __call__(self, images: Tensor, rows: Tensor, random: Random) -> Tensor:
        """Return start points for originals `[A,C,H,W]`."""
        return images + images.new_tensor(self.std).view(1, -1, 1, 1) * random.normal(
            *images.shape[1:], dtype=images.dtype
        )


def input_norm(classifier: Classifier) -> Measure:
    """Measure the squared l2 norm of what the network gets, pixels minus mean, over standard deviation.

    >>> input_norm(Classifier.from_module(torch.nn.Identity()))
    input_norm()
    """

    def value(view: View) -> Tensor:
        shape = (1, -1, 1, 1)
        mean, std = (view.images.new_tensor(values).view(shape) for values in (classifier.mean, classifier.std))
        return ((view.images - mean) / std).square().flatten(1).sum(1)

    return Measure(value, "input_norm()", layers=())


def _precise(classifier: Classifier) -> torch.dtype:
    return torch.float64 if classifier.dtype == torch.float64 else torch.float32
