"""The verb `report`: one page about a classifier, pictures and a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backlight.classifier import Classifier
from backlight.core.errors import Failure
from backlight.core.files import require_new
from backlight.core.locks import held, hidden_beside
from backlight.core.progress import Progress
from backlight.data import Dataset
from backlight.evaluate import evaluate
from backlight.evaluate.doubts import FILES, doubt_normalization, doubt_normalization_on_files
from backlight.evaluate.multilabel import evaluate_targets
from backlight.evaluate.normalization import NormalizationCheck
from backlight.explain import method
from backlight.images import find_pictures
from backlight.page.sections import Section, percent
from backlight.report import Options, sample_pictures, write_report
from backlight.report.evaluation import evaluation_sections
from backlight.report.exports import SUMMARY
from backlight.report.multilabel import multilabel_headline, multilabel_section
from backlight.report.study import METHODS
from backlight.table import Table
from backlight.tasks.joint_page import exports_of
from backlight.tasks.loading import (
    DEFAULT_MODEL,
    DataRequest,
    Model,
    as_classifier,
    data_facts,
    data_title,
    doubts_of,
    measured_by,
    memory_format_of,
    named,
    take_doubt,
    told,
    with_model,
)
from backlight.tasks.outcome import Outcome, keeping, plain_json

_PAGE = "report.html"
_AT_ONCE = 4


@dataclass(frozen=True)
class ReportRequest:
    """What a report is about: pictures, a data set, or both; four sample photographs where neither is named.

    `out` is the page or a folder for it; `command` is shown on the page. `with_pictures` false makes a page of
    numbers only.

    >>> ReportRequest(out=Path("out")).page.name
    'report.html'
    """

    pictures: tuple[Path, ...] = ()
    model: Model = DEFAULT_MODEL
    data: DataRequest | None = None
    methods: tuple[str, ...] = METHODS
    with_pictures: bool = True
    limit: int | None = None
    out: Path = Path("backlight-out") / _PAGE
    force: bool = False
    seed: int = 0
    batch_size: int = 32
    command: str = ""

    @property
    def exports(self) -> Path | None:
        """Return where tables and figures go: beside the page of a data set; pictures have none."""
        return None if self.data is None else exports_of(self.page)

    @property
    def page(self) -> Path:
        """Return where the page goes."""
        return self.out if self.out.suffix.lower() in (".html", ".htm") else self.out / _PAGE


def report(request: ReportRequest, *, progress: Progress | None = None) -> Outcome:
    """Show on one page what a classifier sees, why, and how easily it is fooled; the result is a `Report`.

    Interrupted, the page shows what was finished, and `Interrupted` says so. Raises UsageError where the page is
    there already or a method is unknown, and as `load`, `load_data` and `write_report` do.

    >>> import tempfile
    >>> from backlight import load
    >>> page = Path(tempfile.mkdtemp()) / "page.html"
    >>> data = DataRequest("shapes:n=20,size=32,classes=10")
    >>> request = ReportRequest(data=data, model=load("classic_cnn", random=True), out=page)
    >>> report(request).files[-1] == page
    True
    """
    for one in request.methods:
        method(one)  # wrong names are told before a model is loaded
    page = require_new(request.page, request.force)
    if request.exports:
        require_new(request.exports, request.force)
    # Two that write one page would show what one of them does, now the one and now the other.
    with held(hidden_beside(page, "lock", ".lock"), page, "written"):
        return _report(request, require_new(page, request.force), progress)


def _report(request: ReportRequest, page: Path, progress: Progress | None) -> Outcome:
    paths = _pictures(request)
    classifier = as_classifier(request.model, request.seed)
    data = None if request.data is None else request.data.load(request.model, seed=request.seed)
    if data is not None:
        classifier = named(classifier, data)  # one page uses one set of names
    found = _look(classifier, data, request.batch_size, progress)
    take_doubt(classifier, _doubt(classifier, data, request.pictures and paths, request.batch_size))
    warnings = () if data is None else told(data)
    options = Options(
        request.methods,
        request.seed,
        min(request.batch_size, _AT_ONCE),
        request.with_pictures,
        memory_format_of(request.model),
        request.command,
        data="" if data is None else data_facts(data),
        headline=found.headline,
        tables=found.tables,
        exports=request.exports,
    )
    with keeping(kept=lambda: f"{page} shows what was finished" if page.exists() else ""):
        made = write_report(
            classifier,
            paths,
            page,
            sections=found.sections,
            failed=found.failed,
            options=options,
            force=request.force,
            progress=progress,
        )
    document = plain_json(with_model(classifier, made.to_json()))
    told_of = (*([str(request.exports)] if request.exports else []), str(made.html))
    lines, warnings = (*measured_by(classifier), *told_of), (*doubts_of(classifier), *warnings)
    return Outcome(document, lines, (*made.exports, made.html), made.failed, warnings, made)


def _pictures(request: ReportRequest) -> list[Path]:
    if request.pictures:
        return find_pictures(request.pictures)[: request.limit]
    return sample_pictures()[: request.limit] if request.data is None else []


def _doubt(
    classifier: Classifier, data: Dataset | None, paths: Sequence[Path], batch_size: int
) -> NormalizationCheck | None:
    """Look at the data, whose labels prove more, else at the person's own pictures; the samples are nobody's own."""
    if data is not None:
        return doubt_normalization(classifier, data, limit=FILES, batch_size=batch_size)
    return doubt_normalization_on_files(classifier, paths, batch_size=batch_size)


@dataclass(frozen=True)
class _Found:
    """What a page says of a data set: sections, tables, and the number that stands for it."""

    sections: Sequence[Section] = ()
    failed: tuple[Failure, ...] = ()
    headline: str = ""
    tables: Mapping[str, Table] = field(default_factory=dict)


def _look(classifier: Classifier, data: Dataset | None, batch_size: int, progress: Progress | None) -> _Found:
    if data is None:
        return _Found()
    if classifier.multilabel and data.targets is not None:
        scores, unread = evaluate_targets(classifier, data, batch_size=batch_size, progress=progress)
        section = multilabel_section(scores, data=data_title(data))
        return _Found([section], unread, multilabel_headline(scores), {SUMMARY: scores.summary_table()})
    found = evaluate(classifier, data, batch_size=batch_size, progress=progress)
    sections = evaluation_sections(found, data, name=data_title(data))
    return _Found(sections, found.failed, f"{percent(found.accuracy)} right", {SUMMARY: found.summary_table()})
