"""The verb `audit`: what can be trusted about a classifier and its data, on one page that can be signed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backlight.audit.auditing import Audit
from backlight.audit.auditing import audit as audit_classifier
from backlight.audit.commands import CommandWords
from backlight.audit.registry import depth_of
from backlight.audit.verdict import counts
from backlight.classifier import Classifier
from backlight.core.progress import Progress
from backlight.data import Dataset
from backlight.data.trained import trained_on
from backlight.evaluate.slices import read_slices, require_values
from backlight.gate import Result, Verdict
from backlight.report import Options
from backlight.report.audit import audit_sections
from backlight.report.audit_verdict import AuditFacts
from backlight.report.exports import SUMMARY, tables_of
from backlight.tasks.audit_text import facts_of, lines_of
from backlight.tasks.gating import GateRequest, Gates, Told
from backlight.tasks.loading import (
    DEFAULT_MODEL,
    DataRequest,
    Model,
    ModelRequest,
    about_data,
    as_classifier,
    data_facts,
    data_title,
    doubts_of,
    model_name,
    named,
    told,
    with_model,
)
from backlight.tasks.outcome import Outcome, plain_json
from backlight.tasks.pulling import ALONE, Pulling
from backlight.tasks.result_folder import ResultFolder


@dataclass(frozen=True)
class AuditRequest:
    """Which classifier is audited on which data; `train` is what it was trained on, `against` data of the field.

    A `second` model is compared with the first, picture by picture. `slices` are columns of lists, `FILE.csv:column`,
    whose values are tried as weak slices.

    `gates` decide about the exit status, where any are asked for. The pass of an earlier audit of the same model and
    pictures in `out` is read back, with or without `resume`, which goes on from one that was interrupted; `force`
    without `resume` forgets it.

    >>> AuditRequest(DataRequest("photos/")).depth
    'normal'
    """

    data: DataRequest
    model: Model = DEFAULT_MODEL
    train: DataRequest | None = None
    against: DataRequest | None = None
    depth: str = "normal"
    gates: GateRequest = field(default_factory=GateRequest)
    pictures: bool = True
    resume: bool = False
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    batch_size: int = 32
    command: str = ""
    second: Model | None = None
    slices: tuple[str, ...] = ()

    @property
    def described(self) -> dict[str, Any]:
        """Describe what the audit is of, to tell one from another."""
        data = {name: _described(getattr(self, name)) for name in ("data", "train", "against")}
        described: dict[str, Any] = plain_json(
            {**data, "model": model_name(self.model), "depth": self.depth, "seed": self.seed, "slices": self.slices}
            | ({} if self.second is None else {"second": model_name(self.second)})
        )
        return described


def _described(request: DataRequest | None) -> dict[str, Any] | None:
    if request is None:
        return None
    return {"name": request.name, "split": request.split, "limit": request.limit, "sample": request.sample}


def audit(request: AuditRequest, *, progress: Progress | None = None, pulling: Pulling = ALONE) -> Outcome:
    """Find out what can be trusted about a classifier and its data, and judge it by gates where there are some.

    A page, a table with a row per picture, a document, and a folder with every table and figure go into `out`; the
    result is an `Audit`. The status is 4 where a gate fails, 3 where one could not be judged. Interrupted, the blocks
    that are finished stay. Raises UsageError where something is there already, and as `load`, `load_data`,
    `GateRequest.read` and `backlight.audit.audit` do; and for a gate on a number that there is not, after all else is
    written.

    >>> import tempfile
    >>> from backlight import load
    >>> model = load("classic_cnn", random=True).replace(labels=())
    >>> data = DataRequest("shapes:n=40,size=32,classes=10")
    >>> outcome = audit(AuditRequest(data, model, depth="quick", out=Path(tempfile.mkdtemp())))
    >>> outcome.document["schema"], outcome.document["n"]
    (1, 40)
    """
    start = time.perf_counter()
    depth = depth_of(request.depth)
    gates = request.gates.read(force=request.force) if request.gates.asked else None
    folder = ResultFolder(request.out, "audit", shared_blocks=True)
    folder.check(request.described, resume=request.resume, force=request.force)
    models = (request.model,) if request.second is None else (request.model, request.second)
    data, train, against = (
        None if one is None else one.load(*models, seed=request.seed)
        for one in (request.data, request.train, request.against)
    )
    assert data is not None
    groups = {Path(column).name: read_slices(column) for column in request.slices}
    for values in groups.values():
        require_values(data.ids, values)
    classifier = named(as_classifier(request.model, request.seed), data)
    second = None if request.second is None else named(as_classifier(request.second, request.seed), data)
    fresh = request.force and not request.resume
    with folder.sweeping(classifier.device, fresh=fresh, progress=progress, pulling=pulling) as shared:
        found = audit_classifier(
            classifier,
            data,
            train=train,
            against=against,
            second=second,
            depth=depth,
            seed=request.seed,
            batch_size=request.batch_size,
            folder=shared.blocks,
            engine=shared.engine,
            progress=shared.progress,
            seen_labels=_seen_labels(request, data),
            groups=groups,
            words=_words(request),
        )
        if not shared.is_main:
            return Outcome(result=found)
        parts = {"data": data, "train": train, "against": against}
        document = _document(request, folder, found, classifier, second, parts)
        document["seconds"] = round(time.perf_counter() - start, 3)
        return _judged(request, folder, found, classifier, parts, document, gates)


def _judged(
    request: AuditRequest,
    folder: ResultFolder,
    found: Audit,
    classifier: Classifier,
    parts: Mapping[str, Dataset | None],
    document: dict[str, Any],
    gates: Gates | None,
) -> Outcome:
    """Judge what was found by the gates, write all of it, and say what it comes to."""
    data = parts["data"]
    assert data is not None
    table = folder.write_table(found.table, found.examined.kept.label_names)
    verdict: Verdict | None = None
    try:
        if gates is not None:
            verdict = gates.judge(Result(plain_json(document), str(folder.document), folder.out))
    finally:  # whatever is wrong with a gate, what was found stays
        document["gates"] = [] if verdict is None else verdict.to_json()["gates"]
        files = _write(request, folder, found, classifier, parts, document, verdict)
    announced = Told() if gates is None or verdict is None else gates.tell(verdict, folder.document)
    return Outcome(
        plain_json(document),
        (*lines_of(found, classifier, data_title(data), folder), *announced.lines),
        (table, *files, *announced.files),
        found.failed,
        (*doubts_of(classifier), *told(data), *announced.warnings),
        found,
        passed=announced.passed,
        commands=announced.commands,
    )


def _document(
    request: AuditRequest,
    folder: ResultFolder,
    found: Audit,
    classifier: Classifier,
    second: Classifier | None,
    parts: Mapping[str, Dataset | None],
) -> dict[str, Any]:
    document = with_model(classifier, found.to_json()) | {
        **{name: None if one is None else about_data(one) for name, one in parts.items()},
        "request": request.described,
        "html": str(folder.page),
        "table": str(folder.table),
        "command": request.command,
    }
    if second is not None:
        document["second"] = with_model(second, {})
    return document


def _write(
    request: AuditRequest,
    folder: ResultFolder,
    found: Audit,
    classifier: Classifier,
    parts: Mapping[str, Dataset | None],
    document: dict[str, Any],
    verdict: Verdict | None,
) -> tuple[Path, ...]:
    data = parts["data"]
    assert data is not None
    facts = AuditFacts(
        data_title(data),
        facts_of(found, parts, document["seconds"]),
        [] if verdict is None else [(one.passed, one.sentence) for one in verdict.judged],
        request.pictures,
    )
    return folder.write(
        classifier,
        document,
        audit_sections(found, facts),
        failed=found.failed,
        options=Options(
            command=request.command,
            title=f"Audit of {classifier.title} on {facts.data}",
            data=data_facts(data),
            leads=True,
            headline=", ".join(f"{count} {judgement}" for judgement, count in counts(found.findings).items() if count),
            tables={SUMMARY: found.summary_table(), **tables_of(found.findings)},
        ),
    )


def _seen_labels(request: AuditRequest, data: Dataset) -> str:
    """Say that the model is a run that was trained on these pictures, empty where it is none or they are its test."""
    known = trained_on(model_name(request.model))
    if known is None or data.split == "test" or not known.matches(data.name, data.fingerprint):
        return ""
    return "the run was trained on them" if data.split == "train" else "the run was trained on some of them"


def _words(request: AuditRequest) -> CommandWords | None:
    """Return how a command line names what is audited; None where it was handed over already loaded."""
    model, data = request.model, request.data
    if isinstance(model, Classifier) or not isinstance(data.data, str):
        return None
    asked = ModelRequest(model) if isinstance(model, str) else model
    return CommandWords(asked.words, ("--data", data.data), data.part_words, str(request.out))
