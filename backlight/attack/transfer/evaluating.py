"""How far attacks made on one model fool others: a data set, some models, every pair of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from backlight.attack.transfer.request import TransferRequest
from backlight.attack.transfer.running import BATCH, TransferRun
from backlight.attack.transfer.study import TransferStudy
from backlight.classifier import Classifier
from backlight.core.errors import Failure, UsageError, did_you_mean
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.core.random import Seed
from backlight.data.dataset import Dataset
from backlight.evaluate.samples import check_labeled, check_one_class, match_labels
from backlight.sweep import Task, sweep
from backlight.table import Table


def evaluate_transfer(
    models: Sequence[Classifier] | Mapping[str, Classifier],
    data: Dataset,
    request: TransferRequest | None = None,
    *,
    seed: Seed = 0,
    cache: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    batch_size: int = BATCH,
) -> TransferStudy:
    """Attack every model on every picture of a labeled data set, and show what comes of it to all models.

    A picture is attacked at its surrogate's input size, if the surrogate names it rightly, and rounded to 8 bits
    within eps; a victim looks at it, changed and unchanged, resized whole to its own size (`seen_by`). Rates are over
    pictures that both name rightly unchanged. Random numbers are keyed by seed and id, so that no picture's result
    depends on another's. Finished blocks are kept in the folder `cache`, and the next run of the same study goes on
    from them.

    Raises UsageError for fewer than two models (three for ensembles), DataError for unlabeled data and for labels that
    a model does not know, ModelError for several labels per picture.

    >>> import torch
    >>> from torch import nn
    >>> data = Dataset.of(torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8), [0, 1, 1, 0], ["a", "b"])
    >>> nets = [nn.Sequential(nn.Flatten(), nn.Linear(3 * side**2, 2)) for side in (8, 6)]
    >>> models = {f"side {side}": Classifier.from_module(net, size=side) for net, side in zip(nets, (8, 6))}
    >>> study = evaluate_transfer(models, data, TransferRequest.of("mi"))
    >>> [(one.surrogate, one.victim) for one in study.rates][:2]
    [('side 8', 'side 8'), ('side 8', 'side 6')]
    """
    start = time.perf_counter()
    asked = request or TransferRequest()
    named = dict(models) if isinstance(models, Mapping) else dict(zip(_names(models), models))
    _check(named, data, asked)
    run = TransferRun(named, data, asked, seed, batch_size)
    task = Task(f"transfer on {data.name}", data, run.work, run.depends, run.cost)
    found = sweep(task, folder=cache, engine=engine or Engine(next(iter(named.values())).device), progress=progress)
    return TransferStudy(
        found.table,
        asked,
        tuple(named),
        run.surrogates,
        {name: model.labels or data.label_names for name, model in named.items()},
        run.examples(found),
        data.split,
        (*data.failed, *found.failed, *_undefined(found.table)),
        time.perf_counter() - start,
    )


def _undefined(table: Table) -> Iterator[Failure]:
    """Name the pictures of which a model has no well-defined prediction, at any of the sizes at which it saw them."""
    looks = [table[name] for name in table.names if name.endswith(".clean")]
    for row, count in enumerate((np.stack(looks) < 0).sum(0).tolist()):
        if count:
            yield Failure(table.ids[row], f"no well-defined prediction in {count} of {len(looks)} looks")


def _names(models: Sequence[Classifier]) -> list[str]:
    """Name models, by their place too where several have the same name."""
    counts = Counter(one.title for one in models)
    return [f"{one.title} ({place})" if counts[one.title] > 1 else one.title for place, one in enumerate(models, 1)]


def _check(models: Mapping[str, Classifier], data: Dataset, request: TransferRequest) -> None:
    request.check_count(len(models))
    for name in request.surrogates:
        if name not in models:
            raise UsageError(f"no model {name!r} to attack", hint=did_you_mean(name, models))
    check_labeled(data)
    _ = request.chosen  # wrong options are told before any long work
    first = next(iter(models.values()))
    for one in models.values():
        check_one_class(one, data)
        match_labels(one, data)
        if one.channels != first.channels:
            found = f"{first.name} takes {first.channels} channels, {one.name} {one.channels}"
            raise UsageError(found, expected="models of pictures with the same channels")
