"""One block of a data set, attacked stage by stage: a table of its images, and their adversarial pictures.

A block may begin with adversarial pictures that are known already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.attack.referee import UNDECIDED
from backlight.attack.stages import Stage, run_stage
from backlight.attack.survival import survives
from backlight.classifier.heads import predicted_classes, well_defined
from backlight.pixels import Result
from backlight.pixels.geometry import length
from backlight.pixels.result import Stopped
from backlight.table import Table

WRONG_BEFORE, UNDEFINED, SURVIVED = "clean", "undefined", ""
"""In the column `broken_by`: not right without any attack; met a picture that the model has no prediction for; held."""
NOT_BROKEN = (WRONG_BEFORE, UNDEFINED, SURVIVED)


@dataclass(frozen=True, eq=False, repr=False)
class Block:
    """Some images with what became of each: the table's rows and the pictures `[B,C,H,W]` kept."""

    table: Table
    images: Tensor


def attack_block(
    challenge: Challenge,
    ids: Sequence[str],
    stages: Sequence[Stage],
    options: Mapping[str, Any],
    *,
    known: Block | None = None,
    watch: Callable[[str, Result], None] | None = None,
) -> Block:
    """Run the stages on the images that are left after each; begin with the adversarial pictures of `known`.

    `watch` is told of every stage by name, "" for what stands before any, and of the result after it.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> from backlight.attack.gradient import pgd
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(2, 3, 2, 2))
    >>> attack_block(challenge, ["a", "b"], [Stage("pgd", pgd)], {"steps": 3}).table.ids
    ['a', 'b']
    """
    result = challenge.begin()
    broken_by = [WRONG_BEFORE if wrong else SURVIVED for wrong in result.success.tolist()]
    if known is not None:
        result, broken_by = _reuse(challenge, ids, result, broken_by, known)
    watch = watch or (lambda name, result: None)
    watch("", result)
    for stage in stages:
        if bool(result.success.all()):
            break
        found = run_stage(challenge, stage, result, options)
        for row in (found.success & ~result.success).nonzero()[:, 0].tolist():
            broken_by[row] = stage.name
        lost = (found.stopped == Stopped.UNDEFINED) & ~found.success
        for row in lost.nonzero()[:, 0].tolist():
            broken_by[row] = UNDEFINED
        result = replace(found, success=found.success | lost)
        watch(stage.name, result)
    return Block(_tabulate(challenge, ids, result, broken_by), result.images)


def _reuse(
    challenge: Challenge, ids: Sequence[str], result: Result, broken_by: list[str], known: Block
) -> tuple[Result, list[str]]:
    named = dict(zip(known.table.ids, known.table["broken_by"].tolist()))
    rows = [row for row, name in enumerate(ids) if name in named and not result.success[row]]
    places = torch.tensor(rows, dtype=torch.int64)
    if not len(places):
        return result, broken_by
    where = {name: row for row, name in enumerate(known.table.ids)}
    images = known.images[[where[ids[row]] for row in rows]].to(result.images)
    verdict = challenge.referee.judge(images, places)
    good = places[verdict.success]
    kept, success = result.images.clone(), result.success.clone()
    kept[good], success[good] = images[verdict.success], True
    for row in good.tolist():
        broken_by[row] = named[ids[row]]
    return replace(result, images=kept, success=success), broken_by


def _tabulate(challenge: Challenge, ids: Sequence[str], result: Result, broken_by: list[str]) -> Table:
    rows = torch.arange(len(result), device=result.images.device)
    logits = challenge.referee.logits(result.images, rows)
    margin = challenge.referee.margin(logits, rows)
    columns: dict[str, Any] = {
        "label": challenge.labels,
        "prediction": predicted_classes(challenge.clean),
        "clean_margin": challenge.referee.margin(challenge.clean, rows),
        "clean_top5": _in_top(challenge.clean, challenge.labels),
        "attacked_prediction": predicted_classes(logits),
        "robust_top5": _in_top(logits, challenge.labels),
        "robust": ~result.success,
        "broken_by": broken_by,
        "distance": challenge.threat.distance(result.images, challenge.images),
        "changed_pixels": challenge.threat.changed_pixels(result.images, challenge.images),
        "margin": margin,
        "undecided": margin.abs() < UNDECIDED,
        "steps": result.steps,
        "forwards": result.forwards,
        "backwards": result.backwards,
        "zero_grads": result.zero_grads,
    }
    broken = torch.tensor([name not in NOT_BROKEN for name in broken_by], device=logits.device)
    places = broken.nonzero()[:, 0]
    for name, held in zip(("png_fools", "jpeg_fools"), survives(challenge, result.images[places], places)):
        columns[name] = torch.zeros_like(broken).index_put((places,), held)
    if challenge.threat.own is not None:
        change = result.images.double() - challenge.images.double()
        columns |= {norm: length(change, norm) for norm in ("l2", "linf")}
    if challenge.targets is not None:
        columns["target"] = challenge.targets
    return Table.of({"id": list(ids), **columns})


def _in_top(logits: Tensor, labels: Tensor, count: int = 5) -> Tensor:
    top = logits.topk(min(count, logits.shape[1]), dim=1).indices
    return (top == labels[:, None]).any(1) & well_defined(logits)


def fooled_beside(challenge: Challenge, ids: Sequence[str], images: Tensor, name: str) -> Block:
    """Judge, at the eps of the challenge, pictures `[B,C,H,W]` that a search beside the attack found.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> challenge = Challenge.of(Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), size=2),
    ...                          torch.rand(2, 3, 2, 2))
    >>> fooled_beside(challenge, ["a", "b"], challenge.images, "curve").table["robust"].tolist()
    [True, True]
    """
    known = Block(Table.of(id=list(ids), broken_by=[name] * len(ids)), images)
    return attack_block(challenge, ids, (), {}, known=known)


def count_beside(table: Table, beside: Table) -> Table:
    """Put what a search beside the attack fooled in the rows' place that had withstood.

    >>> costs = {"forwards": [1], "backwards": [1], "zero_grads": [0], "steps": [1], "margin": [-1.0]}
    >>> first, second = ({"id": ["a"], "robust": [robust], **costs} for robust in (True, False))
    >>> count_beside(Table.of(first), Table.of(second))["robust"].tolist()
    [False]
    """
    standing = set(table.where(table["robust"].astype(bool)).ids)
    new = [not robust and name in standing for name, robust in zip(beside.ids, beside["robust"].tolist())]
    return merge_rounds(table, beside.where(np.array(new, dtype=bool)))


def merge_rounds(table: Table, tested: Table) -> Table:
    """Put what a later attack made of some images in their rows' place, and add what it cost.

    Of two pictures that did not fool the one with the lower margin stays.

    >>> costs = {"forwards": [1], "backwards": [1], "zero_grads": [0], "steps": [1]}
    >>> first, second = ({"id": ["a"], "robust": [True], "margin": [margin], **costs} for margin in (2.0, 1.0))
    >>> merge_rounds(Table.of(first), Table.of(second)).rows()[0]["margin"]
    1.0
    """
    later = {row["id"]: row for row in tested.rows()}

    def merged() -> Iterator[dict[str, Any]]:
        for row in table.rows():
            other = later.get(row["id"])
            if other is None:
                yield row
                continue
            better = not other["robust"] or other["margin"] < row["margin"]
            costs = {name: row[name] + other[name] for name in ("forwards", "backwards", "zero_grads")}
            yield (row | other if better else row) | costs | {"steps": other["steps"]}

    whole = list(merged())
    return Table.of({name: [row[name] for row in whole] for name in table.names})
