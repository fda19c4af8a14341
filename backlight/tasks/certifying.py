"""The verb `certify`: what can be proved about a classifier on a data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backlight.certify import CertificateStudy, CertifyRequest, evaluate_certificates
from backlight.classifier import Classifier
from backlight.core.progress import Progress
from backlight.data import Dataset
from backlight.page.sections import percent
from backlight.report import Options
from backlight.report.certificates import certificates_headline, certificates_section, radius_words
from backlight.report.exports import SUMMARY
from backlight.tasks.loading import (
    DataRequest,
    Model,
    as_classifier,
    data_facts,
    data_title,
    doubts_of,
    measured_by,
    model_name,
    named,
    told,
    with_model,
)
from backlight.tasks.outcome import Outcome, plain_json
from backlight.tasks.pulling import ALONE, Pulling
from backlight.tasks.result_folder import ResultFolder


@dataclass(frozen=True)
class CertifyDataRequest:
    """Which model is certified on which data set; `resume` goes on from the blocks that are finished in `out`.

    >>> CertifyDataRequest(DataRequest("shapes"), "vit", CertifyRequest("ibp")).described["method"]
    'ibp'
    """

    data: DataRequest
    model: Model
    asked: CertifyRequest = field(default_factory=CertifyRequest)
    resume: bool = False
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    command: str = ""
    batch_size: int = 32

    @property
    def described(self) -> dict[str, Any]:
        """Describe what the study is of, to tell one from another."""
        where = {"model": model_name(self.model), **self.data.described, "seed": self.seed}
        described: dict[str, Any] = plain_json(self.asked.describe() | where)
        return described


def certify(request: CertifyDataRequest, *, progress: Progress | None = None, pulling: Pulling = ALONE) -> Outcome:
    """Prove what can be proved about every picture, attack the network beside it, and describe both.

    A table, a page and a document go into `out`; the result is a `CertificateStudy`. With several processes each takes
    its share; only the main one tells. Interrupted, finished blocks stay. Raises UsageError where something is there
    already, and as `load`, `load_data` and `evaluate_certificates`.

    >>> import tempfile
    >>> from backlight import load
    >>> data, model = DataRequest("shapes:n=2,size=32,classes=10", "all"), load("classic_cnn", random=True)
    >>> model.labels = ()
    >>> asked = CertifyRequest("smoothing:n=20,n0=5", attacked=False)
    >>> certify(CertifyDataRequest(data, model, asked, out=Path(tempfile.mkdtemp()))).document["n"]
    2
    """
    folder, described = ResultFolder(request.out, "certify"), request.described
    folder.check(described, resume=request.resume, force=request.force)
    pictures = request.data.load(request.model, seed=request.seed)
    classifier = named(as_classifier(request.model, request.seed), pictures)
    fresh = request.force and not request.resume
    with folder.sweeping(classifier.device, fresh=fresh, progress=progress, pulling=pulling) as shared:
        found = evaluate_certificates(
            classifier,
            pictures,
            request.asked,
            seed=request.seed,
            cache=shared.blocks,
            engine=shared.engine,
            progress=shared.progress,
            batch_size=request.batch_size,
        )
        if not shared.is_main:
            return Outcome(result=found)
        return _outcome(classifier, pictures, found, request, folder)


def _outcome(
    classifier: Classifier,
    pictures: Dataset,
    found: CertificateStudy,
    request: CertifyDataRequest,
    folder: ResultFolder,
) -> Outcome:
    document = with_model(classifier, found.to_json(), pictures)
    table = folder.write_table(found.table, classifier.labels or pictures.label_names)
    files = folder.write(
        classifier,
        document | {"request": request.described},
        [certificates_section(found, data=data_title(pictures))],
        failed=found.failed,
        options=Options(
            command=request.command,
            title=f"What is proved about {classifier.title}",
            data=data_facts(pictures),
            headline=certificates_headline(found),
            tables={SUMMARY: found.summary_table()},
        ),
    )
    return Outcome(
        plain_json(document | {"html": folder.page}),
        (*measured_by(classifier), *_lines(found), *folder.told),
        (table, *files),
        found.failed,
        (*doubts_of(classifier), *told(pictures)),
        found,
    )


def _lines(found: CertificateStudy) -> Iterator[str]:
    yield f"{len(found.table)} pictures, split {found.split}, {found.request.name}, {found.seconds:.1f} s"
    yield f"  named right as they are  {percent(found.clean_accuracy)}"
    for one in found.shares:
        low, high = one.interval
        beside = "" if one.attacked is None else f"; an attack left {percent(one.attacked)}"
        within = f"proved within {radius_words(found, one.radius)}"
        yield f"  {within:<36} {percent(one.share)} ({percent(low)} to {percent(high)}){beside}"
    yield f"  nothing proved           {percent(found.abstained)}"
    for doubt in found.verdicts:
        yield f"  {doubt.name}: {doubt.found}; {doubt.remedy}"
