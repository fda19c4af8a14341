"""The cards of the attacks that ask for outputs only."""

from __future__ import annotations

from collections.abc import Callable

from backlight.attack.black_box.estimates import nes, spsa
from backlight.attack.black_box.geoda import geoda
from backlight.attack.black_box.hop_skip_jump import hop_skip_jump
from backlight.attack.black_box.rays import rays
from backlight.attack.black_box.simba import simba
from backlight.attack.black_box.sparse_rs import sparse_rs
from backlight.attack.black_box.surfree import surfree
from backlight.attack.card import AttackCard, settled_card
from backlight.pixels import Result

_PASSES = "up to `queries` (5,000) forwards, no backward"


def _by_decisions(
    name: str, function: Callable[..., Result], norms: str, reference: str, avoid: str = "models with gradients"
) -> AttackCard:
    passes, far = f"{_PASSES}; it reads decisions only", "a target, which random starts rarely reach"
    return settled_card(name, function, norms, passes, reference, f"{avoid}; {far}", minimum_norm=True, needs="label")


def _by_scores(
    name: str, function: Callable[..., Result], norms: str, reference: str, avoid: str, step: str = ""
) -> AttackCard:
    return settled_card(name, function, norms, _PASSES + step, reference, avoid, needs="scores")


CARDS = (
    _by_decisions(
        "hopskipjump",
        hop_skip_jump,
        "l2 linf",
        "Chen et al., 2020, arXiv:1904.02144",
        "models with gradients, where ddn and fmn come nearer in 100 steps",
    ),
    _by_decisions("rays", rays, "linf", "Chen and Gu, 2020, arXiv:2006.12792"),
    _by_decisions("surfree", surfree, "l2", "Maho et al., 2021, arXiv:2011.12807"),
    _by_decisions("geoda", geoda, "l2 linf", "Rahmati et al., 2020, arXiv:2003.06468"),
    _by_scores(
        "simba",
        simba,
        "l2 linf",
        "Guo et al., 2019, arXiv:1905.07121",
        "linf, where square needs a fraction of the queries; models with gradients",
    ),
    _by_scores(
        "nes",
        nes,
        "linf l2",
        "Ilyas et al., 2018, arXiv:1804.08598",
        "few queries: square needs a fraction of them; its use is a second opinion on masked gradients",
        ", 31 for a step",
    ),
    _by_scores(
        "spsa",
        spsa,
        "linf l2",
        "Uesato et al., 2018, arXiv:1802.05666",
        "few queries: square needs a fraction of them; its use is a second opinion on masked gradients",
        ", 129 for a step",
    ),
    _by_scores(
        "sparse-rs",
        sparse_rs,
        "l0",
        "Croce et al., 2022, arXiv:2006.12834",
        "the smallest change: it looks for any within eps, sigma-zero for the nearest; models with gradients",
    ),
)
