"""A data set to look through: what a model says of its pictures, chosen, ordered, and shown a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backlight.classifier.predictions import class_name
from backlight.core.errors import UsageError
from backlight.core.progress import Progress
from backlight.data import Dataset
from backlight.evaluate import Evaluation
from backlight.images import to_floats, to_picture
from backlight.report.gallery import read_thumbnails
from backlight.table import Table
from backlight.tasks.evaluating import EvaluateRequest, evaluate
from backlight.tasks.loading import DataRequest
from backlight.tasks.outcome import plain_json

PAGE, MOST_PAIRS, MOST_BROKEN = 24, 200, 24
ORDERS: Mapping[str, tuple[str, bool]] = {
    "highest-loss": ("loss", True),
    "lowest-loss": ("loss", False),
    "most-confident": ("confidence", True),
    "least-confident": ("confidence", False),
}
_KEPT = ("label", "prediction", "confidence", "loss")


@dataclass(frozen=True)
class Chosen:
    """Which pictures are shown, in which order, and which page of them; -1 is the class of what has no prediction.

    >>> table = Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 0], confidence=[0.9, 0.8], loss=[0.1, 2.0])
    >>> Chosen(which="wrong").of(table).ids, Chosen(order="lowest-loss").of(table).ids
    (['b'], ['a', 'b'])
    """

    true: int | None = None
    predicted: int | None = None
    which: str = "all"
    order: str = "highest-loss"
    page: int = 0

    def of(self, table: Table) -> Table:
        """Return the rows that were chosen, in order."""
        kept = np.ones(len(table), bool)
        for name, index in (("label", self.true), ("prediction", self.predicted)):
            kept &= True if index is None else table[name] == index
        if self.which != "all":
            kept &= (table["label"] == table["prediction"]) == (self.which == "right")
        found = table.where(kept)
        if self.order not in ORDERS:
            return found
        name, descending = ORDERS[self.order]
        return found.sort(name, descending=descending)

    def python(self) -> str:
        """Write in Python which rows of `table` are shown.

        >>> Chosen(true=3, which="wrong", page=1).python()
        'table.where((table["label"] == 3) & (table["label"] != table["prediction"])).sort("loss", descending=True)...'
        """
        masks = [
            f'table["{name}"] == {index}'
            for name, index in (("label", self.true), ("prediction", self.predicted))
            if index is not None
        ]
        if self.which != "all":
            masks.append(f'table["label"] {"==" if self.which == "right" else "!="} table["prediction"]')
        words = ["table"]
        if masks:
            words.append(f"where({' & '.join(f'({one})' for one in masks) if len(masks) > 1 else masks[0]})")
        if self.order in ORDERS:
            name, descending = ORDERS[self.order]
            words.append(f'sort("{name}"{", descending=True" if descending else ""})')
        return f"{'.'.join([*words, 'rows()'])}[{self.page * PAGE}:{(self.page + 1) * PAGE}]"


@dataclass(frozen=True, eq=False)
class Looked:
    """What a model says of the pictures of a data set: a row for each without its logits, the numbers, the page.

    Logits of many classes would take hundreds of times as much memory.
    """

    pictures: Dataset
    table: Table
    labels: tuple[str, ...]
    told: Mapping[str, Any]
    html: Path | None

    def page(self, chosen: Chosen) -> dict[str, Any]:
        """Show one page of the pictures that were chosen, as small pictures with what is said of them."""
        found = chosen.of(self.table)
        rows = Table(found.arrow.slice(chosen.page * PAGE, PAGE))
        small = read_thumbnails(self.pictures, rows.ids)
        pictures = [self._told(row) | _seen(small.get(row["id"])) for row in rows.rows()]
        return plain_json({"total": len(found), "page": chosen.page, "size": PAGE, "pictures": pictures})

    def picture(self, row: int) -> tuple[dict[str, Any], Image.Image]:
        """Return what is said of the picture in a row of the table, and the picture as it is stored.

        Raises UsageError for a row that there is not, FileError for a picture that can no longer be read, and
        InputError for one that is neither gray nor RGB.
        """
        if not 0 <= row < len(self.table):
            raise UsageError(f"row {row}", expected=f"0 to {len(self.table) - 1}")
        (told,) = Table(self.table.arrow.slice(row, 1)).rows()
        pixels = self.pictures.pictures.one(self.pictures.ids.index(told["id"]))
        return plain_json(self._told(told)), to_picture(to_floats(pixels))

    def _told(self, row: Mapping[str, Any]) -> dict[str, Any]:
        names = _names(self.labels, row["label"], row["prediction"])
        return {**row, "names": names, "right": row["label"] == row["prediction"]}


def look_through(request: EvaluateRequest, *, progress: Progress | None = None) -> Looked:
    """Evaluate the one model of a request, and keep what it takes to look through them.

    Raises UsageError for pictures with several labels each, and as `evaluate` does.

    >>> import tempfile
    >>> from backlight import load
    >>> model, data = load("classic_cnn", random=True), DataRequest("shapes:n=20,size=32,classes=2").load()
    >>> model = model.replace(labels=(*data.label_names, *map(str, range(8))))
    >>> request = EvaluateRequest(DataRequest(data), (model,), out=Path(tempfile.mkdtemp()))
    >>> looked = look_through(request)
    >>> looked.told["n"], looked.page(Chosen(which="all"))["total"], looked.picture(3)[1].size
    (20, 20, (32, 32))
    """
    pictures = request.data.load(*request.models, seed=request.seed)
    outcome = evaluate(replace(request, data=DataRequest(pictures)), progress=progress)
    if not isinstance(outcome.result, list):
        raise UsageError(f"{pictures.name} has several labels a picture", expected="one label for each")
    (found,) = outcome.result
    table = found.table.select(*_KEPT).copy().with_columns(row=np.arange(len(found.table)))
    page = next((path for path in outcome.files if path.suffix == ".html"), None)
    told = plain_json({**_summary(found), "warnings": list(outcome.warnings)})
    return Looked(pictures, table, found.labels, told, page)


def _summary(found: Evaluation) -> dict[str, Any]:
    """Count what is right, class by class, and what is taken for what, the most frequent mistakes first."""
    confusion = found.confusion
    occurring = np.flatnonzero(confusion.totals + confusion.named).tolist()
    mistakes = confusion.wrong
    return {
        "n": len(found.table),
        "right": int(confusion.right.sum()),
        "accuracy": found.accuracy,
        "interval": list(found.accuracy_interval),
        "classes": [
            {
                "index": index,
                "label": class_name(found.labels, index),
                "n": int(confusion.totals[index]),
                "right": int(confusion.right[index]),
            }
            for index in occurring
        ],
        "mistakes": [
            {"true": true, "predicted": predicted, "count": count, "names": _names(found.labels, true, predicted)}
            for true, predicted, count in mistakes[:MOST_PAIRS]
        ],
        "kinds": len(mistakes),
        "failed": [one.to_json() for one in found.failed[:MOST_BROKEN]],
        "broken": len(found.failed),
    }


def _names(labels: tuple[str, ...], *indices: int) -> list[str]:
    return [class_name(labels, index) for index in indices]


def _seen(small: Any) -> dict[str, Any]:
    return {"uri": None, "tiny": False} if small is None else {"uri": small.uri, "tiny": small.tiny}
