"""Every attack by name: what it needs, what it costs, where it comes from, and when not to use it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from backlight.attack import auto, gradient, minimum_norm, sparse, stages
from backlight.attack.black_box.estimates import nes, spsa
from backlight.attack.black_box.hop_skip_jump import hop_skip_jump
from backlight.attack.black_box.rays import rays
from backlight.attack.black_box.simba import simba
from backlight.attack.challenge import Challenge
from backlight.core.options import Option, options_of
from backlight.core.plugins import UNSTATED, Registry
from backlight.pixels import Result

_AFTER = "after"
_NORMS = ("linf", "l2", "l1")


@dataclass(frozen=True)
class AttackCard:
    """One attack as the verb `methods` prints it.

    `function` takes a challenge and options (its keyword-only parameters) and returns a `Result`, or pictures
    `[B,C,H,W]` alone; with a parameter `after` it is handed the result so far, and only images without success in
    it need to run. `norms` are those it works in, the default first; `minimum_norm` says that it looks for the
    smallest change rather than for any within eps; `targeted` is `no`, `yes` (if asked) or `always`. `passes` is
    the cost per image in words. `settled` says that every success it returns is the referee's already; what others
    claim is judged.

    >>> ATTACKS["pgd"].norms, list(ATTACKS["apgd-ce"].options)
    (('linf', 'l2', 'l1'), ['steps', 'restarts', 'transforms'])
    """

    name: str
    function: Callable[..., Result | Tensor]
    norms: tuple[str, ...] = _NORMS
    passes: str = UNSTATED
    reference: str = UNSTATED
    avoid: str = UNSTATED
    minimum_norm: bool = False
    targeted: str = "yes"
    settled: bool = False
    stands_in_for: str = ""
    """The published attack that it approximates, and whose place it never takes in a paper; empty for all others."""

    @property
    def options(self) -> Mapping[str, Option]:
        """Return the options that the attack understands besides the challenge, by name."""
        return options_of(self.function, hidden=(_AFTER,))

    def run(self, challenge: Challenge, *, after: Result | None = None, **options: Any) -> Result:
        """Attack the images that `after` leaves and merge with it; every success is confirmed by the referee."""
        if self.settled:
            found = self.function(challenge, after=after, **options)
            assert isinstance(found, Result)
            return found
        before = challenge.begin() if after is None else after
        takes_after = _AFTER in inspect.signature(self.function).parameters
        found = self.function(challenge, **({_AFTER: before} if takes_after else {}), **options)
        return before.merge(challenge.claim(found))


def _card(
    name: str,
    function: Callable[..., Result],
    norms: str,
    passes: str,
    reference: str,
    avoid: str,
    minimum_norm: bool = False,
    targeted: str = "yes",
    stands_in_for: str = "",
) -> AttackCard:
    known = (name, function, tuple(norms.split()), passes, reference, avoid, minimum_norm, targeted)
    return AttackCard(*known, settled=True, stands_in_for=stands_in_for)


_CARDS = (
    _card(
        "fgsm",
        gradient.fgsm,
        "linf",
        "2 forwards, 1 backward",
        "Goodfellow et al., 2015, arXiv:1412.6572",
        "measuring robustness: one step misses most of what PGD finds, and is easily masked",
    ),
    _card(
        "fgm",
        gradient.fgm,
        "l2 linf l1",
        "2 forwards, 1 backward",
        "Miyato et al., 2016, arXiv:1605.07725",
        "measuring robustness: see fgsm",
    ),
    _card(
        "pgd",
        gradient.pgd,
        "linf l2 l1",
        "steps + 1 forwards, steps backwards; less where images are fooled sooner",
        "Madry et al., 2018, arXiv:1706.06083",
        "a last word on robustness: its step is fixed and one objective may be masked; autoattack has neither flaw",
    ),
    _card(
        "targeted_l2",
        gradient.targeted_l2,
        "l2",
        "steps + 1 forwards, steps backwards",
        "Simonyan et al., 2014, arXiv:1312.6034 (gradient ascent on a class, from a picture)",
        "small perturbations: it stops at the first success, not at the nearest",
        targeted="always",
    ),
    _card(
        "apgd-ce",
        partial(auto.apgd, objective="cross-entropy"),
        "linf l2",
        "101 forwards, 100 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "models whose confidence is so high that the cross-entropy's gradient is zero; apgd-dlr and apgd-t are not",
    ),
    _card(
        "apgd-dlr",
        partial(auto.apgd, objective="dlr"),
        "linf l2",
        "101 forwards, 100 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "two classes: the margin takes DLR's place; against strong models apgd-t finds more",
    ),
    _card(
        "apgd-t",
        auto.apgd_t,
        "linf l2",
        "up to 9 times 101 forwards, 100 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "a quick look: it costs nine times apgd-ce",
    ),
    _card(
        "fab-t",
        auto.fab_t,
        "linf l2 l1",
        "up to 9 times 200 forwards, 100 backwards",
        "Croce and Hein, 2020, arXiv:1907.02044",
        "a bound on robustness where apgd-t has run: it rarely adds anything, except where gradients are masked",
        minimum_norm=True,
    ),
    _card(
        "square",
        auto.square,
        "linf l2",
        "up to 5,001 forwards",
        "Andriushchenko et al., 2020, arXiv:1912.00049",
        "models with honest gradients: it needs many times the passes of pgd; its use is to expose masked ones",
    ),
    _card(
        "ddn",
        minimum_norm.ddn,
        "l2",
        "101 forwards, 100 backwards",
        "Rony et al., 2019, arXiv:1811.09600",
        "a fixed eps: a budget attack is cheaper there",
        minimum_norm=True,
    ),
    _card(
        "fmn",
        minimum_norm.fmn,
        "l2 linf",
        "101 forwards, 100 backwards",
        "Pintor et al., 2021, arXiv:2102.12827",
        "a fixed eps: a budget attack is cheaper there",
        minimum_norm=True,
    ),
    _card(
        "cw",
        minimum_norm.carlini_wagner,
        "l2",
        "9 times 201 forwards, 200 backwards",
        "Carlini and Wagner, 2017, arXiv:1608.04644",
        "speed: ddn and fmn come as close at a tenth of the passes",
        minimum_norm=True,
    ),
    _card(
        "deepfool",
        minimum_norm.deepfool,
        "l2 linf",
        "up to 9 forwards, 9 backwards per step; mostly 2 to 5 steps",
        "Moosavi-Dezfooli et al., 2016, arXiv:1511.04599",
        "tight distances on curved boundaries: it stops at the first crossing",
        minimum_norm=True,
    ),
    _card(
        "sigma-zero",
        sparse.sigma_zero,
        "l0",
        "1,001 forwards, 1,000 backwards",
        "Cina et al., 2025, arXiv:2402.01879",
        "changes that must stay small in each value: it may turn a value from black to white",
        minimum_norm=True,
    ),
    _card(
        "pdpgd",
        sparse.pdpgd,
        "l1 l2 linf l0",
        "501 forwards, 500 backwards",
        "Matyasko and Chau, 2021, arXiv:2106.01538",
        "l0, where sigma-zero comes nearer; a fixed eps: a budget attack is cheaper there",
        minimum_norm=True,
    ),
    _card(
        "pdgd",
        sparse.pdgd,
        "l2",
        "501 forwards, 500 backwards",
        "Matyasko and Chau, 2021, arXiv:2106.01538",
        "speed: ddn and fmn come about as close at a fifth of the passes",
        minimum_norm=True,
    ),
    _card(
        "apgd-l1",
        sparse.apgd_l1,
        "l1",
        "103 forwards, 100 backwards",
        "Croce and Hein, 2021, arXiv:2103.01208",
        "the smallest change: it looks for any within eps, pdpgd for the nearest",
    ),
    _card(
        "hopskipjump",
        hop_skip_jump,
        "l2 linf",
        "up to `queries` (5,000) forwards, no backward; it reads decisions only",
        "Chen et al., 2020, arXiv:1904.02144",
        "models with gradients, where ddn and fmn come nearer in 100 steps; a target, which random starts rarely reach",
        minimum_norm=True,
    ),
    _card(
        "rays",
        rays,
        "linf",
        "up to `queries` (5,000) forwards, no backward; it reads decisions only",
        "Chen and Gu, 2020, arXiv:2006.12792",
        "models with gradients; a target, which random starts rarely reach",
        minimum_norm=True,
    ),
    _card(
        "simba",
        simba,
        "l2 linf",
        "up to `queries` (5,000) forwards, no backward",
        "Guo et al., 2019, arXiv:1905.07121",
        "linf, where square needs a fraction of the queries; models with gradients",
    ),
    _card(
        "nes",
        nes,
        "linf l2",
        "up to `queries` (5,000) forwards, no backward, 31 for a step",
        "Ilyas et al., 2018, arXiv:1804.08598",
        "few queries: square needs a fraction of them; its use is a second opinion on masked gradients",
    ),
    _card(
        "spsa",
        spsa,
        "linf l2",
        "up to `queries` (5,000) forwards, no backward, 129 for a step",
        "Uesato et al., 2018, arXiv:1802.05666",
        "few queries: square needs a fraction of them; its use is a second opinion on masked gradients",
    ),
    _card(
        "autoattack",
        partial(stages.autoattack, plan=stages.STANDARD),
        "linf l2",
        "up to 7,811 forwards, 1,900 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "a first look: pgd tells in a fiftieth of the passes whether a model is not robust",
    ),
    _card(
        "autoattack-fast",
        partial(stages.autoattack, plan=stages.FAST),
        "linf l2",
        "up to 1,264 forwards, 1,110 backwards",
        "a stand-in for autoattack: Xie et al., 2024, arXiv:2411.15210, then Melamed et al., 2024, arXiv:2407.02240",
        "papers: it stands in for autoattack, which is what is published and compared",
        stands_in_for="autoattack",
    ),
    _card(
        "autoattack-plus",
        partial(stages.autoattack, plan=stages.PLUS),
        "linf l2",
        "up to about 15,000 forwards, 9,000 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "models without signs of masked gradients: it rarely finds more than autoattack",
    ),
    _card(
        "autoattack-rand",
        partial(stages.autoattack, plan=stages.RAND),
        "linf l2",
        "up to 4,242 forwards, 4,000 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "deterministic models: it averages 20 looks at the same picture",
    ),
)
ATTACKS = Registry("attacks", "attack", _CARDS, AttackCard, wrap=AttackCard)
