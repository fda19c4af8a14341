"""The verb `universal`: one perturbation or patch for many pictures, and how often it fools others."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backlight.attack import UniversalRequest, UniversalStudy, evaluate_universal, read_universal_request
from backlight.attack.universal.files import PRINT_SIZE, parse_length, save_change
from backlight.classifier import Classifier
from backlight.core.files import require_new
from backlight.core.progress import Progress
from backlight.data import Dataset
from backlight.report import Options
from backlight.report.exports import SUMMARY
from backlight.report.universal import universal_headline, universal_lines, universal_section
from backlight.tasks.loading import (
    DEFAULT_MODEL,
    DataRequest,
    Model,
    about_data,
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
class UniversalOfDataRequest:
    """What is learned for which model from which data, and measured on the rest of it, or on the data `on`.

    `print_size` is how wide a patch is printed; `resume` goes on from what is finished in `out`.

    >>> UniversalOfDataRequest(DataRequest("shapes"), "vit").described["kind"]
    'perturbation'
    """

    data: DataRequest
    model: Model = DEFAULT_MODEL
    asked: UniversalRequest = field(default_factory=read_universal_request)
    on: DataRequest | None = None
    print_size: str = PRINT_SIZE
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
        where = {
            "model": model_name(self.model),
            **self.data.described,
            "on": None if self.on is None else self.on.name,
            "seed": self.seed,
        }
        described: dict[str, Any] = plain_json(self.asked.describe() | where)
        return described


def universal(
    request: UniversalOfDataRequest, *, progress: Progress | None = None, pulling: Pulling = ALONE
) -> Outcome:
    """Learn one change for many pictures, measure how often it fools others, and write it as files to print and apply.

    A table, a page, a document and the change go into `out`; the result is a `UniversalStudy`. Interrupted, finished
    blocks stay; learning is one of them. Raises UsageError where something is there already, and as `load`,
    `load_data`, `evaluate_universal` and `save_change`.

    >>> import tempfile
    >>> from backlight import load
    >>> model = load("classic_cnn", random=True).replace(labels=())
    >>> data = DataRequest("shapes:n=40,size=32,classes=10", "all")
    >>> asked = read_universal_request(epochs=1)
    >>> request = UniversalOfDataRequest(data, model, asked, out=Path(tempfile.mkdtemp()))
    >>> sorted(universal(request).document["fooling"])
    ['learned', 'others']
    """
    request.asked.check()
    parse_length(request.print_size)
    folder, described = ResultFolder(request.out, "universal"), request.described
    folder.check(described, resume=request.resume, force=request.force)
    if not request.resume:
        for path in files_of(request.out, request.asked.kind):
            require_new(path, request.force)
    pictures = request.data.load(request.model, seed=request.seed)
    others = None if request.on is None else request.on.load(request.model, seed=request.seed)
    classifier = named(as_classifier(request.model, request.seed), pictures)
    fresh = request.force and not request.resume
    with folder.sweeping(classifier.device, fresh=fresh, progress=progress, pulling=pulling) as shared:
        found = evaluate_universal(
            classifier,
            pictures,
            request.asked,
            on=others,
            seed=request.seed,
            cache=shared.blocks,
            engine=shared.engine,
            progress=shared.progress,
            batch_size=request.batch_size,
        )
        if not shared.is_main:
            return Outcome(result=found)
        return _outcome(classifier, pictures, others, found, request, folder)


def files_of(out: Path, kind: str) -> tuple[Path, ...]:
    """Return the files of a change that a run may write.

    >>> [path.name for path in files_of(Path("out"), "perturbation")]
    ['perturbation.safetensors', 'perturbation.png']
    """
    ends = (".safetensors", ".png", "-print.png")
    return tuple(out / f"{kind}{end}" for end in (ends if kind == "patch" else ends[:-1]))


def _outcome(
    classifier: Classifier,
    pictures: Dataset,
    others: Dataset | None,
    found: UniversalStudy,
    request: UniversalOfDataRequest,
    folder: ResultFolder,
) -> Outcome:
    files = save_change(found.change, request.out, print_size=request.print_size)
    document = with_model(classifier, found.to_json(), pictures)
    document["on"] = None if others is None else about_data(others)
    document["files"] = {name: str(path) for name, path in files.items()}
    document["request"] = request.described
    section = universal_section(
        found,
        data=data_title(pictures),
        on="" if others is None else data_title(others),
        pictures=request.pictures,
        print_size=request.print_size,
    )
    table = folder.write_table(found.table, ())
    written = folder.write(
        classifier,
        document,
        [section],
        failed=found.failed,
        options=Options(
            command=request.command,
            title=f"One {found.change.kind} for many pictures",
            data=data_facts(pictures),
            headline=universal_headline(found),
            tables={SUMMARY: found.summary_table()},
            leads=True,
        ),
    )
    return Outcome(
        plain_json(document | {"html": folder.page}),
        (*measured_by(classifier), *universal_lines(found), *map(str, files.values()), *folder.told),
        (table, *files.values(), *written),
        found.failed,
        (*doubts_of(classifier), *told(pictures), *(() if others is None else told(others))),
        found,
    )
