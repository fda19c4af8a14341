"""The page of the verb `evaluate`, with its tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backlight.classifier import Classifier
from backlight.core.errors import Failure, ModelError
from backlight.data import Dataset
from backlight.evaluate import Comparison, Evaluation
from backlight.evaluate.slices import Slice
from backlight.page.sections import Section
from backlight.report import Options, write_report
from backlight.report.comparison import comparison_section
from backlight.report.evaluation import evaluation_sections
from backlight.report.exports import SUMMARY
from backlight.report.training import training_section
from backlight.runs.folder import is_run
from backlight.runs.history import read_history
from backlight.table import Table
from backlight.tasks.loading import data_facts, data_title

PAGE, EXPORTS = "report.html", "evaluate-tables"


def page_sections(
    found: Sequence[Evaluation],
    comparison: Comparison | None,
    slices: Sequence[Slice],
    pictures: Dataset,
    *,
    shown: Sequence[str],
    names: Sequence[str],
) -> list[Section]:
    """Write the sections of one or two evaluations; `shown` tell the models apart, `names` are their specifications."""
    sections = evaluation_sections(found[0], pictures, name=data_title(pictures), slices=slices)
    if comparison is not None:
        first, second = shown
        compared = comparison_section(found[0], found[1], comparison, pictures, (first, second))
        # What follows is about one of the two only, and has to say so.
        sections = [compared, *(replace(one, title=f"{first}: {one.title}") for one in sections)]
    histories = [read_history(name) for name in names if is_run(name)]
    return [*sections, training_section(histories)] if histories else sections


def page_tables(found: Sequence[Evaluation], comparison: Comparison | None) -> dict[str, Table]:
    """Return the tables of one or two evaluations: a summary of each, and by how much they differ."""
    tables = {SUMMARY: found[0].summary_table()}
    if comparison is not None:
        tables |= {f"{SUMMARY} second": found[1].summary_table(), "comparison": comparison.summary_table()}
    return tables


@dataclass(frozen=True)
class WrittenPage:
    """A page that was written, or why none was, and its files: tables and figures, then the page.

    >>> WrittenPage(None).files
    ()
    """

    page: Path | None
    exports: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Return everything that was written."""
        return (*self.exports, *([self.page] if self.page else []))

    @property
    def told(self) -> tuple[str, ...]:
        """Return what people are told: where tables, figures and the page are."""
        return (str(self.page.with_name(EXPORTS)), str(self.page)) if self.page else ()


def _title(models: Sequence[str], hardened: bool) -> str:
    first, *others = models
    if hardened and others:
        return f"{others[0]}: what hardening gained and what it cost"
    return f"How good {first} is{' beside ' + others[0] if others else ''}, and where it fails"


@dataclass(frozen=True)
class EvaluationPage:
    """What an evaluation's page says besides its sections, and where it goes; `models` name one or two.

    Where one was hardened the first section `leads`.
    """

    classifier: Classifier
    models: Sequence[str]
    pictures: Dataset
    out: Path
    command: str
    headline: str
    tables: Mapping[str, Table]
    leads: bool = False

    def write(self, sections: Sequence[Section], failed: Sequence[Failure]) -> WrittenPage:
        """Write page, tables and figures; a model that no page can be made of has only a warning."""
        options = Options(
            command=self.command,
            title=_title(self.models, self.leads),
            data=data_facts(self.pictures),
            headline=self.headline,
            tables=self.tables,
            exports=self.out / EXPORTS,
            leads=self.leads,
            attacked=self.leads,
        )
        try:
            made = write_report(
                self.classifier,
                (),
                self.out / PAGE,
                sections=sections,
                failed=failed,
                options=options,
                force=True,
            )
        except ModelError as error:  # one class, or an unknown input size: the numbers stand all the same
            return WrittenPage(None, warnings=(f"no page was written: {error}",))
        return WrittenPage(made.html, made.exports)
