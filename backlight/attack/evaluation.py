"""Attack a whole data set block by block: resumable, in several processes, exact or audited, within a budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from backlight.attack.audit import random_rows
from backlight.attack.blocks import UNDEFINED, Block, Cache, attack_block
from backlight.attack.challenge import Challenge
from backlight.attack.checks import Doubt, check_model
from backlight.attack.curve import Curve, default_sizes, join, reach_of
from backlight.attack.extremes import Extremes, collect_extremes
from backlight.attack.request import RobustnessRequest
from backlight.attack.robustness import Robustness
from backlight.attack.stages import Stage
from backlight.classifier import Classifier
from backlight.data.dataset import Batch, Dataset
from backlight.engine.processes import Engine
from backlight.engine.progress import Progress, reporting
from backlight.errors import DataError, Failure
from backlight.evaluate.samples import check_labels
from backlight.pixels import Result
from backlight.random import Seed
from backlight.table import Table
from backlight.table.statistics import wilson
from backlight.user_code import code_of

_AUDITED = ("fab-t", "square")  # the costly stages that rarely change the answer
_BLOCK, _BUDGET_BLOCK, _BLOCK_VALUES = 1000, 100, 1000 * 3 * 32 * 32
_CHECKED = 50  # images that the checks of the model look at


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
    with what they hold, and the pictures that a report shows are taken from them. With several processes each
    attacks its share and all get the same result. `memory_format` is that of the fast copy, as `Classifier.fast` takes
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
    if not data.labeled:
        raise DataError(f"{data.name} has pictures without labels", expected="all labeled")
    check_labels(classifier, data)
    sized = data.resized(classifier.resize) if classifier.resize is not None else data
    evaluation = RobustnessRun(
        classifier,
        sized,
        request or RobustnessRequest(),
        seed,
        cache,
        engine or Engine(classifier.device),
        progress,
        block,
        memory_format,
    )
    return evaluation.run()


@dataclass
class RobustnessRun:
    """One evaluation under way; `run` gives its outcome."""

    classifier: Classifier
    data: Dataset
    request: RobustnessRequest
    seed: Seed
    cache: Path | None
    engine: Engine
    progress: Progress | None
    block: int | None
    memory_format: str
    failed: list[Failure] = field(default_factory=list)
    kept: list[tuple[Cache, list[str]]] = field(default_factory=list)

    @cached_property
    def search(self) -> Classifier:
        """Return the faster copy that attacks look at; what one process measures as faster all use."""
        if self.engine.world == 1:
            return self.classifier.fast(memory_format=self.memory_format)
        probe = self.engine.share(lambda: self.classifier.fast(memory_format=self.memory_format).probe)
        return self.classifier.fast(memory_format=self.memory_format if probe is None else probe.memory_format)

    def run(self) -> Robustness:
        """Attack all blocks, or those that a budget allows, and audit the survivors where asked."""
        start = time.perf_counter()
        audited = self.request.mode == "audited"
        stages = [stage for stage in self.request.stages() if not (audited and stage.name in _AUDITED)]
        data = self._in_order()
        mine = data.take(self.engine.shard(len(data))) if self.engine.world > 1 else data
        _ = self.search  # now, not in the first block: a process without images takes part in the choice too
        table = self._gathered(self._attack(mine, stages, start), data)
        audit = None
        if audited:
            table, audit = self._audited(data, table)
        failed = [one for part in self.engine.gather_objects(self.failed) for one in part]
        found = Robustness(
            table,
            self.request,
            self.classifier.labels or data.label_names,
            len(data),
            audit,
            self._checks(data) if self.request.checks else (),
            self._curve(mine, data) if self.request.curve else None,
            (*data.failed, *sorted(failed, key=lambda one: one.path), *_undefined(table)),
        )
        pictures = None if self.cache is None else self._pictures(data, found)
        return replace(found, pictures=pictures, seconds=time.perf_counter() - start)

    def _pictures(self, data: Dataset, found: Robustness) -> Extremes | None:
        blocks = (block for cache, ids in self.kept if (block := cache.find(ids)) is not None)
        return collect_extremes(self.classifier, data, found.table, found.smallest, blocks, self.engine)

    def _in_order(self) -> Dataset:
        if self.request.budget is None:
            return self.data
        # What a budget leaves out must be a random part of the data.
        return self.data.take(random_rows(len(self.data), list(self.data.ids), self.seed, shuffled=True))

    def _attack(self, data: Dataset, stages: Sequence[Stage], start: float) -> list[Table]:
        tables: list[Table] = []
        with reporting(self.progress, len(data), f"{self.request.label} on {data.name}") as advance:

            def watch(name: str, result: Result) -> None:
                advance(0, _under_way(tables, name, result))

            for batch in data.batches(self._block_size()):
                self.failed += batch.failed
                if len(batch.ids):
                    tables.append(self._one_block(batch, stages, watch).table)
                advance(len(batch.ids) + len(batch.failed), running(tables))
                if self.request.budget is not None and time.perf_counter() - start > self.request.budget:
                    break
        return tables

    def _one_block(
        self, batch: Batch, stages: Sequence[Stage], watch: Callable[[str, Result], None] | None = None
    ) -> Block:
        challenge = self._challenge(batch)
        names = [stage.name for stage in stages]
        options = self.request.checked
        cache = None
        if self.cache is not None:
            content = (challenge.images, challenge.labels, challenge.targets, code_of(self.request.card.function))
            cache = Cache.of(
                self.cache,
                challenge,
                " ".join(names),
                sorted(options.items()),
                content,
                code_of(self.request.card.function),
            )
            self.kept.append((cache, batch.ids))
            found = cache.find(batch.ids)
            if found is not None:
                return found
        known = None if cache is None else cache.smaller(batch.ids)
        block = attack_block(challenge, batch.ids, stages, options, known=known, watch=watch)
        if cache is not None:
            cache.keep(batch.ids, block)
        return block

    def _challenge(self, batch: Batch) -> Challenge:
        challenge = Challenge.of(
            self.classifier,
            batch.images.to(self.classifier.device),
            batch.labels,
            threat=self.request.threat,
            target=self.request.chosen.target,
            seed=self.seed,
            ids=batch.ids,
        )
        return challenge.searching(self.search)

    def _audited(self, data: Dataset, table: Table) -> tuple[Table, tuple[int, int, int]]:
        left = table.where(table["robust"].astype(bool)).ids
        chosen = [left[row] for row in random_rows(self.request.audit, left, self.seed).tolist()]
        if not chosen:
            return table, (0, 0, 0)
        place = {name: row for row, name in enumerate(data.ids)}
        sample = data.take([place[name] for name in chosen])
        mine = sample.take(self.engine.shard(len(sample))) if self.engine.world > 1 else sample
        stages = [stage for stage in self.request.stages() if stage.name in _AUDITED]
        tested = self._gathered(
            [self._one_block(batch, stages).table for batch in mine.batches(self._block_size())], sample
        )
        return _with_audit(table, tested), (len(left), len(tested), int((~tested["robust"].astype(bool)).sum()))

    def _gathered(self, tables: list[Table], data: Dataset) -> Table:
        everything = [one for part in self.engine.gather_objects(tables) for one in part]
        if not everything:
            raise DataError(f"{data.name} has no picture that can be read", expected="at least one")
        merged = Table.merge(everything)
        here = set(merged.ids)
        return merged.at([name for name in data.ids if name in here], exact=True)

    def _checks(self, data: Dataset) -> tuple[Doubt, ...]:
        batch = next(iter(data.take(random_rows(_CHECKED, list(data.ids), self.seed)).batches(_CHECKED)))
        return check_model(self._challenge(batch)) if len(batch.ids) else ()

    def _curve(self, mine: Dataset, data: Dataset) -> Curve:
        sizes, found = default_sizes(self.request.threat), []
        with reporting(self.progress, len(mine), f"accuracy over eps on {data.name}") as advance:
            for batch in mine.batches(self._block_size()):
                if len(batch.ids):
                    found.append((batch.ids, reach_of(self._challenge(batch), sizes)))
                advance(len(batch.ids) + len(batch.failed))
        blocks = [one for part in self.engine.gather_objects(found) for one in part]
        ids = [name for names, _ in blocks for name in names]
        return join([reach for _, reach in blocks], sizes, self.request.threat.norm, ids)

    def _block_size(self) -> int:
        if self.block is not None:
            return self.block
        most = _BLOCK if self.request.budget is None else _BUDGET_BLOCK
        values = self.data.read([0]).numel() if len(self.data) else 1
        return max(1, min(most, _BLOCK_VALUES // values))


def _undefined(table: Table) -> Iterator[Failure]:
    for name, prediction, broken_by in zip(table.ids, table["prediction"], table["broken_by"]):
        if prediction < 0 or broken_by == UNDEFINED:
            where = "it" if prediction < 0 else "a picture within eps of it"
            yield Failure(name, f"the model has no prediction for {where}: its output is NaN or infinite")


def running(tables: Sequence[Table]) -> str:
    """Return the accuracies so far, with the 95 % interval of the robust one.

    >>> running([Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 1], robust=[True, False])])
    'clean 100.0 %, robust 50.0 % (9.5 to 90.5)'
    """
    count = sum(map(len, tables))
    if not count:
        return ""
    right = sum(int((one["prediction"] == one["label"]).sum()) for one in tables)
    robust = sum(int(one["robust"].sum()) for one in tables)
    low, high = wilson(robust, count)
    return (
        f"clean {100 * right / count:.1f} %, robust {100 * robust / count:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    )


def _under_way(tables: Sequence[Table], name: str, result: Result) -> str:
    left, count = int((~result.success).sum()), len(result.success)
    words = f"now {left} of {count} stand after {name}" if name else f"now {left} of {count} stand unattacked"
    return f"{running(tables)}; {words}" if tables else words


def _with_audit(table: Table, tested: Table) -> Table:
    """Put what the audit broke in its rows' place, and add what it cost."""
    rows = {row["id"]: row for row in tested.rows()}

    def merged() -> Iterator[dict[str, object]]:
        for row in table.rows():
            audit = rows.get(row["id"])
            if audit is None:
                yield row
                continue
            kept = row if audit["robust"] else audit
            yield kept | {name: row[name] + audit[name] for name in ("forwards", "backwards", "zero_grads")}

    whole = list(merged())
    return Table.of({name: [row[name] for row in whole] for name in table.names})
