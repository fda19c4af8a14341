"""Every detector of unknown inputs by name: what it needs, who proposed it, and when not to rely on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from backlight.audit import scores
from backlight.audit.scores import Known, Score
from backlight.core.plugins import Registry


@dataclass(frozen=True)
class DetectorCard:
    """One detector: how it is fitted, what it needs (logits, features, head), its reference, when not to use it.

    `title` says in words what it measures; without one, its name is shown.

    >>> DETECTORS["rmds_normalized"].title
    'relative Mahalanobis distance of normalized features (RMDS++)'
    """

    name: str
    fit: Callable[[Known], Score]
    needs: frozenset[str] = frozenset({"logits"})
    reference: str = ""
    avoid: str = ""
    title: str = ""

    @property
    def words(self) -> str:
        """Return what it measures in words."""
        return self.title or self.name


def _own(name: str, function: Callable[[Known], Score]) -> DetectorCard:
    return DetectorCard(name, function, frozenset({"logits", "features"}))


_FEATURES, _HEAD = frozenset({"features"}), frozenset({"logits", "features", "head"})
_LEE, _REN = "Lee et al., 2018, arXiv:1807.03888", "Ren et al., 2021, arXiv:2106.09022"
_UNIT = "Mueller and Hein, 2025, arXiv:2505.18032"
_SHAPED = "transformers, on which it falls to chance"
_CARDS = (
    DetectorCard(
        "gen",
        scores.generalized_entropy,
        reference="Liu et al., 2023, CVPR",
        avoid="two classes, where it is MSP",
        title="generalized entropy (GEN)",
    ),
    DetectorCard(
        "energy", scores.energy, reference="Liu et al., 2020, arXiv:2010.03759", avoid=_SHAPED, title="energy"
    ),
    DetectorCard(
        "max_logit",
        scores.max_logit,
        reference="Hendrycks et al., 2022, arXiv:1911.11132",
        avoid=_SHAPED,
        title="largest logit",
    ),
    DetectorCard(
        "msp",
        scores.max_probability,
        reference="Hendrycks and Gimpel, 2017, arXiv:1610.02136",
        avoid="noise",
        title="largest probability (MSP)",
    ),
    DetectorCard(
        "knn",
        scores.nearest_neighbor,
        _FEATURES,
        "Sun et al., 2022, arXiv:2204.06507",
        "few known pictures",
        "distance to the nearest known pictures (kNN)",
    ),
    DetectorCard(
        "mds",
        scores.mahalanobis,
        _FEATURES,
        _LEE,
        "near kinds, such as other classes",
        "Mahalanobis distance (MDS)",
    ),
    DetectorCard(
        "mds_normalized",
        partial(scores.mahalanobis, unit=True),
        _FEATURES,
        f"{_LEE}; {_UNIT}",
        "few known pictures",
        "Mahalanobis distance of normalized features (MDS++)",
    ),
    DetectorCard(
        "rmds",
        scores.relative_mahalanobis,
        _FEATURES,
        _REN,
        "noise, from which every class is equally far",
        "relative Mahalanobis distance (RMDS)",
    ),
    DetectorCard(
        "rmds_normalized",
        partial(scores.relative_mahalanobis, unit=True),
        _FEATURES,
        f"{_REN}; {_UNIT}",
        "noise",
        "relative Mahalanobis distance of normalized features (RMDS++)",
    ),
    DetectorCard(
        "vim",
        scores.virtual_logit,
        _HEAD,
        "Wang et al., 2022, arXiv:2203.10807",
        "fewer pictures than features",
        "virtual logit (ViM)",
    ),
    DetectorCard(
        "react",
        scores.clipped,
        _HEAD,
        "Sun et al., 2021, arXiv:2111.12797",
        _SHAPED,
        "energy of clipped features (ReAct)",
    ),
    DetectorCard(
        "scale", scores.scaled, _HEAD, "Xu et al., 2024, arXiv:2310.00227", _SHAPED, "energy of scaled features (SCALE)"
    ),
    DetectorCard(
        "fdbd",
        scores.decision_boundary,
        _HEAD,
        "Liu and Qin, 2024, arXiv:2312.11536",
        "many thousands of classes",
        "distance to the decision boundaries (fDBD)",
    ),
)
DETECTORS = Registry("detectors", "detector", _CARDS, DetectorCard, wrap=_own)
DEFAULT = "gen"
"""The detector that is recommended where nothing can be measured: it is never far from the best."""
