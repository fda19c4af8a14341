"""The stages of an attack over a data set, in rounds: what withstands one is cut into the blocks of the next."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from backlight.attack.audit import random_rows
from backlight.attack.block_sweeps import BlockSweeps
from backlight.attack.blocks import attack_block, merge_rounds
from backlight.attack.known import Known
from backlight.attack.stages import Stage
from backlight.attack.standing import Standing
from backlight.attack.trail import Trail
from backlight.core.errors import Failure
from backlight.data.dataset import Dataset
from backlight.pixels import Result
from backlight.sweep import Advance, Part, Swept
from backlight.table import Table

_AUDITED = ("fab-t", "square")  # the costly stages that rarely change the answer


@dataclass
class Rounds:
    """The rounds of one evaluation: those that are over, and how many pictures the next would still look at."""

    sweeps: BlockSweeps
    start: float = field(default_factory=time.perf_counter)
    swept: list[Swept] = field(default_factory=list)
    unfinished: int = 0

    @property
    def chosen(self) -> list[tuple[Stage, ...]]:
        """Return the rounds that every picture goes through: of an audited evaluation all but the costly ones."""
        request = self.sweeps.request
        return [one for one in request.rounds if not (request.mode == "audited" and one[0].name in _AUDITED)]

    @property
    def failed(self) -> list[Failure]:
        """Name the pictures that could not be attacked, each once."""
        failed = {one for swept in self.swept for one in swept.failed}
        return sorted(failed, key=lambda one: one.path)

    def run(self, data: Dataset) -> tuple[Table, tuple[int, int, int] | None]:
        """Attack all pictures, or those that a budget allows, and audit the survivors where that is asked for.

        Of an audit come the numbers of survivors, of those that were audited, and of those that were broken.
        """
        table = self._attack(data, self.chosen)
        return self._audited(data, table) if self.sweeps.request.mode == "audited" else (table, None)

    def _attack(self, data: Dataset, rounds: Sequence[tuple[Stage, ...]]) -> Table:
        """Attack in rounds: what withstands one stage is cut into the blocks of the next.

        So blocks are as large as each stage's passes allow. Under a budget a block goes through all stages of a round,
        and no round begins once it is used up.
        """
        place = {name: row for row, name in enumerate(data.ids)}
        left, standing, table = data, Standing(), None
        for number, chosen in enumerate(rounds):
            known = self.sweeps.known(rounds) if number == 0 else None
            if number and self._spent():
                break
            later = sum(self.sweeps.passes(stages) for stages in rounds[number + 1 :])
            tested = self._round(left, chosen, known, standing, later)
            self.unfinished -= len(tested) if number else 0
            table = tested if table is None else merge_rounds(table, tested)
            names = tested.where(tested["robust"].astype(bool)).ids
            left = data.take([place[name] for name in names])
            if number == 0 and self.sweeps.request.fast_first:
                self.unfinished = len(names)
            if not names:
                break
        assert table is not None
        return table

    def _round(
        self, data: Dataset, stages: tuple[Stage, ...], known: Known | None, standing: Standing, later: float
    ) -> Table:
        sweeps, request = self.sweeps, self.sweeps.request
        names = " then ".join(stage.name for stage in stages)
        label = request.label if names == request.label else f"{request.label}: {names}"

        def work(block: Dataset, advance: Advance) -> Part:
            def watch(name: str, result: Result) -> None:
                advance(0, standing.under_way(name, result))

            (batch,) = block.batches(len(block))
            if not batch.ids:
                return Part(Table.of(id=[]), failed=batch.failed)
            before = None if known is None else known.block(batch.ids)
            trail = Trail(len(batch.ids)) if sweeps.trailed else None
            challenge = replace(sweeps.challenge(batch), watch=trail)
            found = attack_block(challenge, batch.ids, stages, request.checked, known=before, watch=watch)
            table = found.table if trail is None else trail.added_to(found.table)
            return Part(table, sweeps.kept(found), batch.failed)

        def enough() -> bool:
            return standing.count > 0 and self._spent()

        found = sweeps.sweep(
            f"{label} on {data.name}",
            data,
            work,
            sweeps.depends(stages),
            sweeps.passes(stages),
            later=later,
            note=standing.add,
            enough=enough,
        )
        self.swept.append(found)
        return found.table

    def _spent(self) -> bool:
        budget = self.sweeps.request.budget
        return budget is not None and time.perf_counter() - self.start > budget

    def _audited(self, data: Dataset, table: Table) -> tuple[Table, tuple[int, int, int]]:
        request = self.sweeps.request
        left = table.where(table["robust"].astype(bool)).ids
        chosen = [left[row] for row in random_rows(request.audit, left, self.sweeps.seed).tolist()]
        if not chosen:
            return table, (0, 0, 0)
        place = {name: row for row, name in enumerate(data.ids)}
        sample = data.take([place[name] for name in chosen])
        tested = self._attack(sample, [(stage,) for stage in request.stages() if stage.name in _AUDITED])
        broken = int((~tested["robust"].astype(bool)).sum())
        return merge_rounds(table, tested), (len(left), len(tested), broken)
