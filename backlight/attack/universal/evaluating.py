"""One change for many pictures: learned on some pictures of a data set, measured on those and on others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backlight.attack.referee import judge_logits
from backlight.attack.universal.judging import LOOKS, Judging, named_classes
from backlight.attack.universal.learning import learn
from backlight.attack.universal.request import PerturbationRequest, UniversalRequest
from backlight.attack.universal.study import LEARNED, OTHERS, UniversalExample, UniversalStudy
from backlight.classifier import Classifier
from backlight.classifier.heads import predicted_classes
from backlight.core.errors import DataError, Failure, counted
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.core.random import Random, Seed
from backlight.data.dataset import Dataset
from backlight.evaluate.samples import check_labeled, check_one_class, fitted
from backlight.sweep import Advance, Part, Swept, Task, sweep
from backlight.table import Table

BATCH = 32
_SHOWN, _FOOLED = 4, 2


def evaluate_universal(
    classifier: Classifier,
    data: Dataset,
    request: UniversalRequest | None = None,
    *,
    on: Dataset | None = None,
    seed: Seed = 0,
    cache: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    batch_size: int = BATCH,
) -> UniversalStudy:
    """Learn one perturbation or patch for many pictures, and measure how often it fools on pictures that it never saw.

    It is learned from a `share` of the data, drawn by key, and measured on both parts; where other data is given by
    `on`, it is learned from all of `data`. Only pictures count that the model names rightly unchanged, and with a
    target only those of other classes. Beside the change stands a control of the same size that learned nothing.
    Changed pictures are judged as 8-bit files hold them, by the untouched model. Random numbers are keyed by seed and
    id: no picture's result depends on which others are looked at with it. Finished work is kept in the folder `cache`.

    Raises UsageError for what cannot be meant, DataError for unlabeled data, for labels that the model does not know,
    and where no picture to learn from is named rightly, ModelError for several labels per picture and for a model
    without gradients, InputError for an unknown target.

    >>> from torch import nn
    >>> values = torch.arange(8 * 12, dtype=torch.uint8).view(8, 3, 2, 2)
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> classifier = Classifier.from_module(net, size=2)
    >>> data = Dataset.of(values, classifier.logits(values / 255).argmax(1), ["a", "b"])
    >>> evaluate_universal(classifier, data, PerturbationRequest(eps="40/255", epochs=2)).rate("others").n
    4
    """
    start = time.perf_counter()
    asked = request or PerturbationRequest()
    asked.check()
    sets = _framed(classifier, data, on, asked, seed)
    target = None if asked.target is None else classifier.class_index(asked.target)
    engine = engine or Engine(classifier.device)
    lesson = _Lesson(classifier, asked, target, seed, batch_size)
    task = Task(f"learn a {asked.kind}", sets[LEARNED], lesson.work, lesson.depends, size=len(sets[LEARNED]))
    (learned,) = sweep(task, folder=cache, engine=engine, progress=progress).parts()
    change = asked.change_of(learned.tensors["values"]).settled(learned.tensors["values"])
    judging = Judging(classifier, change, change.control(seed), seed, batch_size)
    table, failed = _measured(judging, sets, partial(sweep, folder=cache, engine=engine, progress=progress))
    names, unread = classifier.labels or data.label_names, (*data.failed, *(() if on is None else on.failed))
    study = UniversalStudy(table, asked, change, learned.tensors["course"], target, names, split=data.split)
    drawn, fooled = (
        tuple(_example(one, study, classifier, sets[OTHERS], seed) for one in names) for names in _drawn(study, seed)
    )
    return replace(
        study,
        examples=drawn,
        fooled_examples=fooled,
        failed=(*unread, *failed, *_undefined(table)),
        seconds=time.perf_counter() - start,
    )


@dataclass(frozen=True, eq=False)
class _Lesson:
    """Learning as the work of one block, so that it is kept, and done by one of several processes."""

    classifier: Classifier
    request: UniversalRequest
    target: int | None
    seed: Seed
    batch_size: int

    @property
    def depends(self) -> tuple[object, ...]:
        """Return all that decides about the results but the pictures."""
        return "learn a universal change", self.classifier, self.request.describe(), self.target, self.seed

    def work(self, block: Dataset, advance: Advance) -> Part:
        """Learn from the pictures that count."""
        looks, failed = list[Tensor](), list[Failure]()
        for batch in block.batches(self.batch_size):
            right = named_classes(self.classifier, batch.images) == batch.labels
            counted_ones = right if self.target is None else right & (batch.labels != self.target)
            looks.append(batch.rows[counted_ones])
            failed += batch.failed
        if len(failed) == len(block):
            raise DataError("no picture to learn from can be read", expected="at least one")
        usable = block.take(torch.cat(looks))
        if not len(usable):
            but = "" if self.target is None else " and is of another class than the target"
            found = f"none of {counted(len(block), 'picture')} to learn from is named rightly{but}"
            raise DataError(found, expected="at least one", hint="more pictures, or a model that knows these classes")
        steps, done = self.request.count_steps(len(usable)), 0

        def tell(step: int) -> None:
            nonlocal done
            share = (step + 1) * len(block) // steps
            advance(share - done, f"step {step + 1:,} of {steps:,}")
            done = share

        learned = learn(self.classifier.fast(), usable, self.request, self.target, seed=self.seed, advance=tell)
        table = Table.of(id=usable.ids, label=usable.labels)
        return Part(table, {"values": learned.values, "course": learned.course}, tuple(failed))


def _measured(
    judging: Judging, sets: Mapping[str, Dataset], swept: Callable[[Task], Swept]
) -> tuple[Table, list[Failure]]:
    """Measure on every part, and put them below one another; name the pictures that could not be read."""
    tables, failed = list[Table](), list[Failure]()
    for name, part in sets.items():
        task = Task(f"measure on {part.name}", part, judging.work, judging.depends, partial(judging.cost, part))
        found = swept(task)
        tables.append(found.table.with_columns(part=[name] * len(found.table)))
        failed += found.failed
    return Table.merge(tables), failed


def _framed(
    classifier: Classifier, data: Dataset, on: Dataset | None, request: UniversalRequest, seed: Seed
) -> dict[str, Dataset]:
    """Return what is learned from and what is measured on, at the model's size and with its labels."""
    for one in (data, *(() if on is None else (on,))):
        check_labeled(one)
        check_one_class(classifier, one)
    if on is not None:  # whose pictures may have the names of others
        return {
            LEARNED: fitted(classifier, data),
            OTHERS: fitted(classifier, replace(on, ids=tuple(f"on/{one}" for one in on.ids))),
        }
    if len(data) < len((LEARNED, OTHERS)):
        found = counted(len(data), "picture")
        raise DataError(f"{found} in {data.name}", expected="one to learn from and another to measure on")
    order = Random((seed, "learned from"), data.ids).uniform(1, dtype=torch.float64)[:, 0].argsort(stable=True)
    many = min(max(round(request.share * len(data)), 1), len(data) - 1)
    first, rest = order[:many].sort().values, order[many:].sort().values
    whole = fitted(classifier, data)
    return {LEARNED: whole.take(first), OTHERS: whole.take(rest)}


def _undefined(table: Table) -> Iterator[Failure]:
    """Name the pictures of which the model has no well-defined prediction, unchanged or changed."""
    for row, count in enumerate((np.stack([table[look] for look in LOOKS]) < 0).sum(0).tolist()):
        if count:
            yield Failure(table.ids[row], f"no well-defined prediction in {count} of {len(LOOKS)} looks")


def _drawn(study: UniversalStudy, seed: Seed) -> tuple[list[str], list[str]]:
    """Draw a few pictures by key: of those that count and were not learned from, and more of those that were fooled."""
    others = study.counts & np.asarray(study.table["part"].astype(str) == OTHERS)
    fooled = dict(zip(study.table.ids, study.fools("changed")))
    ids = study.table.where(others).ids
    order = Random((seed, "examples"), ids).uniform(1, dtype=torch.float64)[:, 0].argsort(stable=True)
    drawn = [ids[place] for place in order.tolist()]
    return drawn[:_SHOWN], [one for one in drawn[_SHOWN:] if fooled[one]][:_FOOLED]


def _example(name: str, study: UniversalStudy, classifier: Classifier, others: Dataset, seed: Seed) -> UniversalExample:
    batch = others[[others.ids.index(name)]]
    images = batch.images.to(classifier.device)
    shown = torch.cat([images, study.change.applied(images, batch.ids, seed)])
    logits = judge_logits(classifier, shown.double() if classifier.dtype == torch.float64 else shown)
    best = classifier.head.probabilities(logits).amax(1).tolist()
    first, second = predicted_classes(logits).tolist()
    original, changed = (shown * 255).round().byte().cpu()
    return UniversalExample(name, original, changed, int(batch.labels[0]), (first, second), (best[0], best[1]))
