"""Every attack by name: what it needs, what it costs, where it comes from, and when not to use it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from backlight.attack import auto, gradient, minimum_norm, perceptual, reshaping, sparse, stages
from backlight.attack.black_box import cards
from backlight.attack.card import AttackCard, settled_card
from backlight.attack.transfer.parts import TRANSFER_PARTS, is_joined, transfer_card
from backlight.core.plugins import Registry

_CARDS = (
    settled_card(
        "fgsm",
        gradient.fgsm,
        "linf",
        "2 forwards, 1 backward",
        "Goodfellow et al., 2015, arXiv:1412.6572",
        "measuring robustness: one step misses most of what PGD finds, and is easily masked",
    ),
    settled_card(
        "fgm",
        gradient.fgm,
        "l2 linf l1",
        "2 forwards, 1 backward",
        "Miyato et al., 2016, arXiv:1605.07725",
        "measuring robustness: see fgsm",
    ),
    settled_card(
        "pgd",
        gradient.pgd,
        "linf l2 l1",
        "steps + 1 forwards, steps backwards; less where images are fooled sooner",
        "Madry et al., 2018, arXiv:1706.06083",
        "a last word on robustness: its step is fixed and one objective may be masked; autoattack has neither flaw",
    ),
    settled_card(
        "targeted_l2",
        gradient.targeted_l2,
        "l2",
        "steps + 1 forwards, steps backwards",
        "Simonyan et al., 2014, arXiv:1312.6034 (gradient ascent on a class, from a picture)",
        "small perturbations: it stops at the first success, not at the nearest",
        targeted="always",
    ),
    settled_card(
        "apgd-ce",
        partial(auto.apgd, objective="cross-entropy"),
        "linf l2",
        "101 forwards, 100 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "models whose confidence is so high that the cross-entropy's gradient is zero; apgd-dlr and apgd-t are not",
    ),
    settled_card(
        "apgd-dlr",
        partial(auto.apgd, objective="dlr"),
        "linf l2",
        "101 forwards, 100 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "two classes: the margin takes DLR's place; against strong models apgd-t finds more",
    ),
    settled_card(
        "apgd-t",
        auto.apgd_t,
        "linf l2",
        "up to 9 times 101 forwards, 100 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "a quick look: it costs nine times apgd-ce",
    ),
    settled_card(
        "fab-t",
        auto.fab_t,
        "linf l2 l1",
        "up to 9 times 200 forwards, 100 backwards",
        "Croce and Hein, 2020, arXiv:1907.02044",
        "a bound on robustness where apgd-t has run: it rarely adds anything, except where gradients are masked",
        minimum_norm=True,
    ),
    settled_card(
        "square",
        auto.square,
        "linf l2",
        "up to 5,001 forwards",
        "Andriushchenko et al., 2020, arXiv:1912.00049",
        "models with honest gradients: it needs many times the passes of pgd; its use is to expose masked ones",
        needs="scores",
    ),
    settled_card(
        "ddn",
        minimum_norm.ddn,
        "l2",
        "101 forwards, 100 backwards",
        "Rony et al., 2019, arXiv:1811.09600",
        "a fixed eps: a budget attack is cheaper there",
        minimum_norm=True,
    ),
    settled_card(
        "fmn",
        minimum_norm.fmn,
        "l2 linf",
        "101 forwards, 100 backwards",
        "Pintor et al., 2021, arXiv:2102.12827",
        "a fixed eps: a budget attack is cheaper there",
        minimum_norm=True,
    ),
    settled_card(
        "cw",
        minimum_norm.carlini_wagner,
        "l2",
        "9 times 201 forwards, 200 backwards",
        "Carlini and Wagner, 2017, arXiv:1608.04644",
        "speed: ddn and fmn come as close at a tenth of the passes",
        minimum_norm=True,
    ),
    settled_card(
        "deepfool",
        minimum_norm.deepfool,
        "l2 linf",
        "up to 9 forwards, 9 backwards per step; mostly 2 to 5 steps",
        "Moosavi-Dezfooli et al., 2016, arXiv:1511.04599",
        "tight distances on curved boundaries: it stops at the first crossing",
        minimum_norm=True,
    ),
    settled_card(
        "sigma-zero",
        sparse.sigma_zero,
        "l0",
        "at most 1,102 forwards, 1,001 backwards",
        "Cina et al., 2025, arXiv:2402.01879",
        "changes that must stay small in each value: it may turn a value from black to white",
        minimum_norm=True,
    ),
    settled_card(
        "pdpgd",
        sparse.pdpgd,
        "l1 l2 linf l0",
        "514 forwards, 500 backwards; in l0 at most 602 and 501",
        "Matyasko and Chau, 2021, arXiv:2106.01538",
        "l0, where sigma-zero comes nearer; a fixed eps: a budget attack is cheaper there",
        minimum_norm=True,
    ),
    settled_card(
        "pdgd",
        sparse.pdgd,
        "l2",
        "514 forwards, 500 backwards",
        "Matyasko and Chau, 2021, arXiv:2106.01538",
        "speed: ddn and fmn come about as close at a fifth of the passes",
        minimum_norm=True,
    ),
    settled_card(
        "apgd-l1",
        sparse.apgd_l1,
        "l1",
        "103 forwards, 100 backwards",
        "Croce and Hein, 2021, arXiv:2103.01208",
        "the smallest change: it looks for any within eps, pdpgd for the nearest",
    ),
    settled_card(
        "stadv",
        reshaping.stadv,
        "flow",
        "51 forwards, 50 backwards",
        "Xiao et al., 2018, arXiv:1801.02612",
        "a bound on how much values change: pixels move, and an edge that moves changes them by any amount",
    ),
    settled_card(
        "recolor",
        reshaping.recolor,
        "color",
        "51 forwards, 50 backwards",
        "Laidlaw and Feizi, 2019, arXiv:1906.00001",
        "the strongest change of that size: each color becomes one other, and pgd within linf of it finds more",
    ),
    settled_card(
        "perceptual",
        perceptual.perceptual,
        "features",
        "57 forwards, 40 backwards",
        "after Laidlaw et al., 2021, arXiv:2006.12655, by the attacked model's own features instead of LPIPS",
        "comparing models: each measures by its own features",
    ),
    *cards.CARDS,
    settled_card(
        "autoattack",
        partial(stages.autoattack, plan=stages.STANDARD),
        "linf l2",
        "up to 7,811 forwards, 1,900 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "a first look: pgd tells in a fiftieth of the passes whether a model is not robust",
    ),
    settled_card(
        "autoattack-fast",
        partial(stages.autoattack, plan=stages.FAST),
        "linf l2",
        "up to 1,264 forwards, 1,110 backwards",
        "a stand-in for autoattack: Xie et al., 2024, arXiv:2411.15210, then Melamed et al., 2024, arXiv:2407.02240",
        "papers: it stands in for autoattack, which is what is published and compared",
        stands_in_for="autoattack",
    ),
    settled_card(
        "autoattack-plus",
        partial(stages.autoattack, plan=stages.PLUS),
        "linf l2",
        "up to about 15,000 forwards, 9,000 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "models without signs of masked gradients: it rarely finds more than autoattack",
    ),
    settled_card(
        "autoattack-rand",
        partial(stages.autoattack, plan=stages.RAND),
        "linf l2",
        "up to 4,242 forwards, 4,000 backwards",
        "Croce and Hein, 2020, arXiv:2003.01690",
        "deterministic models: it averages 20 looks at the same picture",
    ),
    *map(transfer_card, TRANSFER_PARTS.built_in),
)
ATTACKS = Registry("attacks", "attack", _CARDS, AttackCard, wrap=AttackCard)


def find_attack(attack: str | AttackCard | Callable[..., Any]) -> AttackCard:
    """Find an attack by name, as it is, or put together of parts of transfer attacks, as `mi+dim` is.

    Raises UsageError for a name that nothing has.

    >>> find_attack("mi+dim").name, find_attack("targeted-l2").name
    ('mi+dim', 'targeted_l2')
    """
    return transfer_card(attack) if isinstance(attack, str) and is_joined(attack) else ATTACKS.find(attack)
