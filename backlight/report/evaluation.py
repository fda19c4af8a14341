"""The sections of an evaluation: how often it is right, what it confuses, how sure it is, and its worst pictures."""

from __future__ import annotations

from collections.abc import Sequence

from backlight.data.dataset import Dataset
from backlight.evaluate.evaluating import Evaluation
from backlight.evaluate.slices import Slice
from backlight.page.sections import Section
from backlight.report.fill import fill
from backlight.report.gallery import read_thumbnails
from backlight.report.mistakes import Mistakes, losses_facts, mistakes_facts
from backlight.report.tables import table_sections


def evaluation_sections(
    found: Evaluation, data: Dataset, *, name: str = "", slices: Sequence[Slice] = ()
) -> list[Section]:
    """Write the sections of an evaluation of `data`, whose pictures they show; `name` says which data it is.

    At most some hundreds of small pictures are embedded, some megabytes, however many were looked at.

    >>> import torch
    >>> data = Dataset.of(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), [0, 1], ["<b>", "dog"])
    >>> columns = {"label": [0, 1], "prediction": [0, 0], "confidence": [0.9, 0.8], "logits": [[2.0, 0.0]] * 2}
    >>> from backlight.table import Table
    >>> found = Evaluation(Table.of(id=["0", "1"], loss=[0.1, 2.0], **columns), data.label_names)
    >>> [section.anchor for section in evaluation_sections(found, data)]
    ['accuracy', 'confusion', 'losses', 'calibration']
    """
    mistakes = Mistakes(found)
    thumbnails = read_thumbnails(data, mistakes.wanted())
    confused = {"stored": list(thumbnails.values()), **mistakes_facts(mistakes, thumbnails)}
    accuracy, *others = table_sections(found.table, found.labels, name or f"{data.name} ({data.split})")
    sections = [
        accuracy,
        Section("confusion", "What it confuses", fill("mistakes.html", confused)),
        Section("losses", "Its worst pictures", fill("losses.html", losses_facts(found, thumbnails))),
        *others,
    ]
    if slices:
        facts = {"slices": slices, "accuracy": found.accuracy}
        sections.insert(1, Section("slices", "Accuracy by slice", fill("slices.html", facts)))
    return sections
