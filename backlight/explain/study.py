"""Explain a whole data set block by block: resumable, in several processes, in the memory of one block."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backlight import __version__
from backlight.classifier import Classifier
from backlight.core.display import Displayed
from backlight.core.errors import Failure, FileError
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.core.random import Random
from backlight.core.user_code import code_of
from backlight.data.arrays import load_arrays
from backlight.data.dataset import Dataset
from backlight.explain.attribution import Explanations
from backlight.explain.averages import ClassAverages
from backlight.explain.choosing import Method, choose_methods
from backlight.explain.cost import passes_for
from backlight.explain.explaining import explain
from backlight.explain.figures import overlays
from backlight.explain.request import Request
from backlight.explain.saved import map_file, write_raw
from backlight.explain.scores.metrics import AnyMetric, Metric, choose_metrics
from backlight.explain.scores.score import DEFAULT_METRICS, score_explanations, summarize, summary_table
from backlight.explain.views import OBJECT, Views, read_views
from backlight.images import write_png
from backlight.sweep import Advance, Cost, Part, Task, sweep
from backlight.sweep.cost import cost_of, shape_of
from backlight.sweep.parts import forget
from backlight.table import Table

MAPS, BLOCKS = "maps", "explain-blocks"
PLACES = ("border",)
_MASKED = ("mass", "pointing_game")
_BATCH_VALUES = 8 * 3 * 224 * 224


@dataclass(frozen=True, eq=False, repr=False)
class DataExplanations(Displayed):
    """A table with one row per image, `METHOD.METRIC` beside `random.METRIC` and `edges.METRIC`, and what follows.

    `averages` are the average maps of classes (of the label where the data are labeled, else of the class
    explained) and `labels` their names. `classifier` is what was explained, `folder` is where overlays and raw maps
    are, and `failed` names pictures that could not be read.
    """

    table: Table
    methods: tuple[str, ...]
    request: Request
    averages: ClassAverages
    labels: tuple[str, ...]
    classifier: Classifier
    data: Dataset
    folder: Path | None
    failed: tuple[Failure, ...] = ()
    seconds: float = 0.0
    metrics: tuple[Metric, ...] = ()

    def summary(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Summarize the scores over images, as `scores.summarize` does."""
        return summarize(self.table, self.metrics)

    def summary_table(self) -> Table:
        """Return a row per method and metric: mean, its 95% interval `from` and `to`, and the controls' means.

        `n` counts the pictures with a score; one alone has no interval.
        """
        return summary_table(self.table, self.summary())

    def heatmap(self, name: str, method: str) -> Tensor | None:
        """Read one map [H,W] of one image back; None where nothing was written."""
        if self.folder is None:
            return None
        path = map_file(self.folder / MAPS, stem_of(name), method, "npz")
        if not path.is_file():
            return None
        heat = load_arrays(path).get("heat")
        if heat is None or heat.ndim != 2 or heat.dtype.kind != "f":
            raise FileError(path, "holds no map", expected="'heat', floating [H,W]")
        return torch.from_numpy(heat)

    def to_json(self) -> dict[str, Any]:
        """Return the document of the verb `explain --data`."""
        return {
            "n": len(self.table),
            "methods": self.summary(),
            "skipped": [one.to_json() for one in self.failed],
            "seconds": round(self.seconds, 3),
        }


def explain_data(
    classifier: Classifier,
    data: Dataset,
    request: Request,
    *,
    metrics: Sequence[AnyMetric] = DEFAULT_METRICS,
    out: Path | None = None,
    resume: bool = False,
    engine: Engine | None = None,
    progress: Progress | None = None,
    batch_size: int = 32,
    block: int | None = None,
) -> DataExplanations:
    """Explain every picture of a data set, score the maps, and write overlays and raw maps into `out`.

    Where maps lie (near the border; on the object, where the data have masks "object") is always told; `metrics`
    are scored besides. At most `batch_size` pictures, fewer of large ones, are in memory at a time. Finished blocks (of
    `block` pictures) are kept in `out`; with `resume` those of the same model, request and pictures are read back,
    else they are deleted. Several processes share the work and all get the same result.

    Raises DataError where no picture can be read, and as `explain` and `score` do.

    >>> from backlight.data import load_data
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 8))
    >>> data = load_data("shapes:n=3,size=8", split="all")
    >>> found = explain_data(Classifier.from_module(net, size=8), data, Request(("saliency",)), metrics=["deletion"])
    >>> len(found.table), sorted(found.summary()["saliency"])
    (3, ['border', 'deletion', 'mass', 'pointing_game'])
    """
    located = (*PLACES, *(_MASKED if OBJECT in data.masks else ()))
    wanted = choose_metrics((*choose_metrics(metrics), *located))
    study = _Study(classifier, data, request, choose_methods(request.methods), wanted, out, batch_size)
    return study.run(resume, block, engine or Engine(classifier.device), progress)


def stem_of(name: str) -> str:
    """Turn an image's id into a file name of its own.

    >>> stem_of("17"), stem_of("cats/a.jpg").startswith("cats-a.jpg-")
    ('17', True)
    """
    if re.fullmatch(r"\w{1,80}", name, re.ASCII):
        return name
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_.]+', '-', name)[-60:].lstrip('.-')}-{digest}"


@dataclass
class _Study:
    """One run over a data set; `run` gives its outcome."""

    classifier: Classifier
    data: Dataset
    request: Request
    methods: list[Method]
    metrics: tuple[Metric, ...]
    out: Path | None
    batch_size: int

    def __post_init__(self) -> None:
        self.labels = tuple(one.label for one in self.methods)
        size = self.classifier.size or (224, 224)
        self.batch_size = max(1, min(self.batch_size, _BATCH_VALUES // (3 * size[0] * size[1])))

    def run(self, resume: bool, block: int | None, engine: Engine, progress: Progress | None) -> DataExplanations:
        start = time.perf_counter()
        folder = None if self.out is None else self.out / BLOCKS
        if folder is not None and not resume:
            if engine.is_main:
                forget(folder)
            engine.barrier()
        request = self.request
        asked = (self.labels, request.target, request.layer, request.quantity, request.seed)
        named = [metric.name for metric in self.metrics]
        functions = (*(one.card.function for one in self.methods), *(one.function for one in self.metrics))
        code = [code_of(function) for function in functions]
        depends = (self.classifier, *(str(one) for one in (asked, named, code, self.batch_size, __version__)))
        task = Task(
            f"explain {self.data.name}",
            self.data,
            self._work,
            depends,
            self._cost,
            block,
            is_complete=lambda part: self.out is None or self._written(part.table.ids),
        )
        found = sweep(task, folder=folder, engine=engine, progress=progress)
        averages = ClassAverages(self.labels)
        for part in found.parts():
            if len(part.table):
                averages.merge(ClassAverages.from_tensors(self.labels, part.tensors))
        return DataExplanations(
            found.table,
            self.labels,
            self.request,
            averages,
            self.data.label_names if self.data.labeled else self.classifier.labels,
            self.classifier,
            self.data,
            self.out,
            (*self.data.failed, *found.failed),
            time.perf_counter() - start,
            self.metrics,
        )

    def _cost(self) -> Cost:
        shape = shape_of(self.classifier, self.data)
        passes = passes_for(self.methods, self.metrics, shape)
        return cost_of(self.classifier, shape, passes)

    def _work(self, block: Dataset, advance: Advance) -> Part:
        tables, averages, failed = list[Table](), ClassAverages(self.labels), list[Failure]()
        for rows in torch.arange(len(block)).split(self.batch_size):
            views = read_views(self.classifier, block, rows)
            failed += views.failed
            if views.pictures:
                table, here = self._explained(views)
                tables.append(table)
                averages.merge(here)
            advance(len(rows))
        if not tables:
            return Part(Table.of(id=[]), failed=tuple(failed))
        return Part(Table.merge(tables), averages.to_tensors(), tuple(failed))

    def _explained(self, views: Views) -> tuple[Table, ClassAverages]:
        request, random = self.request, Random(self.request.seed, views.ids)
        found = explain(
            self.classifier,
            views.images.to(self.classifier.device),
            request.target,
            methods=self.methods,
            layer=request.layer,
            quantity=request.quantity,
            random=random,
        )
        scored = score_explanations(
            self.classifier,
            found,
            self.methods,
            self.metrics,
            masks=views.masks,
            random=random,
            options={"layer": request.layer},
        )
        if self.out is not None:
            self._write(views, found)
        columns = {"label": views.labels} if self.data.labeled else {}
        averages = ClassAverages(self.labels)
        averages.add((views.labels if self.data.labeled else scored["target"]).tolist(), found)
        return Table.of({"id": views.ids, **columns, **_flags(found), **scored}), averages

    def _write(self, views: Views, found: Explanations) -> None:
        for method, attribution in found.items():
            drawn = overlays(found, method)
            for row, picture in enumerate(views.pictures):
                png, npz = self._files(views.ids[row], method)
                write_png(png, drawn[row])
                write_raw(npz, attribution, row, picture)

    def _files(self, name: str, method: str) -> tuple[Path, Path]:
        assert self.out is not None
        folder, stem = self.out / MAPS, stem_of(name)
        return map_file(folder, stem, method, "png"), map_file(folder, stem, method, "npz")

    def _written(self, ids: Sequence[str]) -> bool:
        return all(path.is_file() for name in ids for one in self.labels for path in self._files(name, one))


def _flags(found: Explanations) -> dict[str, Tensor]:
    columns: dict[str, Tensor] = {}
    for name, one in found.items():
        columns[f"{name}.flat"] = one.flat.cpu()
        if one.gap is not None:
            columns[f"{name}.gap"] = one.gap.cpu()
    return columns
