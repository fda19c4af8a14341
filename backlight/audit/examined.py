"""What a check is given: the classifier, the data, and what one pass kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from backlight.audit.commands import CommandWords, Stand
from backlight.audit.finding import Source
from backlight.audit.kept import Kept
from backlight.audit.neighbors import Neighbors, find_neighbors
from backlight.audit.probe import OutOfFold, out_of_fold
from backlight.classifier import Classifier
from backlight.classifier.gradients import reach_images
from backlight.core.progress import Progress
from backlight.data.dataset import Dataset

Depth = Literal["quick", "normal", "deep"]
NEIGHBORS = 10
_FOLDS, _LEAST = 5, 30
_MOST_WORK = 5e12  # multiply-adds that a probe may take below depth deep: about a minute of one core
_STEPS = 60  # passes over the features that a probe takes, about
DEPTHS: tuple[Depth, ...] = ("quick", "normal", "deep")


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """One data set: what the pass kept of it, and its pictures as the classifier takes them, rows as in `kept`.

    `data` is None where only arrays are at hand; `whole` are the same pictures in full size, for people to look at.

    >>> import numpy as np
    >>> Part(Kept.of(np.eye(3))).places["2"]
    2
    """

    kept: Kept
    data: Dataset | None = None
    whole: Dataset | None = None

    @cached_property
    def places(self) -> dict[str, int]:
        """Return the row of each id."""
        return {one: row for row, one in enumerate(self.kept.ids)}


@dataclass(frozen=True, eq=False, repr=False)
class Examined:
    """Everything a check may look at; findings are pure functions of it and of the seed.

    `train` is the data that the model was trained on and `against` data of the field, where they were given; `second`
    is what was kept of the same pictures with a second model.
    Further passes over pictures (`dataset()`) are for checks of depth normal and deep; `folder` is where they may
    keep blocks, None where nothing is kept. `seen_labels` says how it is known that the model was trained on these very
    labels, empty where nothing says so; `groups` are values by picture, by name, such as the columns of a list; `words`
    are how a command line names what is examined, None where it cannot; `compared` says that another model goes through
    the same checks, so that what each picture adds is worth the time that it takes.

    >>> import numpy as np
    >>> examined = Examined.of(Kept.of(np.eye(3), labels=[0, 1, 2]))
    >>> examined.kept.right.tolist(), sorted(examined.has)
    ([True, True, True], ['labels'])
    """

    part: Part
    classifier: Classifier | None = None
    train_part: Part | None = None
    against_part: Part | None = None
    seed: int = 0
    depth: Depth = "normal"
    progress: Progress | None = None
    folder: Path | None = None
    seen_labels: str = ""
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    second: Kept | None = None
    words: CommandWords | None = None
    compared: bool = False

    @classmethod
    def of(
        cls,
        kept: Kept,
        *,
        train: Kept | None = None,
        against: Kept | None = None,
        second: Kept | None = None,
        classifier: Classifier | None = None,
        data: Dataset | None = None,
        seed: int = 0,
        depth: Depth = "normal",
    ) -> Examined:
        """Build one from what was kept, as tests do."""
        known, field = (None if one is None else Part(one) for one in (train, against))
        return cls(Part(kept, data), classifier, known, field, seed, depth, second=second)

    @property
    def kept(self) -> Kept:
        """Return what was kept of the data."""
        return self.part.kept

    @property
    def data(self) -> Dataset | None:
        """Return the pictures of the data, as the classifier takes them."""
        return self.part.data

    @property
    def train(self) -> Kept | None:
        """Return what was kept of the training data."""
        return None if self.train_part is None else self.train_part.kept

    @property
    def against(self) -> Kept | None:
        """Return what was kept of the data of the field."""
        return None if self.against_part is None else self.against_part.kept

    @cached_property
    def has(self) -> frozenset[str]:
        """Name what is at hand of what checks may need (see `CheckCard.needs`)."""
        found = {
            "labels": self.kept.labeled,
            "features": self.kept.features.shape[1] > 0,
            "head": self.kept.head is not None,
            "train": self.train is not None,
            "against": self.against is not None,
            "second": self.second is not None,
            "pictures": self._has_pictures,
            "gradients": self._has_gradients,
        }
        return frozenset(name for name, is_here in found.items() if is_here)

    def command(self, verb: str, *words: str | Stand) -> str:
        """Write a command to copy, empty where a command line cannot name what is examined."""
        return "" if self.words is None else self.words.command(verb, *words)

    @property
    def _has_pictures(self) -> bool:
        return self.classifier is not None and self.data is not None

    @property
    def _has_gradients(self) -> bool:
        """Try it on a picture: which layers a network has says nothing of what its outputs depend on."""
        if self.classifier is None or self.data is None or not len(self.data):
            return False
        return reach_images(self.classifier, self.data[[0]].images.to(self.classifier.device))

    @cached_property
    def fast(self) -> Classifier:
        """Return a faster copy of the classifier for further looks, whose logits agree within 1e-4 of their range."""
        return self.dataset()[0].fast()

    @cached_property
    def neighbors(self) -> Neighbors:
        """Return the ten nearest other pictures of each picture of the data, by the cosine of features."""
        return find_neighbors(self.kept.features, self.kept.features, NEIGHBORS, own=np.arange(len(self.kept)))

    @cached_property
    def probed(self) -> OutOfFold | None:
        """Return what linear probes say of pictures that they were not fitted on; they are fitted once for all checks.

        None where there are fewer than 30 pictures, where most have fewer than five of their class, and where fitting
        would take more than about a minute below depth deep.
        """
        kept = self.kept
        # Only classes that occur are columns: a model of thousands may be looked at on pictures of ten.
        classes, labels, counts = np.unique(kept.labels, return_inverse=True, return_counts=True)
        work = kept.features.size * len(classes) * _STEPS * (_FOLDS + 1)
        enough = len(kept) >= _LEAST and len(classes) > 1 and (counts[labels] >= _FOLDS).mean() >= 0.5
        if not enough or not kept.labeled or (work > _MOST_WORK and self.depth != "deep"):
            return None
        found = out_of_fold(kept.features, labels, folds=_FOLDS, ids=kept.ids, seed=self.seed)
        probabilities = np.zeros((len(kept), len(kept.label_names)), np.float32)
        probabilities[:, classes] = found.probabilities
        return replace(found, probabilities=probabilities)

    def of_source(self, source: Source) -> Part | None:
        """Return the data set that a picture's `source` names."""
        return {"data": self.part, "train": self.train_part, "against": self.against_part}[source]

    def dataset(self, rows: torch.Tensor | None = None) -> tuple[Classifier, Dataset]:
        """Return the classifier and its pictures, all or these rows, for a further pass (`needs` "pictures")."""
        assert self.classifier is not None, "a check that looks at pictures needs 'pictures'"
        assert self.data is not None, "a check that looks at pictures needs 'pictures'"
        return self.classifier, self.data if rows is None else self.data.take(rows)
