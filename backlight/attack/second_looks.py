"""What an evaluation looks at after its attack: checks of the model, accuracy over eps, and what survives as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backlight.attack.audit import random_rows
from backlight.attack.block_sweeps import BlockSweeps
from backlight.attack.blocks import Block, attack_block, fooled_beside
from backlight.attack.checks import CHECKS, CURVE, Doubt, check_model
from backlight.attack.curve import Curve, Reach, default_sizes, join, passes_over, reach_of
from backlight.attack.stages import Stage
from backlight.attack.survival import Survival
from backlight.data.dataset import Dataset
from backlight.pixels import Result
from backlight.sweep import Advance, Part, Swept
from backlight.table import Table

_AS_FILES = 50  # broken images that are attacked as files
_CHECKED = 50  # images that the checks of the model look at


def check_few(sweeps: BlockSweeps, data: Dataset) -> tuple[tuple[Doubt, ...], list[Block]]:
    """Check on some pictures whether the model hides its gradients; give doubts, and the pictures that fooled it."""
    rows = random_rows(_CHECKED, list(data.ids), sweeps.seed)
    batch = next(iter(data.take(rows).batches(_CHECKED)))
    if not len(batch.ids):
        return (), []
    challenge, fooled = sweeps.challenge(batch), list[Block]()

    def watch(found: Result) -> None:
        fooled.append(fooled_beside(challenge, batch.ids, found.images, CHECKS))

    return check_model(challenge, watch), fooled


def accuracy_over_eps(sweeps: BlockSweeps, data: Dataset) -> tuple[Curve, Swept]:
    """Attack every picture at many sizes of eps; give the curve, and the sweep that holds what fooled on the way."""
    threat = sweeps.request.threat
    sizes = default_sizes(threat)

    def work(block: Dataset, advance: Advance) -> Part:
        (batch,) = block.batches(len(block))
        if not batch.ids:
            return Part(Table.of(id=[]), failed=batch.failed)
        challenge = sweeps.challenge(batch)
        reach = reach_of(challenge, sizes)
        assert reach.images is not None
        found = fooled_beside(challenge, batch.ids, reach.images, CURVE)
        tensors = {"distance": reach.distance, "broken": reach.broken}
        return Part(found.table, tensors | sweeps.kept(found), batch.failed)

    depends = ("curve", sizes, *sweeps.depends(()))
    found = sweeps.sweep(f"accuracy over eps on {data.name}", data, work, depends, passes_over(sizes, threat.norm))
    parts = [part for part in found.parts() if len(part.table)]
    reaches = [Reach(part.tensors["distance"], part.tensors["broken"]) for part in parts]
    return join(reaches, sizes, threat.norm, [name for part in parts for name in part.table.ids]), found


def survival_of(sweeps: BlockSweeps, data: Dataset, table: Table, stages: Sequence[Stage]) -> Survival | None:
    """Attack some of the broken images on the 8-bit lattice: what stopped at its first success rounds away."""
    if sweeps.request.budget is not None:
        return None
    names = {stage.name for stage in stages}
    broken = [name for name, by in zip(table.ids, table["broken_by"].tolist()) if by in names]
    if not broken:
        return None
    place = {name: row for row, name in enumerate(data.ids)}
    chosen = [place[broken[row]] for row in random_rows(_AS_FILES, broken, sweeps.seed).tolist()]
    kept = []
    for batch in data.take(chosen).batches(_AS_FILES):
        if len(batch.ids):
            challenge = sweeps.challenge(batch)
            exact = replace(challenge, threat=replace(challenge.threat, lattice=True))
            kept.append(attack_block(exact, batch.ids, stages, sweeps.request.checked).table)
    found = Table.merge(kept)
    return Survival(len(found), int((~found["robust"].astype(bool)).sum()), int(found["jpeg_fools"].sum()))
