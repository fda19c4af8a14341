"""Adversaries by name: from `NAME:key=value` to an inner attack and what is learned from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from backlight.core.errors import UsageError
from backlight.core.grammar import parse_epsilon, parse_spec
from backlight.core.options import Option, options_of, read_options
from backlight.core.plugins import Registry
from backlight.pixels.ascent import DEFAULT_EPS, Ascent
from backlight.pixels.geometry import check_norm
from backlight.train.adversary import Adversary, Plain
from backlight.train.inner import Climb
from backlight.train.pairs import mart, trades
from backlight.train.replays import Replays
from backlight.train.worst_case import Course, WorstCase

_STRENGTH = "strength"
_PROVABLE = "2/255"  # how far certified training looks unless told: far less than an attack does
_NEAR = 0.001  # deviation of the start of TRADES and MART, in pixel units

Parts = Mapping[str, Any]
"""Fields of an `Adversary`: its inner attack, and a loss of pairs, replays or a worst case where it has them."""


@dataclass(frozen=True)
class AdversaryCard:
    """One adversary: what makes its parts of options, or an attack itself; where it comes from, when not to use it.

    `make` takes options as keywords and returns the fields of an `Adversary` (`inner`, `pairs`, `replays`,
    `worst_case`), and of common options those whose default is its own. `attack`,
    in its place, is a function of classifier, pictures `[B,C,H,W]`, labels and keyed random numbers, with options as
    keywords, that returns pictures; one with a keyword `strength` can have a `ramp`.

    >>> sorted(set(ADVERSARIES["nfgsm"].options) - set(COMMON))
    ['eps', 'noise', 'step_size']
    """

    name: str
    make: Callable[..., Parts] | None = None
    attack: Callable[..., Any] | None = None
    reference: str = "not stated"
    avoid: str = "not stated"

    @property
    def options(self) -> Mapping[str, Option]:
        """Return the options that may be written behind the name, the common ones too."""
        return {**self._own, **COMMON}

    @property
    def _own(self) -> dict[str, Option]:
        source = self.make or self.attack
        return {} if source is None else options_of(source, hidden=(_STRENGTH,))

    def parts(self, chosen: Mapping[str, Any]) -> Parts:
        """Return the fields that options other than the common ones make."""
        own = {name: value for name, value in chosen.items() if name not in COMMON}
        if self.make is not None:
            return self.make(**own)
        if self.attack is None:
            raise UsageError(f"the card of {self.name} is empty", expected="make or attack")
        ramps = _STRENGTH in options_of(self.attack)
        if chosen.get("ramp") and not ramps:
            raise UsageError(f"{self.name} with a ramp", expected="an attack with a keyword strength, or no ramp")
        return {"inner": Plain(partial(self.attack, **own), ramps)}


def _common(
    *, share: float = 1.0, blend: float = 1.0, awp: float = 0.0, awp_start: float = 0.0, ramp: float = 0.0
) -> None: ...


COMMON: Mapping[str, Option] = options_of(_common)
"""The options of every adversary, by name; `Adversary` says what they mean."""


def read_adversary(text: str) -> Adversary:
    """Read `pgd:eps=8/255,steps=3`, `trades:beta=6,awp=0.005`, `NAME` of a plug-in or `file.py:function`.

    Raises UsageError for other names, options and values.

    >>> read_adversary("pgd:eps=8/255,steps=3").inner.ascent.step_size * 255
    6.666666666666667
    """
    spec = parse_spec(text)
    card = ADVERSARIES.find(spec.name)
    chosen = read_options(card.name, spec.options, {}, card.options)
    common = {name: value for name, value in chosen.items() if name in COMMON}
    return Adversary(**{**card.parts(chosen), **common})


def _ascent(
    eps: str, norm: str = "linf", steps: int = 1, step_size: float | None = None, momentum: float = 0.0
) -> Ascent:
    """Step by `step_size`, by default 2.5 eps / steps and at most eps."""
    check_norm(norm, ("linf", "l2", "l1"))
    size = parse_epsilon(eps, norm) if eps else DEFAULT_EPS[norm]
    if steps < 1:
        raise UsageError(f"{steps} steps", expected="1 or more")
    length = min(2.5 / steps, 1.0) * size if step_size is None else step_size
    return Ascent(norm, size, steps, length, momentum)


def _pgd(
    *,
    eps: str = "",
    steps: int = 10,
    step_size: float | None = None,
    momentum: float = 0.0,
    norm: str = "linf",
    target: str = "none",
    random_start: bool = True,
) -> Parts:
    return {"inner": Climb(_ascent(eps, norm, steps, step_size, momentum), float(random_start), target=target)}


def _fgsm_rs(*, eps: str = "", step_size: float | None = None, target: str = "none") -> Parts:
    ascent = _ascent(eps, step_size=step_size)
    longer = 1.25 * ascent.eps if step_size is None else step_size
    return {"inner": Climb(Ascent("linf", ascent.eps, 1, longer), target=target)}


def _nfgsm(*, eps: str = "", step_size: float | None = None, noise: float = 2.0) -> Parts:
    if not noise >= 0:
        raise UsageError(f"nfgsm:noise={noise}", expected="0 or more, as a multiple of eps")
    return {"inner": Climb(_ascent(eps, step_size=step_size), noise, projected=False)}


def _free(*, eps: str = "", step_size: float | None = None, replays: int = 8) -> Parts:
    return {"replays": Replays(replays, _ascent(eps, step_size=step_size))}


def _trades(
    *, beta: float = 6.0, eps: str = "", steps: int = 10, step_size: float | None = None, norm: str = "linf"
) -> Parts:
    climb = Climb(_ascent(eps, norm, steps, step_size), deviation=_NEAR, diverge=True)
    return {"inner": climb, "pairs": partial(trades, beta=_weight("trades", beta))}


def _mart(
    *, beta: float = 5.0, eps: str = "", steps: int = 10, step_size: float | None = None, norm: str = "linf"
) -> Parts:
    climb = Climb(_ascent(eps, norm, steps, step_size), deviation=_NEAR)
    return {"inner": climb, "pairs": partial(mart, beta=_weight("mart", beta))}


def _ibp(*, eps: str = "", kappa: float = 0.5, kappa_start: float = 1.0) -> Parts:
    return _bounded(eps, (kappa_start, kappa), (0.0, 0.0))


def _crown_ibp(
    *, eps: str = "", kappa: float = 0.5, kappa_start: float = 1.0, beta: float = 0.0, beta_start: float = 1.0
) -> Parts:
    return _bounded(eps, (kappa_start, kappa), (beta_start, beta))


def _bounded(eps: str, kappa: Course, beta: Course) -> Parts:
    """Let eps grow over a third of the steps, unless a ramp is given: from its whole size on nothing is learned."""
    return {"worst_case": WorstCase(parse_epsilon(eps or _PROVABLE), kappa, beta), "ramp": 1 / 3}


def _weight(name: str, beta: float) -> float:
    if not beta >= 0:
        raise UsageError(f"{name}:beta={beta}", expected="0 or more")
    return beta


ADVERSARIES = Registry(
    "adversaries",
    "adversary",
    (
        AdversaryCard(
            "pgd",
            _pgd,
            reference="Madry et al., 2018, arXiv:1706.06083",
            avoid="little time: every step costs two passes; nfgsm comes close with one",
        ),
        AdversaryCard(
            "fgsm",
            partial(_pgd, steps=1, random_start=False),
            reference="Goodfellow et al., 2015, arXiv:1412.6572",
            avoid="almost always: it collapses, and then holds against itself alone",
        ),
        AdversaryCard(
            "fgsm-rs",
            _fgsm_rs,
            reference="Wong et al., 2020, arXiv:2001.03994",
            avoid="eps above 8/255, and long training: it collapses",
        ),
        AdversaryCard(
            "nfgsm",
            _nfgsm,
            reference="de Jorge et al., 2022, arXiv:2202.01181",
            avoid="the last points of robustness: trades with awp and an average reaches more in more time",
        ),
        AdversaryCard(
            "free",
            _free,
            reference="Shafahi et al., 2019, arXiv:1904.12843",
            avoid="few epochs: each of them learns from the same batches several times over",
        ),
        AdversaryCard(
            "trades",
            _trades,
            reference="Zhang et al., 2019, arXiv:1901.08573",
            avoid="accuracy on clean pictures that must not fall: a smaller beta gives some of it back",
        ),
        AdversaryCard(
            "mart",
            _mart,
            reference="Wang et al., 2020, Improving adversarial robustness requires revisiting misclassified examples",
            avoid="judging by PGD alone: it gains less against AutoAttack",
        ),
        AdversaryCard(
            "ibp",
            _ibp,
            reference="Gowal et al., 2018, arXiv:1810.12715",
            avoid="accuracy under attacks alone: trades reaches more of it, of which bounds prove next to nothing",
        ),
        AdversaryCard(
            "crown-ibp",
            _crown_ibp,
            reference="Zhang et al., 2020, arXiv:1906.06316",
            avoid="little time or many classes: while eps grows bounds are carried back for each; ibp does without",
        ),
    ),
    AdversaryCard,
    wrap=lambda name, function: AdversaryCard(name, attack=function),
)
