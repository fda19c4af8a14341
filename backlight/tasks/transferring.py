"""The verb `transfer`: how far attacks made on one model fool others."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backlight.attack import TransferRequest, TransferStudy, evaluate_transfer
from backlight.classifier import Classifier
from backlight.core.progress import Progress
from backlight.data import Dataset
from backlight.report import Options
from backlight.report.exports import SUMMARY
from backlight.report.transfer import transfer_headline, transfer_lines, transfer_section
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
    told_apart,
    with_model,
)
from backlight.tasks.outcome import Outcome, plain_json
from backlight.tasks.pulling import ALONE, Pulling
from backlight.tasks.result_folder import ResultFolder


@dataclass(frozen=True)
class TransferOfDataRequest:
    """Which models are attacked on which data set, and shown what was made on the others.

    `resume` goes on from the blocks that are finished in `out`.

    >>> TransferOfDataRequest(DataRequest("shapes"), ("vit", "cct"), TransferRequest.of("mi")).described["models"]
    ['vit', 'cct']
    """

    data: DataRequest
    models: tuple[Model, ...]
    asked: TransferRequest = field(default_factory=TransferRequest)
    pictures: bool = True
    resume: bool = False
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    command: str = ""
    batch_size: int = 32

    @property
    def described(self) -> dict[str, Any]:
        """Describe what the study is of, to tell one from another."""
        where = {"models": [model_name(one) for one in self.models], **self.data.described, "seed": self.seed}
        described: dict[str, Any] = plain_json(self.asked.describe() | where)
        return described


def transfer(request: TransferOfDataRequest, *, progress: Progress | None = None, pulling: Pulling = ALONE) -> Outcome:
    """Attack every model, show the others what came of it, and describe who fools whom.

    A table, a page and a document go into `out`; the result is a `TransferStudy`. With several processes each attacks
    its share; only the main one tells. Interrupted, finished blocks stay. Raises UsageError for fewer than two models
    and where something is there already, and as `load`, `load_data` and `evaluate_transfer`.

    >>> import tempfile
    >>> from backlight import load
    >>> data = DataRequest("shapes:n=4,size=32,classes=10", "all")
    >>> models = load("classic_cnn", random=True), load("simple_net", random=True)
    >>> for one in models:
    ...     one.labels = ()
    >>> request = TransferOfDataRequest(data, models, TransferRequest.of("mi:steps=2"), out=Path(tempfile.mkdtemp()))
    >>> transfer(request).document["n"]
    4
    """
    request.asked.check_count(len(request.models))
    folder, described = ResultFolder(request.out, "transfer"), request.described
    folder.check(described, resume=request.resume, force=request.force)
    pictures = request.data.load(*request.models, seed=request.seed)
    loaded = [named(as_classifier(one, request.seed), pictures) for one in request.models]
    models = dict(zip(told_apart(request.models), loaded))
    fresh = request.force and not request.resume
    with folder.sweeping(loaded[0].device, fresh=fresh, progress=progress, pulling=pulling) as shared:
        found = evaluate_transfer(
            models,
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
        return _outcome(models, pictures, found, request, folder)


def _outcome(
    models: dict[str, Classifier],
    pictures: Dataset,
    found: TransferStudy,
    request: TransferOfDataRequest,
    folder: ResultFolder,
) -> Outcome:
    first, *others = models.values()
    document = with_model(first, found.to_json(), pictures)
    document["models"] = {name: one.passport.to_json() for name, one in models.items()}
    document["warnings"] = list(doubts_of(first, *others))
    table = folder.write_table(found.table, ())
    files = folder.write(
        first,
        document | {"request": request.described},
        [transfer_section(found, models, data=data_title(pictures), pictures=request.pictures)],
        failed=found.failed,
        options=Options(
            command=request.command,
            title=f"What carries over between {len(models)} models",
            data=data_facts(pictures),
            headline=transfer_headline(found),
            tables={SUMMARY: found.summary_table()},
            leads=True,
        ),
    )
    return Outcome(
        plain_json(document | {"html": folder.page}),
        (*measured_by(*models.values()), *transfer_lines(found), *folder.told),
        (table, *files),
        found.failed,
        (*doubts_of(*models.values()), *told(pictures)),
        found,
    )
