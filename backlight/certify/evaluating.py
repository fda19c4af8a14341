"""What can be proved about a classifier on a data set, beside what attacks reach."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from backlight.attack import attack
from backlight.certify.bounds import certify_by_bounds, check_bounds
from backlight.certify.request import CertifyRequest
from backlight.certify.smoothing import certify_by_smoothing
from backlight.certify.study import CertificateStudy
from backlight.classifier import Classifier
from backlight.classifier.gradients import reach_images
from backlight.classifier.heads import predicted_classes
from backlight.core.errors import Failure
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.core.random import Seed
from backlight.data.batch import Batch
from backlight.data.dataset import Dataset
from backlight.evaluate.samples import check_labeled, check_one_class, fitted, match_labels
from backlight.sweep import Advance, Cost, Part, Task, sweep
from backlight.sweep.cost import cost_of, shape_of
from backlight.table import Table

BATCH = 32
_BOUND_PASSES = 200  # what carrying bounds costs, in passes of the network: a guess, for the size of blocks only
_ATTACK_PASSES = 200


def evaluate_certificates(
    classifier: Classifier,
    data: Dataset,
    request: CertifyRequest | None = None,
    *,
    seed: Seed = 0,
    cache: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    batch_size: int = BATCH,
) -> CertificateStudy:
    """Certify every picture of a labeled data set, and attack the network itself beside it.

    Smoothing is `certify_by_smoothing`, beside DDN's nearest success in l2; `ibp` and `crown` are `certify_by_bounds`,
    beside PGD with 20 steps from two starts. Random numbers are keyed by seed and id. Finished blocks are kept in the
    folder `cache`, and the next run of the same study goes on from them.

    Raises UsageError for settings, DataError for unlabeled data and labels that the model does not know, ModelError for
    several labels per picture, LayerError for layers without known bounds.

    >>> from torch import nn
    >>> data = Dataset.of(torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8), [0, 1, 1, 0], ["a", "b"])
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), size=8, labels=["a", "b"])
    >>> len(evaluate_certificates(classifier, data, CertifyRequest("ibp")).table)
    4
    """
    start = time.perf_counter()
    asked = request or CertifyRequest()
    _check(classifier, data, asked)
    run = _Run(classifier, data, asked, seed, batch_size)
    task = Task(f"certificates on {data.name}", data, run.work, run.depends, run.cost)
    found = sweep(task, folder=cache, engine=engine or Engine(classifier.device), progress=progress)
    failed = (*data.failed, *found.failed, *_undefined(found.table))
    return CertificateStudy(found.table, asked, data.split, failed, time.perf_counter() - start)


def _undefined(table: Table) -> Iterator[Failure]:
    for name, said in zip(table.ids, table["prediction"].tolist(), strict=True):
        if said < 0:
            yield Failure(name, "the model has no prediction for it: its output is NaN or infinite")


def _check(classifier: Classifier, data: Dataset, request: CertifyRequest) -> None:
    _ = request.radii, request.settings  # wrong options are told before any long work
    check_labeled(data)
    check_one_class(classifier, data)
    match_labels(classifier, data)
    if not request.smoothing:
        check_bounds(classifier)


@dataclass(frozen=True, eq=False)
class _Run:
    classifier: Classifier
    data: Dataset
    request: CertifyRequest
    seed: Seed
    batch_size: int

    @cached_property
    def search(self) -> Classifier:
        """Return the fast copy that attacks look at."""
        return self.classifier.fast()

    @property
    def depends(self) -> tuple[object, ...]:
        """Return all that decides about the results but the pictures."""
        model = (self.classifier, self.classifier.resize, self.classifier.labels)
        return ("certificates", model, self.request.describe(), self.seed, self.batch_size)

    def cost(self) -> Cost:
        """Count what a picture costs."""
        settings = self.request.settings
        passes = settings["n"] + settings["n0"] if self.request.smoothing else _BOUND_PASSES
        passes += _ATTACK_PASSES if self.request.attacked else 0
        return cost_of(self.classifier, shape_of(self.classifier, self.data), passes)

    def work(self, block: Dataset, advance: Advance) -> Part:
        """Tabulate a block."""
        tables, failed = list[Table](), list[Failure]()
        for batch in fitted(self.classifier, block).batches(self.batch_size):
            failed += batch.failed
            if len(batch.ids):
                tables.append(Table.of(self._columns(batch)))
            advance(len(batch.ids) + len(batch.failed))
        return Part(Table.merge(tables) if tables else Table.of(id=[]), failed=tuple(failed))

    def _columns(self, batch: Batch) -> dict[str, object]:
        images, labels = batch.images.to(self.classifier.device), batch.labels
        said = predicted_classes(self.classifier.logits(images)).cpu()
        columns: dict[str, object] = {"id": batch.ids, "label": labels, "prediction": said}
        if self.request.smoothing:
            proof = certify_by_smoothing(
                self.classifier, images, seed=self.seed, ids=list(batch.ids), **self.request.settings
            )
            columns |= {"certified": proof.prediction, "radius": proof.radius}
        else:
            method, size = self.request.name, self.request.size
            columns["margin"] = certify_by_bounds(self.classifier, images, labels, eps=size, method=method).margin
        if self.request.attacked:
            columns |= self._attacked(images, batch, said == labels)
        return columns

    def _attacked(self, images: Tensor, batch: Batch, right: Tensor) -> dict[str, object]:
        """Return how far each picture was when it was fooled, and where no gradient led anywhere."""
        far, blind = torch.zeros(len(images), dtype=torch.float64), torch.zeros(len(images), dtype=torch.bool)
        rows = right.nonzero()[:, 0]
        if not len(rows):
            return {"attacked": far, "blind": blind}
        if not reach_images(self.classifier, images[rows[:1].to(images.device)]):
            far[rows], blind[rows] = torch.inf, True
            return {"attacked": far, "blind": blind}
        how = {"method": "ddn", "norm": "l2"}
        if not self.request.smoothing:
            how = {"method": "pgd:restarts=2,steps=20", "norm": "linf"}
        found = attack(
            self.classifier,
            images[rows.to(images.device)],
            batch.labels[rows],
            eps=None if self.request.smoothing else self.request.size,
            seed=self.seed,
            ids=[batch.ids[row] for row in rows.tolist()],
            search=self.search,
            method=how["method"],
            norm=how["norm"],
        )
        distance = found.distance.double().cpu()
        if not self.request.smoothing:
            distance = distance.clamp(max=self.request.size)  # what is allowed to be over it is a rounding error
        far[rows] = distance.masked_fill(~found.success.cpu(), torch.inf)
        blind[rows] = found.blind.cpu()
        return {"attacked": far, "blind": blind}
