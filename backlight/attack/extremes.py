"""The most and the least robust picture of each class, as they were before the attack and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backlight.attack.blocks import SURVIVED, WRONG_BEFORE, Block
from backlight.attack.referee import judge_logits
from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.table import Table

CLASSES = 64
"""Pictures are kept of at most so many classes, the least robust ones."""


@dataclass(frozen=True)
class Pick:
    """One class and the ids of its least and its most robust picture, the same where it has only one.

    >>> Pick(3, "a.png", "b.png").ids
    ('a.png', 'b.png')
    """

    label: int
    least: str
    most: str

    @property
    def ids(self) -> tuple[str, ...]:
        """List the ids, each once."""
        return (self.least,) if self.least == self.most else (self.least, self.most)


@dataclass(frozen=True, eq=False, repr=False)
class Extremes:
    """Pictures `[N,C,H,W]` in [0,1] by id: the originals and what the referee judged, with both logits `[N,K]`.

    `by` says what robust means here: `distance`, the smallest change known to fool, or `margin`, what is left of the
    margin under attack.
    """

    picks: tuple[Pick, ...]
    by: str
    ids: tuple[str, ...]
    originals: Tensor
    images: Tensor
    before: Tensor
    after: Tensor

    def row(self, name: str) -> int:
        """Find a picture's place."""
        return self.ids.index(name)


def pick_extremes(table: Table, distances: Mapping[str, float] | None) -> tuple[Pick, ...]:
    """Choose the least and the most robust picture of each class among those that were right without attack.

    Pictures are ordered by `distances`, the smallest change known to fool each id (inf for none), and where these
    are equal, or not known, by the margin that the attack left. The classes come least robust first, at most
    `CLASSES` of them.

    >>> columns = {"label": [0, 0], "margin": [-0.5, 2.0], "robust": [False, True], "broken_by": ["pgd", ""]}
    >>> pick_extremes(Table.of({"id": ["a", "b"], **columns}), None)
    (Pick(label=0, least='a', most='b'),)
    """
    ids, labels = table.ids, table["label"]
    known = np.zeros(len(ids)) if distances is None else np.array([distances.get(name, np.inf) for name in ids])
    # The last key counts first; ids settle what is left, so that the choice depends on no order.
    order = np.lexsort((np.array(ids), table["margin"].astype(np.float64), known))
    order = order[table["broken_by"].astype(str)[order] != WRONG_BEFORE]
    picks = []
    for label in np.unique(labels[order]).tolist():
        own = order[labels[order] == label]
        share = float(table["robust"][labels == label].mean())
        picks.append((share, Pick(label, ids[own[0]], ids[own[-1]])))
    return tuple(pick for _, pick in sorted(picks, key=lambda one: (one[0], one[1].label))[:CLASSES])


def distances_of(table: Table, most: float = np.inf) -> dict[str, float]:
    """Return the distances at which a table's images were fooled, at most the eps of `most`; inf where none was.

    >>> columns = {"distance": [0.1, 0.0], "broken_by": ["fmn", ""]}
    >>> distances_of(Table.of({"id": ["a", "b"], **columns}))
    {'a': 0.1, 'b': inf}
    """
    survived = table["broken_by"].astype(str) == SURVIVED
    return dict(zip(table.ids, np.where(survived, np.inf, np.minimum(table["distance"], most)).tolist()))


Found = dict[str, tuple[float, Tensor]]
"""Per id its margin and the attacked picture `[C,H,W]`."""


def attacked_pictures(blocks: Iterable[Block], wanted: Mapping[str, str]) -> Found:
    """Take pictures out of blocks, of the wanted ids what the attack named there made of them, lowest margin first.

    >>> table = Table.of(id=["a", "b"], broken_by=["", "pgd"], margin=[1.0, -1.0])
    >>> list(attacked_pictures([Block(table, torch.zeros(2, 3, 4, 4))], {"b": "pgd"}))
    ['b']
    """
    found: Found = {}
    for block in blocks:
        told = zip(block.table.ids, block.table["broken_by"].tolist(), block.table["margin"].tolist())
        for row, (name, broken_by, margin) in enumerate(told):
            if wanted.get(name) == broken_by and (name not in found or margin < found[name][0]):
                found[name] = (margin, block.images[row].detach().cpu().clone())
    return found


def collect_extremes(
    classifier: Classifier,
    data: Dataset,
    table: Table,
    distances: Mapping[str, float] | None,
    blocks: Callable[[Sequence[str]], Iterable[Block]],
) -> Extremes | None:
    """Pick pictures by the table of all blocks, out of those that `blocks` finds for their ids.

    Both logits are of the classifier itself. None where no picture was right without attack.

    Raises FileError for a picture that cannot be read any more.
    """
    picks = pick_extremes(table, distances)
    wanted = list(dict.fromkeys(name for pick in picks for name in pick.ids))
    broken_by = dict(zip(table.ids, table["broken_by"].tolist()))
    found = attacked_pictures(blocks(wanted), {name: broken_by[name] for name in wanted})
    if not wanted:
        return None
    places = {name: row for row, name in enumerate(data.ids)}
    originals = data[[places[name] for name in wanted]].images
    images = torch.stack([found[name][1] for name in wanted]).to(originals)
    before, after = (judge_logits(classifier, one.to(classifier.device)).cpu() for one in (originals, images))
    by = "margin" if distances is None else "distance"
    return Extremes(picks, by, tuple(wanted), originals, images, before, after)
