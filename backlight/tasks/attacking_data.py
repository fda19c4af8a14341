"""The verb `robustness`: how much of a data set withstands an attack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backlight.attack import Robustness, RobustnessRequest, evaluate_robustness
from backlight.classifier import Classifier
from backlight.core.escaping import json_text
from backlight.core.files import require_new, write_text
from backlight.core.progress import Progress
from backlight.data import Dataset
from backlight.page.sections import percent
from backlight.report import Options
from backlight.report.exports import SUMMARY
from backlight.report.robust_words import size_text, stand_in_words
from backlight.report.robustness import robustness_section
from backlight.sharing import robustbench_card
from backlight.tasks.loading import (
    DEFAULT_MODEL,
    DataRequest,
    Model,
    as_classifier,
    data_facts,
    data_title,
    doubts_of,
    matched,
    measured_by,
    memory_format_of,
    model_name,
    named,
    told,
    with_model,
)
from backlight.tasks.outcome import Outcome, plain_json
from backlight.tasks.pulling import ALONE, Pulling
from backlight.tasks.questions import one_question
from backlight.tasks.result_folder import ResultFolder

_TOLD = 100  # queries from which on distances are told


@dataclass(frozen=True)
class RobustnessOfDataRequest:
    """Which data set is attacked and how; `steps` are the numbers of steps after which accuracy is told.

    `resume` goes on from the blocks that are finished in `out`; with `force` also those of another request. `card` is
    where the model's entry in RobustBench goes.

    >>> RobustnessOfDataRequest(DataRequest("shapes"), asked=RobustnessRequest("fgsm")).steps
    ()
    """

    data: DataRequest
    model: Model = DEFAULT_MODEL
    asked: RobustnessRequest = field(default_factory=RobustnessRequest)
    steps: tuple[int, ...] = ()
    resume: bool = False
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    command: str = ""
    card: Path | None = None

    @property
    def described(self) -> dict[str, Any]:
        """Describe what the evaluation is of, to tell one from another."""
        threat, asked = self.asked.threat, self.asked
        what = {"attack": asked.name, "norm": threat.norm, "eps": threat.eps, "target": asked.chosen.target}
        how = {"audit": asked.audit, "options": asked.checked, "model": model_name(self.model)}
        where = {"data": self.data.name, "split": self.data.split, "limit": self.data.limit, "seed": self.seed} | (
            {"sample": self.data.sample} if self.data.sample else {}
        )
        described: dict[str, Any] = plain_json(what | how | where)
        return described


def robustness(
    request: RobustnessOfDataRequest, *, progress: Progress | None = None, pulling: Pulling = ALONE
) -> Outcome:
    """Attack a data set and describe how much of it withstands, what broke each image, and what to doubt.

    A table, a page and a document go into `out`; the result is a `Robustness`. Of a multi-label model the target is the
    label whose answer is attacked. With several processes each attacks
    its share; only the main one tells. Interrupted, its finished blocks stay. Raises UsageError where something is
    there already or options do not fit, and as `load`, `load_data` and `evaluate_robustness` do.

    >>> import tempfile
    >>> from backlight import load
    >>> data, model = DataRequest("shapes:n=4,size=32,classes=10", "all"), load("classic_cnn", random=True)
    >>> model.labels = ()
    >>> asked = RobustnessRequest("fgsm", checks=False)
    >>> request = RobustnessOfDataRequest(data, model, asked, out=Path(tempfile.mkdtemp()))
    >>> robustness(request).document["n"]
    4
    """
    asked = request.asked
    _ = asked.stages(), asked.checked, asked.threat  # wrong options are told before anything is loaded
    if asked.budget is not None:
        pulling.check_alone("a budget of seconds", hint="--sample, which bounds the work for any number of processes")
    folder = ResultFolder(request.out, "robustness")
    described = request.described
    folder.check(described, resume=request.resume, force=request.force)
    if request.card:
        require_new(request.card, request.force or request.resume)
    pictures = request.data.load(request.model, seed=request.seed)
    classifier = named(as_classifier(request.model, request.seed), pictures)
    classifier, pictures, asked = one_question(classifier, pictures, asked)
    request, pictures = replace(request, asked=asked), matched(classifier, pictures)
    fresh = request.force and not request.resume
    with folder.sweeping(classifier.device, fresh=fresh, progress=progress, pulling=pulling) as shared:
        found = evaluate_robustness(
            classifier,
            pictures,
            asked,
            seed=request.seed,
            cache=shared.blocks,
            engine=shared.engine,
            progress=shared.progress,
            memory_format=memory_format_of(request.model),
        )
        if not shared.is_main:
            return Outcome(result=found)
        return _outcome(classifier, pictures, found, request, described, folder)


def _outcome(
    classifier: Classifier,
    pictures: Dataset,
    found: Robustness,
    request: RobustnessOfDataRequest,
    described: dict[str, Any],
    folder: ResultFolder,
) -> Outcome:
    by_steps = {"by_steps": found.over_steps(request.steps)} if len(request.steps) > 1 else {}
    document = with_model(classifier, found.to_json() | by_steps, pictures)
    table = folder.write_table(found.table, found.labels)
    files = folder.write(
        classifier,
        document | {"request": described},
        [robustness_section(found, data=data_title(pictures), steps=request.steps)],
        failed=found.failed,
        options=Options(
            command=request.command,
            title=f"How easily {classifier.title} is fooled",
            data=data_facts(pictures),
            headline=f"{percent(found.robust_accuracy)} right under attack, {percent(found.clean_accuracy)} before",
            tables={SUMMARY: found.summary_table()},
        ),
    )
    cards = () if request.card is None else (_write_card(request.card, document, request.command),)
    return Outcome(
        plain_json(document | {"html": folder.page}),
        (*measured_by(classifier), *_lines(found, request.steps), *folder.told, *map(str, cards)),
        (table, *files, *cards),
        found.failed,
        (*doubts_of(classifier), *told(pictures)),
        found,
    )


def _write_card(path: Path, document: dict[str, Any], command: str) -> Path:
    card = robustbench_card(plain_json(document), command=command, version=version("backlight"))
    write_text(path, json_text(card) + "\n")
    return path


def _lines(found: Robustness, steps: Sequence[int]) -> Iterator[str]:
    low, high = found.interval
    text = size_text(found.request.threat)
    document = found.to_json()
    part = "" if len(found.table) == found.planned else f" of {found.planned}"
    yield f"{len(found.table)}{part} pictures, {found.name}, {found.request.threat.describe()}"
    if found.stands_in_for:
        yield f"  {stand_in_words(found)}"
    yield f"  clean accuracy   {found.clean_accuracy:.2%}   top-5 {document['clean_top5']:.2%}"
    yield f"  robust accuracy  {found.robust_accuracy:.2%}"
    yield f"  95% interval of the robust accuracy  {low:.2%} to {high:.2%}"
    yield from (f"  left after {name:<15} {left:.2%}" for name, left in found.by_attack.items())
    if len(steps) > 1:
        yield from (f"  left after {count:>4} steps      {left:.2%}" for count, left in found.over_steps(steps).items())
    if found.curve is not None:
        yield from (
            f"  at eps {text(eps):<9}       {left:.2%}" for eps, left in zip(found.curve.eps, found.curve.accuracy)
        )
    if found.median_distance is not None:
        beside = "".join(f", {norm} {size:.3g}" for norm, size in (found.median_lengths or {}).items())
        yield f"  median {found.request.threat.norm} distance of the broken  {text(found.median_distance)}{beside}"
        if found.median_smallest is not None:
            yield f"  median of the smallest that fool  {text(found.median_smallest)}"
    for count, near in (found.distance_over_queries or {}).items():
        if count >= _TOLD:
            told = ", ".join(f"{name} {text(size)}" for name, size in near.items())
            yield f"  after {count:>6,} queries  {told}"
    if found.survival is not None:
        kinds = (
            f"{found.survival.share(kind):.0%} ({low:.0%} to {high:.0%}) fool as {kind.upper()}"
            for kind in ("png", "jpeg")
            for low, high in (found.survival.interval(kind),)
        )
        yield f"  of {found.survival.n} broken ones, attacked as files, {', '.join(kinds)}"
    yield f"  {document['forwards']:,} forwards, {document['backwards']:,} backwards, {found.seconds:.1f} s"
    for verdict in found.verdicts:
        yield f"  {verdict.name}: {verdict.found}"
        yield f"    {verdict.remedy}"
