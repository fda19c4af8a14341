"""What transfer attacks are put together from, by name: rules and views, joined by `+`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from backlight.attack.card import AttackCard, settled_card
from backlight.attack.transfer.around import FlatMaximum, FlatSlopes, Variance
from backlight.attack.transfer.blocks import Shuffled
from backlight.attack.transfer.climbing import STEPS, climb_to_transfer, resampled
from backlight.attack.transfer.rules import Momentum, Nesterov, PreviousGradient, TransferRule
from backlight.attack.transfer.spectrum import Rescaled
from backlight.attack.transfer.views import Dimmed, Mixed, Resized, SmoothedGradient
from backlight.core.errors import UsageError
from backlight.core.plugins import UNSTATED, Registry
from backlight.core.random import Random
from backlight.core.user_code import is_file_function
from backlight.pixels.transforms import Transforms

JOIN = "+"
_AVOID = "measuring robustness: it never stops early, and stronger attacks on the model itself are autoattack's"


@dataclass(frozen=True)
class TransferPart:
    """A rule, which says where to go next, or a view, which the surrogate is shown instead of the picture.

    `part` is a `TransferRule` or a `Transforms`. `first` says that a view comes before all others, however the parts
    are ordered, as one that smooths the gradient of them all does.

    >>> TransferPart("mi", Momentum()).is_rule, TransferPart("dim", Resized()).is_rule
    (True, False)
    """

    name: str
    part: TransferRule | Transforms
    reference: str = UNSTATED
    avoid: str = _AVOID
    first: bool = False

    @property
    def is_rule(self) -> bool:
        """Whether it says where to go next."""
        return hasattr(self.part, "direction")


@dataclass(frozen=True)
class FunctionView:
    """A function of pictures, random numbers and the number of the view as a view of its own.

    >>> import torch
    >>> FunctionView(lambda images, random, draw: images.flip(3))(torch.eye(2)[None, None], Random(0, [0]), 0)[0, 0]
    tensor([[0., 1.],
            [1., 0.]])
    """

    function: Callable[[Tensor, Random, int], Tensor]
    samples: int = 1

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return what the function makes of the pictures."""
        return self.function(images, random, draw)


def _own(name: str, function: Callable[..., Any]) -> TransferPart:
    return TransferPart(name, FunctionView(function))


_PARTS = (
    TransferPart(
        "i-fgsm",
        Momentum(decay=0.0),
        "Kurakin et al., 2017, arXiv:1607.02533",
        "transfer: it fits the surrogate and little else; its use is to see what the others add",
    ),
    TransferPart("mi", Momentum(), "Dong et al., 2018, arXiv:1710.06081"),
    TransferPart("ni", Nesterov(), "Lin et al., 2020, arXiv:1908.06281"),
    TransferPart("pi", PreviousGradient(), "Wang et al., 2021, arXiv:2103.10609"),
    TransferPart("vmi", Variance(), "Wang and He, 2021, arXiv:2103.15571"),
    TransferPart("pgn", FlatSlopes(), "Ge et al., 2023, arXiv:2306.05225"),
    TransferPart(
        "mef",
        FlatMaximum(),
        "Qiu et al., 2024, arXiv:2405.16181",
        "published figures at 10 steps: they are of 20, mef:steps=20",
    ),
    TransferPart("dim", Resized(), "Xie et al., 2019, arXiv:1803.06978"),
    TransferPart("tim", SmoothedGradient(), "Dong et al., 2019, arXiv:1904.02884", first=True),
    TransferPart("si", Dimmed(), "Lin et al., 2020, arXiv:1908.06281"),
    TransferPart(
        "admix",
        Mixed(),
        "Wang et al., 2021, arXiv:2102.00436",
        "published figures: there the pictures of the batch are mixed, here a few fixed photographs",
    ),
    TransferPart(
        "bsr",
        Shuffled(),
        "Wang et al., 2023, arXiv:2308.10299",
        "a quick look: it takes twenty times the passes of dim",
    ),
    TransferPart(
        "ssa",
        Rescaled(),
        "Long et al., 2022, arXiv:2207.05382",
        "a quick look: it takes twenty times the passes of dim",
    ),
)
TRANSFER_PARTS = Registry("transfer", "part of a transfer attack", _PARTS, TransferPart, wrap=_own)


@dataclass(frozen=True)
class Joined:
    """Apply views one after the other; each of one is shown with each of the others.

    >>> Joined((Dimmed(), Resized(), Shuffled())).samples
    100
    """

    parts: tuple[Transforms, ...]

    @property
    def samples(self) -> int:
        """Count the views: every combination."""
        return math.prod(part.samples for part in self.parts)

    def resampled(self, samples: int) -> Joined:
        """Return the same with another number of samples of each part that has several."""
        return Joined(tuple(resampled(part, samples) for part in self.parts))

    def __call__(self, images: Tensor, random: Random, draw: int) -> Tensor:
        """Return one combination of views; what a part draws is its own in every combination of the others."""
        stride = 1
        for place, part in enumerate(self.parts):
            own = draw // stride % part.samples
            images = part(images, random.fork(("part", place, draw - own * stride)), own)
            stride *= part.samples
        return images


def transfer_card(text: str) -> AttackCard:
    """Put an attack together from parts joined by `+`, in the order in which the picture goes through them.

    At most one is a rule, momentum (`mi`) where there is none.

    Raises UsageError for unknown parts, for two rules, and for a part that is named twice.

    >>> card = transfer_card("mi+dim+tim")
    >>> card.name, card.norms, list(card.options)
    ('mi+dim+tim', ('linf',), ['steps', 'step_size', 'objective', 'samples'])
    """
    parts = [TRANSFER_PARTS.find(one.strip()) for one in _split(text)]
    names = [part.name for part in parts]
    if len(set(names)) < len(names):
        raise UsageError(f"{text}: {next(one for one in names if names.count(one) > 1)} twice", expected="each once")
    rules = [part for part in parts if part.is_rule]
    if len(rules) > 1:
        found = f"{text} has the rules {' and '.join(rule.name for rule in rules)}"
        raise UsageError(found, expected="one rule, and views to go with it")
    views = sorted((part for part in parts if not part.is_rule), key=lambda part: not part.first)
    rule: Any = rules[0].part if rules else Momentum()
    shown = Joined(tuple(part.part for part in views)) if views else None  # type: ignore[misc]
    looks = rule.looks * (1 if shown is None else shown.samples)
    return settled_card(
        JOIN.join(names),
        partial(climb_to_transfer, rule=rule, transforms=shown),
        "linf",
        f"{STEPS * looks} forwards, {STEPS * looks} backwards in {STEPS} steps",
        "; ".join(dict.fromkeys(part.reference for part in parts)),
        parts[0].avoid if len(parts) == 1 else _AVOID,
    )


def gradients_of(function: Callable[..., Any], options: Mapping[str, Any]) -> int | None:
    """Count the gradients that an attack of `transfer_card` takes for a picture; None for any other attack.

    >>> gradients_of(transfer_card("vmi+si").function, {"steps": 2}), gradients_of(len, {})
    (210, None)
    """
    if not isinstance(function, partial) or function.func is not climb_to_transfer:
        return None
    rule, shown = (resampled(function.keywords[name], options.get("samples")) for name in ("rule", "transforms"))
    looks: int = options.get("steps", STEPS) * rule.looks * (1 if shown is None else shown.samples)
    return looks


def is_joined(text: str) -> bool:
    """Whether a name is of several parts of a transfer attack.

    >>> is_joined("mi+dim"), is_joined("mi"), is_joined("c++/mine.py:attack")
    (True, False, False)
    """
    return JOIN in text and not is_file_function(text)


def _split(text: str) -> list[str]:
    parts = text.split(JOIN)
    if not all(part.strip() for part in parts):
        raise UsageError(f"{text!r} is incomplete", expected="names with + between, such as mi+dim+tim")
    return parts
