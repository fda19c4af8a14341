"""Attack a whole data set block by block: resumable, in several processes, exact or audited, within a budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backlight.attack.audit import random_rows
from backlight.attack.block_sweeps import BlockSweeps
from backlight.attack.blocks import UNDEFINED, Block, count_beside
from backlight.attack.extremes import collect_extremes, distances_of
from backlight.attack.request import RobustnessRequest
from backlight.attack.robustness import Robustness
from backlight.attack.rounds import Rounds
from backlight.attack.second_looks import accuracy_over_eps, check_few, survival_of
from backlight.classifier import Classifier
from backlight.core.errors import Failure
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.core.random import Seed
from backlight.data.dataset import Dataset
from backlight.evaluate.samples import check_labeled, check_labels
from backlight.sweep import Swept
from backlight.table import Table


def evaluate_robustness(
    classifier: Classifier,
    data: Dataset,
    request: RobustnessRequest | None = None,
    *,
    seed: Seed = 0,
    cache: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    block: int | None = None,
    memory_format: str = "auto",
) -> Robustness:
    """Attack every image of a labeled data set and say how many withstand.

    Searches on a fast copy; the referee judges on the classifier itself. Finished blocks (of `block` images) are
    kept in the folder `cache` and read back by the next run of the same evaluation; one with a larger eps begins
    with what they hold, and the pictures that a report shows are taken from them. Several processes share the work
    and all get the same result. `memory_format` is that of the fast copy, as `Classifier.fast` takes
    it.

    Raises DataError for unlabeled data and foreign labels, UsageError for options that do not fit together.

    >>> import torch
    >>> from torch import nn
    >>> data = Dataset.of(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), [0, 1, 1, 0], ["a", "b"])
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> classifier = Classifier.from_module(net, size=8, labels=["a", "b"])
    >>> found = evaluate_robustness(classifier, data, RobustnessRequest("fgsm"))
    >>> found.robust_accuracy <= found.clean_accuracy
    True
    """
    check_labeled(data)
    check_labels(classifier, data)
    sized = data.resized(classifier.resize) if classifier.resize is not None else data
    sweeps = BlockSweeps(
        classifier,
        request or RobustnessRequest(),
        seed,
        engine or Engine(classifier.device),
        cache,
        progress,
        block,
        memory_format,
    )
    return _evaluate(sweeps, _in_order(sweeps, sized))


def _in_order(sweeps: BlockSweeps, data: Dataset) -> Dataset:
    if sweeps.request.budget is None:
        return data
    # What a budget leaves out must be a random part of the data.
    return data.take(random_rows(len(data), list(data.ids), sweeps.seed, shuffled=True))


def _evaluate(sweeps: BlockSweeps, data: Dataset) -> Robustness:
    """Attack, look again, and put together what came of it."""
    request, rounds = sweeps.request, Rounds(sweeps)
    table, audit = rounds.run(data)
    failed = rounds.failed
    place = {name: row for row, name in enumerate(data.ids)}
    attacked = data.take([place[name] for name in table.ids])
    doubts, checked = check_few(sweeps, attacked) if request.checks else ((), [])
    curve, swept = accuracy_over_eps(sweeps, attacked) if request.curve else (None, None)
    for beside in (*(block.table for block in checked), *(() if swept is None else (swept.table,))):
        table = count_beside(table, beside)
    found = Robustness(
        table,
        request,
        sweeps.classifier.labels or data.label_names,
        len(data),
        audit,
        doubts,
        None if curve is None else curve.joined(distances_of(table, request.threat.size)),
        (*data.failed, *failed, *_undefined(table)),
        survival=survival_of(sweeps, attacked, table, [stage for stages in rounds.chosen for stage in stages]),
        unfinished=max(rounds.unfinished, 0),
    )
    found = replace(found, table=_with_costs(found))
    if sweeps.cache is not None:
        read = _blocks([*rounds.swept, *(() if swept is None else (swept,))], checked)
        pictures = collect_extremes(sweeps.classifier, data, found.table, found.smallest, read)
        found = replace(found, pictures=pictures)
    return replace(found, seconds=time.perf_counter() - rounds.start)


def _with_costs(found: Robustness) -> Table:
    """Return the table with what the attack stands in for, and with queries where it asks for outputs alone."""
    columns: dict[str, Any] = {"stands_in_for": [found.stands_in_for] * len(found.table)}
    if found.request.card.outputs_only:
        columns["queries"] = found.table["forwards"]
    return found.table.with_columns(**columns)


def _blocks(swept: Sequence[Swept], checked: Sequence[Block]) -> Callable[[Sequence[str]], Iterable[Block]]:
    """Return what reads the blocks that hold any of some pictures."""

    def holding(ids: Sequence[str]) -> Iterable[Block]:
        parts = (part for one in swept for part in one.holding(ids))
        return (*(Block(part.table, part.tensors["images"]) for part in parts), *checked)

    return holding


def _undefined(table: Table) -> Iterator[Failure]:
    for name, prediction, broken_by in zip(table.ids, table["prediction"], table["broken_by"]):
        if prediction < 0 or broken_by == UNDEFINED:
            where = "it" if prediction < 0 else "a picture within eps of it"
            yield Failure(name, f"the model has no prediction for {where}: its output is NaN or infinite")
