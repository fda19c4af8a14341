"""The verb `evaluate`: how good a classifier is on a data set, where it fails, and whether a second one is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from backlight.audit.hardening import Hardening, HardeningRequest
from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.core.processes import make_engine
from backlight.core.progress import Progress
from backlight.data import Dataset
from backlight.evaluate import Comparison, Evaluation, compare_evaluations
from backlight.evaluate import evaluate as evaluate_classifier
from backlight.evaluate.doubts import doubt_normalization
from backlight.evaluate.multilabel import evaluate_targets
from backlight.evaluate.normalization import NormalizationCheck
from backlight.evaluate.registry import (
    AnyEvaluationMetric,
    EvaluationMetric,
    choose_evaluation_metrics,
    measure,
)
from backlight.evaluate.slices import Slice, read_slices, require_values
from backlight.evaluate.temperature import at_temperature, find_temperature, read_temperature
from backlight.page.sections import percent
from backlight.report.exports import SUMMARY
from backlight.report.multilabel import multilabel_headline, multilabel_section
from backlight.runs.folder import is_run
from backlight.tasks.evaluation_page import EXPORTS, PAGE, EvaluationPage, page_sections, page_tables
from backlight.tasks.evaluation_text import evaluation_lines, multilabel_lines
from backlight.tasks.hardening import before_and_after, measure_both, tell_hardening
from backlight.tasks.loading import (
    DEFAULT_MODEL,
    DataRequest,
    Model,
    ModelRequest,
    as_classifier,
    data_title,
    doubts_of,
    measured_by,
    model_name,
    named,
    take_doubt,
    told,
    told_apart,
    with_model,
)
from backlight.tasks.named_tables import with_names
from backlight.tasks.outcome import Outcome, plain_json
from backlight.tasks.pulling import ALONE, Pulling
from backlight.tasks.result_folder import ResultFolder, Sweeping, require_fresh

_TABLE = "samples.parquet"


@dataclass(frozen=True)
class EvaluateRequest:
    """Which data set is looked at by which model, or by which two that are compared.

    `tta` averages over shifted and mirrored views, `slice` is `FILE.csv:column`, `table` also writes the table of
    samples, `calibrated` takes the temperature that `calibrate` found. `resume` goes on from the
    blocks that are finished in `out`, `force` begins anew. `metrics` are measured besides. `hardened` puts both models
    through attacks and corruptions; a run alone is then compared with what it went on from.

    >>> EvaluateRequest(DataRequest("photos/")).names
    ('efficientnet_lite0',)
    """

    data: DataRequest
    models: tuple[Model, ...] = (DEFAULT_MODEL,)
    tta: bool = False
    slice: str | None = None
    table: bool = False
    calibrated: bool = False
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    batch_size: int = 32
    command: str = ""
    resume: bool = False
    metrics: tuple[AnyEvaluationMetric, ...] = ()
    hardened: HardeningRequest | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the models' specifications."""
        return tuple(map(model_name, self.models))


def evaluate(request: EvaluateRequest, *, progress: Progress | None = None, pulling: Pulling = ALONE) -> Outcome:
    """Describe how good a classifier is on a data set, where it fails, and whether a second one is better.

    A page goes into `out`; the result is a list of one or two `Evaluation`, or `MultilabelScores` where pictures have
    several labels each. Several processes share the work; only the
    main one tells. Interrupted, its finished blocks stay. Raises UsageError for more than two models and where
    something is there already, and as `load`, `load_data`, `read_slices`, `find_temperature` and
    `backlight.evaluate.evaluate` do.

    >>> import tempfile
    >>> from backlight import load
    >>> model = load("classic_cnn", random=True)
    >>> data = replace(DataRequest("shapes:n=20,size=32,classes=2").load(), label_names=tuple("0123456789"))
    >>> evaluate(EvaluateRequest(DataRequest(data), (model,), out=Path(tempfile.mkdtemp()))).document["n"]
    20
    """
    if not 1 <= len(request.models) <= 2:
        raise UsageError(f"{len(request.models)} models", expected="one, or two that are compared")
    metrics = choose_evaluation_metrics(request.metrics)
    if request.hardened is not None:
        request = replace(request, models=before_and_after(request.models, request.seed, tta=request.tta))
    values = read_slices(request.slice) if request.slice else None
    _check_new(request)
    pictures = request.data.load(*request.models, seed=request.seed)
    if values is not None:
        require_values(pictures.ids, values)
    classifiers = [named(as_classifier(one, request.seed), pictures) for one in request.models]
    pairs = zip(request.models, classifiers)
    temperatures = [_temperature(*pair, request.out) for pair in pairs] if request.calibrated else []
    if pictures.targets is not None:
        pulling.check_alone("several labels a picture")
        return _several(classifiers, pictures, request, progress)
    device, folder = classifiers[0].device, ResultFolder(request.out, "evaluate")
    with folder.sweeping(device, fresh=not request.resume, progress=progress, pulling=pulling) as shared:
        found = shared.each([partial(_evaluation, one, pictures, request, shared) for one in classifiers])
        if request.calibrated:
            found = [replace(one, table=at_temperature(one.table, at)) for one, at in zip(found, temperatures)]
        hardening = None
        if request.hardened is not None:
            hardening = measure_both(classifiers, pictures, found, request.hardened, shared, seed=request.seed)
        if not shared.is_main:
            return Outcome(result=found)
        return _outcome(found, classifiers, pictures, request, metrics, values, hardening)


def _outcome(
    found: list[Evaluation],
    classifiers: Sequence[Classifier],
    pictures: Dataset,
    request: EvaluateRequest,
    metrics: Sequence[EvaluationMetric],
    values: Mapping[str, str] | None,
    hardening: Hardening | None,
) -> Outcome:
    """Compare what was found, and write it."""
    comparison = compare_evaluations(*found) if len(found) == 2 else None
    slices = [one.slices(values) if values is not None else [] for one in found]
    doubts = [doubt_normalization(one, pictures, batch_size=request.batch_size) for one in classifiers]
    for one, doubt in zip(classifiers, doubts):
        take_doubt(one, doubt)
    sections = page_sections(
        found, comparison, slices[0], pictures, shown=told_apart(request.models), names=request.names
    )
    told_of = None
    if hardening is not None:
        told_of = tell_hardening(hardening, classifiers, pictures, told_apart(request.models), seed=request.seed)
        sections = [told_of.section, *sections]
    labels = found[0].labels
    files = [with_names(found[0].table, labels, labels).write(request.out / _TABLE)] if request.table else []
    headline = f"{percent(found[0].accuracy)} right"
    if len(found) == 2:
        headline += f", the second {percent(found[1].accuracy)}"
    tables = page_tables(found, comparison)
    if told_of is not None:
        headline, tables = told_of.headline, tables | {"hardening": told_of.table}
    made = EvaluationPage(
        classifiers[0],
        told_apart(request.models) if len(found) == 2 else (classifiers[0].title,),
        pictures,
        request.out,
        request.command,
        headline,
        tables,
        leads=told_of is not None,
    ).write(sections, found[0].failed)
    document = _document(found, classifiers, pictures, comparison, slices, metrics, doubts) | {"html": made.page}
    if hardening is not None:
        document["hardening"] = hardening.to_json()
    return Outcome(
        plain_json(document),
        (
            *measured_by(*classifiers),
            *evaluation_lines(found, told_apart(request.models), comparison, slices),
            *(f"  {name:<17}{value:.4f}" for name, value in document.get("metrics", {}).items()),
            *(() if told_of is None else told_of.lines),
            *made.told,
        ),
        (*files, *made.files),
        found[0].failed,
        (*doubts_of(*classifiers), *told(pictures), *made.warnings),
        found,
    )


def _several(
    classifiers: Sequence[Classifier], pictures: Dataset, request: EvaluateRequest, progress: Progress | None
) -> Outcome:
    """Evaluate one model on pictures with several labels each: a precision per class, and its mean."""
    if len(classifiers) > 1 or request.slice or request.calibrated or request.tta or request.metrics:
        found = "two models, --slice, --tta, --metrics, --hardened or --calibrated with several labels a picture"
        raise UsageError(found, expected="one model, and none of them")
    engine = make_engine(str(classifiers[0].device))
    scores, failed = evaluate_targets(classifiers[0], pictures, batch_size=request.batch_size, progress=progress)
    if not engine.is_main:
        return Outcome(result=scores)
    section = multilabel_section(scores, data=data_title(pictures))
    headline, tables = multilabel_headline(scores), {SUMMARY: scores.summary_table()}
    model, titles = classifiers[0], (classifiers[0].title,)
    page = EvaluationPage(model, titles, pictures, request.out, request.command, headline, tables)
    made = page.write([section], failed)
    document = with_model(classifiers[0], scores.to_json() | {"split": pictures.split, "html": made.page}, pictures)
    return Outcome(
        plain_json(document),
        (*measured_by(*classifiers), *multilabel_lines(scores), *made.told),
        made.files,
        failed,
        (*doubts_of(*classifiers), *told(pictures), *made.warnings),
        scores,
    )


def _temperature(model: Model, classifier: Classifier, out: Path) -> float:
    """Read the temperature of a run; of another model it lies beside its weights, or where `calibrate` was told to."""
    weights = model.weights if isinstance(model, ModelRequest) else None
    if weights is None and is_run(model_name(model)):
        return read_temperature(model_name(model))
    return find_temperature(classifier, [*([weights.parent] if weights else []), out])


def _check_new(request: EvaluateRequest) -> None:
    if not (request.resume or request.force):
        files = (*((_TABLE,) if request.table else ()), PAGE, EXPORTS)
        require_fresh(ResultFolder(request.out, "evaluate").blocks, [request.out / file for file in files])


def _evaluation(classifier: Classifier, pictures: Dataset, request: EvaluateRequest, shared: Sweeping) -> Evaluation:
    return evaluate_classifier(
        classifier,
        pictures,
        batch_size=request.batch_size,
        tta=request.tta,
        logits=True if request.calibrated else None,
        folder=shared.blocks,
        engine=shared.engine,
        progress=shared.progress,
    )


def _document(
    found: Sequence[Evaluation],
    classifiers: Sequence[Classifier],
    pictures: Dataset,
    comparison: Comparison | None,
    slices: Sequence[Sequence[Slice]],
    metrics: Sequence[EvaluationMetric],
    doubts: Sequence[NormalizationCheck | None],
) -> dict[str, Any]:
    documents = [with_model(classifier, one.to_json(), pictures) for one, classifier in zip(found, classifiers)]
    for document, doubt in zip(documents, doubts):
        if doubt is not None:
            document["normalization"] = doubt.to_json()
    for document, own in zip(documents, slices):
        if own:
            document["slices"] = [one.to_json() for one in own]
    for document, one in zip(documents, found):
        if metrics:
            document["metrics"] = measure(one.table, one.labels, metrics)
    if comparison is not None:
        documents[0] |= {"second": documents[1], "comparison": comparison.to_json()}
    return documents[0]
