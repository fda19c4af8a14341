"""Results in a notebook: the sections of their pages, in a frame of their own that can reach nothing around it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import singledispatch

import torch

from backlight.attack.adversarial import AttackResult
from backlight.attack.robustness import Robustness
from backlight.attack.transfer.study import TransferStudy
from backlight.attack.universal.study import UniversalStudy
from backlight.audit import Audit
from backlight.certify.study import CertificateStudy
from backlight.classifier import Classifier
from backlight.classifier.predictions import class_name
from backlight.corrupt.study import CorruptionStudy
from backlight.data.dataset import Dataset
from backlight.denoise import Denoised
from backlight.evaluate.evaluating import Evaluation
from backlight.explain.study import DataExplanations
from backlight.images import to_floats
from backlight.page.made import MadePicture, made_section
from backlight.page.page import Page
from backlight.page.sections import Section, number
from backlight.report.audit import audit_sections
from backlight.report.audit_verdict import AuditFacts
from backlight.report.certificates import certificates_section
from backlight.report.corruptions import corruptions_section
from backlight.report.explanations import explanations_section
from backlight.report.fill import fill
from backlight.report.model import model_section
from backlight.report.robustness import robustness_section
from backlight.report.tables import table_sections
from backlight.report.training import training_section
from backlight.report.transfer import transfer_section
from backlight.report.universal import universal_section
from backlight.runs.history import read_history
from backlight.train import Trained
from backlight.visualize import Pictures

HEIGHT, MOST_SHOWN = 560, 12
_AMPLIFIED = 10


def notebook_html(result: object) -> str:
    """Return the page of a result in a sandboxed frame: nothing in it can read or change the notebook.

    >>> notebook_html(Dataset.of(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), [0, 1], ["<b>", "dog"]))[:7]
    '<iframe'
    """
    title, sections = notebook_sections(result)
    page = Page("", None, (), tuple(sections), (), 0, None, title).html()
    style = f"width: 100%; height: {HEIGHT}px; border: 1px solid #8888; resize: vertical"
    return (
        f'<iframe sandbox="allow-scripts" title="{html.escape(title)}" style="{style}" '
        f'srcdoc="{html.escape(page)}"></iframe>'
    )


@singledispatch
def notebook_sections(result: object) -> tuple[str, Sequence[Section]]:
    """Return the title and the sections of a result's page; plug-ins register their own types.

    Raises TypeError for a type that has no page.

    >>> notebook_sections(Dataset.of(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)))[0]
    'Pictures: 2 of data'
    """
    raise TypeError(f"no page shows a {type(result).__name__}")


@notebook_sections.register
def _(result: Classifier) -> tuple[str, Sequence[Section]]:
    return result.name, [model_section(result, result, None, seed=0, command="")]


@notebook_sections.register
def _(result: AttackResult) -> tuple[str, Sequence[Section]]:
    names = result.referee.classifier.labels

    def shown(row: int) -> MadePicture:
        before, after = (class_name(names, int(one[row])) for one in (result.label_before, result.label_after))
        facts = (
            ("before", before),
            ("after", after),
            ("fooled", "yes" if result.success[row] else "no"),
            ("distance", number(float(result.distance[row]))),
            ("margin", number(float(result.margin[row]))),
        )
        noise = 0.5 + _AMPLIFIED * result.perturbation[row]
        return MadePicture(f"{row}: {before}, now {after}", result.images[row], facts, result.originals[row], noise)

    fooled, count = int(result.success.sum()), len(result)
    about = f"{fooled} of {count} fooled by {result.method}, {result.threat.describe()}.{_first_of(count)}"
    pictures = [shown(row) for row in range(min(count, MOST_SHOWN))]
    return f"Attack: {result.method}", [made_section(pictures, "Pictures", about)]


@notebook_sections.register
def _(result: Pictures) -> tuple[str, Sequence[Section]]:
    shown = [
        MadePicture(
            result.names[row],
            result.images[row],
            (
                ("objective", f"{number(float(result.start[row]))} to {number(float(result.objective[row]))}"),
                ("steps", f"{int(result.steps[row])} ({result.stopped[row]})"),
            ),
        )
        for row in range(min(len(result), MOST_SHOWN))
    ]
    return f"Pictures of {result.formula}", [made_section(shown, "Pictures", _first_of(len(result)))]


@notebook_sections.register
def _(result: Denoised) -> tuple[str, Sequence[Section]]:
    shown = [
        MadePicture(
            f"{row}",
            result.images[row],
            (
                ("loss", f"{number(float(result.start[row]))} to {number(float(result.loss[row]))}"),
                ("alpha", number(float(result.alpha[row]))),
                ("steps", f"{int(result.steps[row])} ({result.stopped[row]})"),
            ),
        )
        for row in range(min(len(result.images), MOST_SHOWN))
    ]
    return f"Denoised by {result.solver}", [made_section(shown, "Pictures", _first_of(len(result.images)))]


@notebook_sections.register
def _(result: Dataset) -> tuple[str, Sequence[Section]]:
    rows = torch.arange(min(len(result), MOST_SHOWN)) * max(1, len(result) // MOST_SHOWN)
    rows, images, _ = result.readable(rows)
    shown = [
        MadePicture(result.ids[row], to_floats(image), _label(result, row))
        for row, image in zip(rows.tolist(), images, strict=True)
    ]
    counts = [(name, int((result.labels == label).sum())) for label, name in enumerate(result.label_names)]
    facts = {"classes": counts[:MOST_SHOWN], "more": len(counts) - MOST_SHOWN, "notes": result.notes}
    sections = [Section("classes", "Classes", fill("class_counts.html", facts))] if counts else []
    return f"Pictures: {len(result):,} of {result.name or 'data'}", [*sections, made_section(shown, "Some of them")]


@notebook_sections.register
def _(result: Evaluation) -> tuple[str, Sequence[Section]]:
    return "Evaluation", table_sections(result.table, result.labels, result.split)


@notebook_sections.register
def _(result: Robustness) -> tuple[str, Sequence[Section]]:
    return "Robustness", [robustness_section(result)]


@notebook_sections.register
def _(result: TransferStudy) -> tuple[str, Sequence[Section]]:
    return "Transfer", [transfer_section(result)]


@notebook_sections.register
def _(result: UniversalStudy) -> tuple[str, Sequence[Section]]:
    return f"One {result.change.kind} for many pictures", [universal_section(result)]


@notebook_sections.register
def _(result: CertificateStudy) -> tuple[str, Sequence[Section]]:
    return "Certificates", [certificates_section(result)]


@notebook_sections.register
def _(result: CorruptionStudy) -> tuple[str, Sequence[Section]]:
    return "Corruptions", [corruptions_section(result, None)]


@notebook_sections.register
def _(result: DataExplanations) -> tuple[str, Sequence[Section]]:
    return "Explanations", [explanations_section(result)]


@notebook_sections.register
def _(result: Audit) -> tuple[str, Sequence[Section]]:
    return "Audit", audit_sections(result, AuditFacts(result.examined.data.name if result.examined.data else "arrays"))


@notebook_sections.register
def _(result: Trained) -> tuple[str, Sequence[Section]]:
    return f"Training: {result.run.name}", [training_section([read_history(result.run)])]


def _first_of(count: int) -> str:
    return f" The first {MOST_SHOWN} of {count} are shown." if count > MOST_SHOWN else ""


def _label(data: Dataset, row: int) -> tuple[tuple[str, str], ...]:
    label = int(data.labels[row])
    return (("label", class_name(data.label_names, label)),) if label >= 0 else ()
