"""What one pass over a data set keeps of each picture: all that findings without further passes are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from backlight.core.errors import DataError, Failure

PROPERTIES = (
    *("brightness", "contrast", "saturation", "sharpness", "entropy", "aspect", "size", "hue", "jpeg_quality"),
    *("border_red", "border_green", "border_blue"),
)
"""The ten properties (the last is a color) that findings set against labels, mistakes and other data."""

HEALTH = ("luminance_1", "luminance_5", "luminance_99", "blur_score", "colorfulness", "height", "width")
"""What the rules of picture health need besides."""


@dataclass(frozen=True, eq=False, repr=False)
class LinearHead:
    """A last layer that is linear: logits = features @ weight.T + bias; float32 `[K,D]` and `[K]`.

    >>> head = LinearHead(np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32))
    >>> head.logits(np.array([[1, 2]], dtype=np.float16)).tolist()
    [[1.0, 2.0]]
    """

    weight: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Compute logits float32 `[N,K]` of features `[N,D]`."""
        return np.asarray(features, dtype=np.float32) @ self.weight.T + self.bias


@dataclass(frozen=True, eq=False, repr=False)
class Kept:
    """One row per picture that could be read, in the order of the data.

    ids          text
    labels       int64 `[N]`, numbered as the classifier numbers its classes; -1 where unknown
    label_names  the K names
    logits       float32 `[N,K]`
    features     float16 `[N,D]`, what enters the last layer; D is 0 where the model shows none; may be memory-mapped
    digests      uint64 `[N,2]`, a hash of the decoded pixels
    hashes       uint64 `[N]`, a perceptual hash (difference hash, `backlight.data.duplicates`)
    thumbnails   uint8 `[N,256]`, grey, 16 x 16
    properties   float32 `[N]` by name: `PROPERTIES` and `HEALTH`
    head         the last layer where it is linear
    failed       pictures that could not be read

    Raises DataError where lengths differ.

    >>> kept = Kept.of(np.array([[2.0, 0.0], [0.0, 1.0]]), labels=[0, 0], label_names=["cat", "dog"])
    >>> kept.predictions.tolist(), kept.right.tolist(), kept.ids
    ([0, 1], [True, False], ('0', '1'))
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    label_names: tuple[str, ...]
    logits: np.ndarray
    features: np.ndarray
    digests: np.ndarray
    hashes: np.ndarray
    thumbnails: np.ndarray
    properties: Mapping[str, np.ndarray] = field(default_factory=dict)
    head: LinearHead | None = None
    failed: tuple[Failure, ...] = ()
    name: str = "data"

    def __post_init__(self) -> None:
        columns = {
            **{name: getattr(self, name) for name in ("labels", "logits", "features", "digests", "hashes")},
            "thumbnails": self.thumbnails,
            **self.properties,
        }
        wrong = {name: len(column) for name, column in columns.items() if len(column) != len(self.ids)}
        if wrong:
            raise DataError(f"{len(self.ids)} ids, but columns of other lengths: {wrong}", expected="one row per id")

    @classmethod
    def of(
        cls,
        logits: np.ndarray,
        *,
        labels: Sequence[int] | np.ndarray | None = None,
        label_names: Sequence[str] = (),
        features: np.ndarray | None = None,
        ids: Sequence[str] | None = None,
        head: LinearHead | None = None,
        name: str = "data",
        **more: np.ndarray,
    ) -> Kept:
        """Build one from arrays; what is left out is made up so that no two pictures look alike.

        `more` are `digests`, `hashes`, `thumbnails` and properties by name.
        """
        count, classes = np.shape(logits)
        numbers = np.arange(count, dtype=np.uint64)
        found = {column: more.pop(column, None) for column in ("digests", "hashes", "thumbnails")}
        spread = numbers * np.uint64(0x9E3779B97F4A7C15)  # the golden ratio: neighbors differ in about half of the bits
        digests, hashes, thumbnails = found.values()
        return cls(
            tuple(map(str, range(count))) if ids is None else tuple(ids),
            np.full(count, -1, np.int64) if labels is None else np.asarray(labels, dtype=np.int64),
            tuple(label_names) or tuple(map(str, range(classes))),
            np.asarray(logits, dtype=np.float32),
            np.zeros((count, 0), np.float16) if features is None else np.asarray(features, dtype=np.float16),
            np.stack([numbers, spread], 1) if digests is None else digests,
            spread if hashes is None else hashes,
            spread[:, None].view(np.uint8).repeat(32, 1) if thumbnails is None else thumbnails,
            {column: np.asarray(values, dtype=np.float32) for column, values in more.items()},
            head,
            (),
            name,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def label_of(self, row: int) -> str:
        """Name the label of a row, nothing where it has none."""
        label = int(self.labels[row])
        return self.label_names[label] if label >= 0 else ""

    def taken_for(self, row: int) -> str:
        """Name the class that a row is taken for."""
        predicted = int(self.predictions[row])
        return self.label_names[predicted] if predicted >= 0 else "nothing"

    def __repr__(self) -> str:
        width = self.features.shape[1]
        return f"Kept({self.name}: {len(self)} pictures, {len(self.label_names)} classes, {width} features)"

    @property
    def labeled(self) -> bool:
        """Whether every picture has a label."""
        return len(self) > 0 and bool((self.labels >= 0).all())

    @cached_property
    def defined(self) -> np.ndarray:
        """Whether a picture has a prediction: bool `[N]`; the highest logit must be finite."""
        return np.isfinite(self.logits.max(1)) if len(self) else np.zeros(0, bool)

    @cached_property
    def predictions(self) -> np.ndarray:
        """Return the class of the highest logit, int64 `[N]`, and -1 where none is well defined."""
        return np.where(self.defined, self.logits.argmax(1), -1) if len(self) else np.zeros(0, np.int64)

    @cached_property
    def right(self) -> np.ndarray:
        """Whether prediction and label agree: bool `[N]`."""
        return (self.predictions == self.labels) & (self.labels >= 0)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Compute the softmax of the logits, float32 `[N,K]`; NaN where no prediction is well defined."""
        shifted = self.logits - np.where(self.defined, self.logits.max(1), 0)[:, None]
        found = np.exp(np.where(self.defined[:, None], shifted, np.nan))
        return found / found.sum(1, keepdims=True)

    @cached_property
    def confidence(self) -> np.ndarray:
        """Return the probability of the prediction, float32 `[N]`."""
        return self.probabilities.max(1) if len(self) else np.zeros(0, np.float32)

    def without_features(self) -> Kept:
        """Return the same without features, so that taking rows copies little.

        >>> Kept.of(np.eye(3), features=np.ones((3, 5))).without_features().features.shape
        (3, 0)
        """
        return replace(self, features=self.features[:, :0])

    def take(self, rows: np.ndarray) -> Kept:
        """Keep these rows (places, or a bool mask `[N]`), in this order.

        >>> Kept.of(np.eye(3)).take(np.array([2, 0])).ids
        ('2', '0')
        """
        places = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows, dtype=np.int64)
        return Kept(
            tuple(self.ids[place] for place in places),
            self.labels[places],
            self.label_names,
            self.logits[places],
            self.features[places],
            self.digests[places],
            self.hashes[places],
            self.thumbnails[places],
            {name: column[places] for name, column in self.properties.items()},
            self.head,
            self.failed,
            self.name,
        )
