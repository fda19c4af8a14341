"""Attack a whole data set block by block: resumable, in several processes, exact or audited, within a budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from backlight import __version__
from backlight.attack.audit import random_rows
from backlight.attack.blocks import UNDEFINED, Block, attack_block, count_beside, fooled_beside, merge_rounds
from backlight.attack.challenge import Challenge
from backlight.attack.checks import CHECKS, CURVE, Doubt, check_model
from backlight.attack.curve import Curve, Reach, default_sizes, join, passes_over, reach_of
from backlight.attack.extremes import Extremes, collect_extremes, distances_of
from backlight.attack.known import Known, eps_tag
from backlight.attack.request import RobustnessRequest
from backlight.attack.robustness import Robustness
from backlight.attack.stages import PLANS, Stage
from backlight.attack.standing import Standing
from backlight.attack.survival import Survival
from backlight.attack.trail import Trail, has_trail
from backlight.classifier import Classifier
from backlight.core.errors import Failure
from backlight.core.fingerprint import fingerprint
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.core.random import Seed
from backlight.core.user_code import code_of
from backlight.data.batch import Batch
from backlight.data.dataset import Dataset
from backlight.evaluate.samples import check_labeled, check_labels
from backlight.pixels import Result
from backlight.sweep import Advance, Cost, Part, Swept, Task, sweep
from backlight.sweep.cost import cost_of, passes_of, shape_of
from backlight.sweep.task import Work
from backlight.table import Table

_AUDITED = ("fab-t", "square")  # the costly stages that rarely change the answer
_BLOCK, _BUDGET_BLOCK = 1000, 100  # pictures in a block at most
_HELD = 6  # pictures in memory for each one of a block: originals, points, gradients, what is kept
_AS_FILES = 50  # broken images that are attacked as files
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
    swept: list[Swept] = field(default_factory=list)
    checked: list[Block] = field(default_factory=list)
    beside: list[Table] = field(default_factory=list)
    unfinished: int = 0
    later: float = 0.0

    @cached_property
    def search(self) -> Classifier:
        """Return the faster copy that attacks look at."""
        return self.classifier.fast(memory_format=self.memory_format)

    def run(self) -> Robustness:
        """Attack all pictures, or those that a budget allows, and audit the survivors where asked."""
        start = time.perf_counter()
        audited = self.request.mode == "audited"
        rounds = [part for part in self.request.rounds if not (audited and part[0].name in _AUDITED)]
        stages = [stage for part in rounds for stage in part]
        data = self._in_order()
        table, audit = self._attack(data, rounds, start), None
        if audited:
            table, audit = self._audited(data, table, start)
        failed = {one for swept in self.swept for one in swept.failed}
        place = {name: row for row, name in enumerate(data.ids)}
        attacked = data.take([place[name] for name in table.ids])
        checks = self._checks(attacked) if self.request.checks else ()
        curve = self._curve(attacked) if self.request.curve else None
        for beside in self.beside:
            table = count_beside(table, beside)
        found = Robustness(
            table,
            self.request,
            self.classifier.labels or data.label_names,
            len(data),
            audit,
            checks,
            None if curve is None else curve.joined(distances_of(table, self.request.threat.size)),
            (*data.failed, *sorted(failed, key=lambda one: one.path), *_undefined(table)),
            survival=self._survival(attacked, table, stages),
            unfinished=max(self.unfinished, 0),
        )
        columns: dict[str, Any] = {"stands_in_for": [found.stands_in_for] * len(found.table)}
        if self.request.card.outputs_only:
            columns["queries"] = found.table["forwards"]
        found = replace(found, table=found.table.with_columns(**columns))
        pictures = None if self.cache is None else self._pictures(data, found)
        return replace(found, pictures=pictures, seconds=time.perf_counter() - start)

    def _pictures(self, data: Dataset, found: Robustness) -> Extremes | None:
        def blocks(ids: Sequence[str]) -> Iterable[Block]:
            parts = (part for swept in self.swept for part in swept.holding(ids))
            return (*(Block(part.table, part.tensors["images"]) for part in parts), *self.checked)

        return collect_extremes(self.classifier, data, found.table, found.smallest, blocks)

    def _in_order(self) -> Dataset:
        if self.request.budget is None:
            return self.data
        # What a budget leaves out must be a random part of the data.
        return self.data.take(random_rows(len(self.data), list(self.data.ids), self.seed, shuffled=True))

    def _attack(self, data: Dataset, rounds: Sequence[tuple[Stage, ...]], start: float) -> Table:
        """Attack in rounds: what withstands one stage is cut into the blocks of the next.

        So blocks are as large as each stage's passes allow. Under a budget a block goes through all stages of a round,
        and no round begins once it is used up.
        """
        place = {name: row for row, name in enumerate(data.ids)}
        left, standing, table = data, Standing(), None
        for number, chosen in enumerate(rounds):
            known = self._known(rounds) if number == 0 else None
            self.later = sum(self._passes(stage) for stages in rounds[number + 1 :] for stage in stages)
            if number and self._spent(start):
                break
            tested = self._round(left, chosen, known, standing, start)
            self.unfinished -= len(tested) if number else 0
            table = tested if table is None else merge_rounds(table, tested)
            names = tested.where(tested["robust"].astype(bool)).ids
            left = data.take([place[name] for name in names])
            if number == 0 and self.request.fast_first:
                self.unfinished = len(names)
            if not names:
                break
        assert table is not None
        return table

    def _round(
        self, data: Dataset, stages: tuple[Stage, ...], known: Known | None, standing: Standing, start: float
    ) -> Table:
        names = " then ".join(stage.name for stage in stages)
        label = self.request.label if names == self.request.label else f"{self.request.label}: {names}"

        def work(block: Dataset, advance: Advance) -> Part:
            def watch(name: str, result: Result) -> None:
                advance(0, standing.under_way(name, result))

            (batch,) = block.batches(len(block))
            if not batch.ids:
                return Part(Table.of(id=[]), failed=batch.failed)
            before = None if known is None else known.block(batch.ids)
            challenge, trail = self._challenge(batch), Trail(len(batch.ids)) if self._trailed else None
            challenge = replace(challenge, watch=trail)
            found = attack_block(challenge, batch.ids, stages, self.request.checked, known=before, watch=watch)
            table = found.table if trail is None else trail.added_to(found.table)
            return Part(table, self._kept(found), batch.failed)

        def enough() -> bool:
            return standing.count > 0 and self._spent(start)

        passes = sum(self._passes(stage) for stage in stages)
        found = self._sweep(f"{label} on {data.name}", data, work, self._depends(stages), passes, standing.add, enough)
        self.swept.append(found)
        return found.table

    @property
    def _trailed(self) -> bool:
        return has_trail(self.request.card, self.request.threat)

    def _spent(self, start: float) -> bool:
        return self.request.budget is not None and time.perf_counter() - start > self.request.budget

    def _sweep(
        self,
        name: str,
        data: Dataset,
        work: Work,
        depends: tuple[object, ...],
        passes: float,
        note: Callable[[Part], str] = lambda part: "",
        enough: Callable[[], bool] = lambda: False,
    ) -> Swept:
        def cost() -> Cost:
            shape = shape_of(self.classifier, data)
            return cost_of(self.classifier, shape, passes, held=_HELD * math.prod(shape))

        most = _BLOCK if self.request.budget is None else _BUDGET_BLOCK
        tag = eps_tag(self.request.threat.size)
        task = Task(name, data, work, depends, cost, self.block, most, later=self.later)
        return sweep(
            task,
            folder=self.cache,
            tag=tag,
            engine=self.engine,
            progress=self.progress,
            note=note,
            enough=enough,
        )

    def _kept(self, block: Block) -> dict[str, Tensor]:
        return {} if self.cache is None else {"images": block.images}

    def _depends(self, stages: tuple[Stage, ...]) -> tuple[object, ...]:
        """Return all that decides about the part of a block but its pictures and the eps, which is the tag."""
        threat, request = self.request.threat, self.request
        where = (self.classifier, threat.norm, threat.lattice, threat.mask, request.chosen.target, self.seed)
        return (
            *where,
            self._trailed,
            stages,
            sorted(request.checked.items()),
            code_of(request.card.function),
            __version__,
        )

    def _known(self, rounds: Sequence[tuple[Stage, ...]]) -> Known | None:
        if self.cache is None:
            return None
        keys = [fingerprint(self._depends(stages)) for stages in rounds]
        return Known.of(self.cache, keys, self.request.threat.size)

    def _passes(self, stage: Stage) -> float:
        function = stage.function if self.request.card.name in PLANS else self.request.card.function
        return passes_of(function, self.request.checked)

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

    def _audited(self, data: Dataset, table: Table, start: float) -> tuple[Table, tuple[int, int, int]]:
        left = table.where(table["robust"].astype(bool)).ids
        chosen = [left[row] for row in random_rows(self.request.audit, left, self.seed).tolist()]
        if not chosen:
            return table, (0, 0, 0)
        place = {name: row for row, name in enumerate(data.ids)}
        sample = data.take([place[name] for name in chosen])
        stages = [(stage,) for stage in self.request.stages() if stage.name in _AUDITED]
        tested = self._attack(sample, stages, start)
        broken = int((~tested["robust"].astype(bool)).sum())
        return merge_rounds(table, tested), (len(left), len(tested), broken)

    def _checks(self, data: Dataset) -> tuple[Doubt, ...]:
        batch = next(iter(data.take(random_rows(_CHECKED, list(data.ids), self.seed)).batches(_CHECKED)))
        if not len(batch.ids):
            return ()
        challenge = self._challenge(batch)

        def watch(found: Result) -> None:
            self.checked.append(fooled_beside(challenge, batch.ids, found.images, CHECKS))

        doubts = check_model(challenge, watch)
        self.beside += [block.table for block in self.checked]
        return doubts

    def _survival(self, data: Dataset, table: Table, stages: Sequence[Stage]) -> Survival | None:
        """Attack some of the broken images on the 8-bit lattice: what stopped at its first success rounds away."""
        if self.request.budget is not None:
            return None
        names = {stage.name for stage in stages}
        broken = [name for name, by in zip(table.ids, table["broken_by"].tolist()) if by in names]
        if not broken:
            return None
        place = {name: row for row, name in enumerate(data.ids)}
        chosen = [place[broken[row]] for row in random_rows(_AS_FILES, broken, self.seed).tolist()]
        kept = []
        for batch in data.take(chosen).batches(_AS_FILES):
            if len(batch.ids):
                challenge = self._challenge(batch)
                exact = replace(challenge, threat=replace(challenge.threat, lattice=True))
                kept.append(attack_block(exact, batch.ids, stages, self.request.checked).table)
        found = Table.merge(kept)
        return Survival(len(found), int((~found["robust"].astype(bool)).sum()), int(found["jpeg_fools"].sum()))

    def _curve(self, data: Dataset) -> Curve:
        sizes = default_sizes(self.request.threat)

        def work(block: Dataset, advance: Advance) -> Part:
            (batch,) = block.batches(len(block))
            if not batch.ids:
                return Part(Table.of(id=[]), failed=batch.failed)
            challenge = self._challenge(batch)
            reach = reach_of(challenge, sizes)
            assert reach.images is not None
            found = fooled_beside(challenge, batch.ids, reach.images, CURVE)
            tensors = {"distance": reach.distance, "broken": reach.broken}
            return Part(found.table, tensors | self._kept(found), batch.failed)

        depends = ("curve", sizes, *self._depends(()))
        passes = passes_over(sizes, self.request.threat.norm)
        found = self._sweep(f"accuracy over eps on {data.name}", data, work, depends, passes)
        parts = [part for part in found.parts() if len(part.table)]
        self.swept.append(found)
        self.beside.append(found.table)
        reaches = [Reach(part.tensors["distance"], part.tensors["broken"]) for part in parts]
        return join(reaches, sizes, self.request.threat.norm, [name for part in parts for name in part.table.ids])


def _undefined(table: Table) -> Iterator[Failure]:
    for name, prediction, broken_by in zip(table.ids, table["prediction"], table["broken_by"]):
        if prediction < 0 or broken_by == UNDEFINED:
            where = "it" if prediction < 0 else "a picture within eps of it"
            yield Failure(name, f"the model has no prediction for {where}: its output is NaN or infinite")
