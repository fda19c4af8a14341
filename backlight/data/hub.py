"""Data sets of the Hugging Face hub, by the `datasets` library (extra `hub`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlight.core.errors import DataError, UsageError
from backlight.core.reading import read_bytes
from backlight.data.arrays import labels_by_name
from backlight.data.dataset import Dataset
from backlight.data.decoded import from_encoded
from backlight.data.parquet import LABELS
from backlight.data.splits import part_of
from backlight.data.webdataset import MEMBER_LIMIT


def read_hub(name: str) -> dict[str, Dataset]:
    """Load `ORG/NAME` from the hub or from the local cache; a configuration may follow, as in `NAME:plain`.

    Raises `DataError` when it cannot be had, which offline means that it is not in the cache.
    """
    try:
        import datasets
    except ImportError:
        raise UsageError("hf: needs the datasets library", hint="pip install 'backlight[hub]'") from None
    address, _, configuration = name.partition(":")
    try:
        loaded = datasets.load_dataset(address, configuration or None)
    except Exception as error:  # the library raises dozens of kinds for "not there" and "no network"
        raise DataError(
            f"hf:{name} cannot be loaded ({type(error).__name__}: {str(error)[:200]})",
            expected="a data set on the hub, or in the local cache when offline",
        ) from None
    return from_hub(loaded, f"hf:{name}")


def from_hub(loaded: Any, source: str) -> dict[str, Dataset]:
    """Wrap a `datasets.DatasetDict` with one image column and one column of class labels."""
    import datasets

    found = {part: rows for name, rows in loaded.items() if (part := part_of(name)) is not None}
    if not found:
        raise DataError(f"{source}: parts {sorted(loaded)}", expected="train, validation or test")
    features = next(iter(found.values())).features
    images = [key for key, kind in features.items() if isinstance(kind, datasets.Image)]
    labels = [key for key in LABELS if key in features]
    if len(images) != 1 or not labels:
        raise DataError(f"{source}: columns {sorted(features)}", expected="one image and one label column")
    names = list(features[labels[0]].names) if isinstance(features[labels[0]], datasets.ClassLabel) else None
    columns = {part: np.asarray(rows[labels[0]][:]) for part, rows in found.items()}
    label_names, numbers = labels_by_name(columns, names, source)
    made = {}
    for part, rows in found.items():
        encoded = Encoded(rows.cast_column(images[0], datasets.Image(decode=False)), images[0])
        keys = [f"{part}/{row}" for row in range(len(rows))]
        made[part] = Dataset(
            from_encoded(len(keys), encoded.__getitem__, keys.__getitem__), tuple(keys), numbers[part], label_names
        )
    return made


class Encoded:
    """Return the encoded pictures of a hub data set, one at a time."""

    def __init__(self, rows: Any, column: str) -> None:
        self._rows, self._column = rows, column

    def __getitem__(self, row: int) -> bytes:
        cell = self._rows[row][self._column]
        if cell["bytes"] is not None:
            return bytes(cell["bytes"])
        return read_bytes(cell["path"], limit=MEMBER_LIMIT, expected="a picture")
