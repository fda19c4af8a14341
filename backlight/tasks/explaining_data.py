"""The verb `explain --data`: every picture of a data set explained, and the methods scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backlight.classifier import Classifier
from backlight.core.progress import Progress
from backlight.data import Dataset
from backlight.explain import choose_methods
from backlight.explain import explain_data as explain_pictures
from backlight.explain.request import Request
from backlight.explain.scores import choose_metrics, describe_location, describe_scores
from backlight.explain.scores.metrics import AnyMetric
from backlight.explain.scores.score import DEFAULT_METRICS
from backlight.explain.study import BLOCKS, DataExplanations
from backlight.report import Options, write_report
from backlight.report.explanations import explanations_headline, explanations_section
from backlight.report.exports import SUMMARY
from backlight.report.study import METHODS
from backlight.tasks.loading import (
    DEFAULT_MODEL,
    DataRequest,
    Model,
    as_classifier,
    data_facts,
    doubts_of,
    measured_by,
    named,
    told,
    with_model,
)
from backlight.tasks.named_tables import with_names
from backlight.tasks.outcome import Outcome, plain_json
from backlight.tasks.pulling import ALONE, Pulling
from backlight.tasks.result_folder import ResultFolder, require_fresh

_TABLE, _PAGE, _AVERAGES, _EXPORTS = "explain.parquet", "report.html", "class-averages.npz", "explain-tables"


@dataclass(frozen=True)
class ExplainDataRequest:
    """Which data set is explained and how, and by which metrics the maps are scored.

    `resume` goes on from the blocks that are finished in `out`, `force` begins anew.

    >>> ExplainDataRequest(DataRequest("shapes")).metrics
    ()
    """

    data: DataRequest
    model: Model = DEFAULT_MODEL
    asked: Request = field(default_factory=lambda: Request(METHODS, "top"))
    metrics: tuple[AnyMetric, ...] = ()
    resume: bool = False
    out: Path = Path("backlight-out")
    force: bool = False
    batch_size: int = 32
    command: str = ""


def scored(score: bool) -> tuple[str, ...]:
    """Return the metrics of maps that are scored, or none."""
    return tuple(DEFAULT_METRICS) if score else ()


def explain_data(request: ExplainDataRequest, *, progress: Progress | None = None, pulling: Pulling = ALONE) -> Outcome:
    """Explain a data set: a table of scores, average maps of classes, overlays, and a page, in `out`.

    The result is `DataExplanations`. With several processes each explains its share; only the main one tells.
    Interrupted, its finished blocks stay. Raises UsageError where something is there already, and as `load`,
    `load_data` and `backlight.explain.explain_data` do.

    >>> import tempfile
    >>> from backlight import load
    >>> data, model = DataRequest("shapes:n=4,size=32,classes=2", "all"), load("classic_cnn", random=True)
    >>> asked, out = Request(("saliency",), "top"), Path(tempfile.mkdtemp())
    >>> explain_data(ExplainDataRequest(data, model, asked, out=out)).document["n"]
    4
    """
    choose_methods(request.asked.methods)  # wrong names are told before a model is loaded
    choose_metrics(request.metrics)
    _check_new(request)
    pictures = request.data.load(request.model, seed=request.asked.seed)
    classifier = named(as_classifier(request.model, request.asked.seed), pictures)
    pictures = pictures.with_channels(classifier.channels)
    folder = ResultFolder(request.out, "explain")
    with folder.sweeping(classifier.device, fresh=not request.resume, progress=progress, pulling=pulling) as shared:
        found = explain_pictures(
            classifier,
            pictures,
            request.asked,
            metrics=request.metrics,
            out=shared.blocks.parent,
            resume=True,
            engine=shared.engine,
            progress=shared.progress,
            batch_size=request.batch_size,
        )
        return _outcome(classifier, pictures, found, request) if shared.is_main else Outcome(result=found)


def _outcome(
    classifier: Classifier, pictures: Dataset, found: DataExplanations, request: ExplainDataRequest
) -> Outcome:
    files = _write(classifier, found, request)
    document = found.to_json() | {"table": files[0], "report": files[-1]}
    return Outcome(
        plain_json(with_model(classifier, document, pictures)),
        (*measured_by(classifier), *_lines(found, request.out)),
        files,
        found.failed,
        (*doubts_of(classifier), *told(pictures)),
        found,
    )


def _check_new(request: ExplainDataRequest) -> None:
    if not (request.resume or request.force):
        require_fresh(request.out / BLOCKS, [request.out / name for name in (_TABLE, _PAGE, _AVERAGES, _EXPORTS)])


def _write(classifier: Classifier, found: DataExplanations, request: ExplainDataRequest) -> tuple[Path, ...]:
    table, averages, page = (request.out / name for name in (_TABLE, _AVERAGES, _PAGE))
    with_names(found.table, found.labels, classifier.labels).write(table)
    found.averages.write(averages, found.labels)
    made = write_report(
        classifier,
        (),
        page,
        sections=[explanations_section(found)],
        failed=found.failed,
        options=Options(
            seed=found.request.seed,
            command=request.command,
            title=f"What {classifier.title} looks at, and how far its maps can be trusted",
            data=data_facts(found.data),
            headline=explanations_headline(found),
            tables={SUMMARY: found.summary_table()},
            exports=request.out / _EXPORTS,
        ),
        force=True,
    )
    return table, averages, *made.exports, page


def _lines(found: DataExplanations, out: Path) -> Iterator[str]:
    summary = found.summary()
    yield f"{len(found.table)} pictures, split {found.data.split}, {found.seconds:.1f} s"
    for name, metrics in summary.items():
        yield f"  {name}"
        yield from (f"    {metric:<17}{_score(entry)}" for metric, entry in metrics.items())
    yield from (f"  {sentence}" for sentence in (*describe_scores(summary), *describe_location(summary)))
    yield f"  {out / _TABLE}"
    yield f"  {out / _EXPORTS}"
    yield f"  {out / _PAGE}"


def _score(entry: Mapping[str, Any]) -> str:
    differences = (
        f"{words} {_number(entry[key]['difference'], '+')} +- {_number(entry[key]['standard_error'])}"
        for key, words in (("random", "a random map"), ("edges", "the edge map"))
    )
    mean, error = _number(entry["mean"]), _number(entry["standard_error"])
    return f"{mean} +- {error}   minus {', '.join(differences)}"


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"
