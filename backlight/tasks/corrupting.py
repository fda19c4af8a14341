"""The verb `corruptions`: how a classifier fares under noise, blur, weather, compression and small shifts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from backlight.classifier import Classifier
from backlight.core.progress import Progress
from backlight.corrupt.comparing import PairedDifference, compare_studies
from backlight.corrupt.evaluating import evaluate_corruptions
from backlight.corrupt.study import CorruptionStudy
from backlight.data import Dataset
from backlight.page.sections import percent
from backlight.report import Options
from backlight.report.corruptions import corruptions_section
from backlight.report.exports import SUMMARY
from backlight.table import Table
from backlight.tasks.corruption_request import CorruptionsRequest
from backlight.tasks.loading import (
    as_classifier,
    data_facts,
    data_title,
    doubts_of,
    measured_by,
    told,
    with_model,
)
from backlight.tasks.outcome import Outcome, plain_json
from backlight.tasks.pulling import ALONE, Pulling
from backlight.tasks.result_folder import ResultFolder


def corruptions(request: CorruptionsRequest, *, progress: Progress | None = None, pulling: Pulling = ALONE) -> Outcome:
    """Look at a data set under every corruption asked for, and describe what hurts and what to do about it.

    A table, a page and a document go into `out`; the result is a `CorruptionStudy`. Interrupted, finished blocks
    stay. Raises UsageError where something is there already, and as `load`, `load_data` and `evaluate_corruptions`.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from backlight import load
    >>> from backlight.tasks import DataRequest
    >>> data, model = DataRequest("shapes:n=4,size=32,classes=10", "all"), load("classic_cnn", random=True)
    >>> model.labels = ()
    >>> request = CorruptionsRequest(data, model, kinds="fog", severities="1", out=Path(tempfile.mkdtemp()))
    >>> corruptions(request).document["n"]
    4
    """
    folder = ResultFolder(request.out, "corruptions")
    pictures, asked = request.load()
    folder.check(request.described(asked), resume=request.resume, force=request.force)
    classifier = as_classifier(request.model, request.seed)
    fresh = request.force and not request.resume
    with folder.sweeping(classifier.device, fresh=fresh, progress=progress, pulling=pulling) as shared:
        look = partial(
            evaluate_corruptions,
            data=pictures,
            request=asked,
            seed=request.seed,
            cache=shared.blocks,
            engine=shared.engine,
            progress=shared.progress,
        )
        second = None if request.second is None else as_classifier(request.second, request.seed)
        models = [classifier] if second is None else [classifier, second]
        found, *others = shared.each([partial(look, one) for one in models])
        other = others[0] if others else None
        if not shared.is_main:
            return Outcome(result=found)
        return _outcome(classifier, second, pictures, found, other, request, folder)


def _outcome(
    classifier: Classifier,
    second: Classifier | None,
    pictures: Dataset,
    found: CorruptionStudy,
    other: CorruptionStudy | None,
    request: CorruptionsRequest,
    folder: ResultFolder,
) -> Outcome:
    document = with_model(classifier, found.to_json(), pictures)
    compared = {} if other is None else compare_studies(found, other)
    if other is not None and second is not None:
        document["second"] = with_model(second, other.to_json()) | {"relative_mce": other.relative_mce(found)}
        document["comparison"] = {name: one.to_json() for name, one in compared.items()}
    shown = pictures.with_channels(classifier.channels)
    sized = shown if classifier.resize is None else shown.resized(classifier.resize)
    table = folder.write_table(found.table, found.labels)
    files = folder.write(
        classifier,
        document | {"request": request.described(found.request)},
        [corruptions_section(found, sized, name=data_title(pictures), pictures=request.pictures, compared=compared)],
        failed=found.failed,
        options=Options(
            command=request.command,
            title=f"{classifier.title} under corruptions",
            data=data_facts(pictures),
            headline=f"{percent(found.mean_accuracy)} right under corruptions" if found.kinds else "",
            tables=_tables(found, other, compared),
        ),
    )
    return Outcome(
        plain_json(document | {"html": folder.page}),
        (*measured_by(classifier), *_lines(found), *_compared(compared), *folder.told),
        (table, *files),
        found.failed,
        (*doubts_of(classifier), *told(pictures)),
        found,
    )


def _tables(
    found: CorruptionStudy, other: CorruptionStudy | None, compared: Mapping[str, PairedDifference]
) -> dict[str, Table]:
    if other is None:
        return {SUMMARY: found.summary_table()}
    rows = list(compared.values())
    columns = {name: [getattr(one, name) for one in rows] for name in ("first", "second", "difference")}
    ends = {"from": [one.interval[0] for one in rows], "to": [one.interval[1] for one in rows]}
    difference = Table.numbered({"kind": [one.name for one in rows], **columns, **ends})
    return {SUMMARY: found.summary_table(), f"{SUMMARY} second": other.summary_table(), "comparison": difference}


def _compared(found: Mapping[str, PairedDifference]) -> Iterator[str]:
    for name, one in found.items():
        low, high = one.interval
        words = "" if one.clear else "  may be chance"
        yield f"  second model, {name:<15} {one.difference:+.1%} ({low:+.1%} to {high:+.1%}){words}"


def _lines(found: CorruptionStudy) -> Iterator[str]:
    yield f"{len(found.table)} pictures, split {found.split}, {found.seconds:.1f} s"
    if found.clean_accuracy is not None:
        yield f"  clean accuracy      {found.clean_accuracy:.2%}"
    if found.kinds:
        yield f"  mean under {len(found.counted)} kinds  {found.mean_accuracy:.2%}"
    if found.mce is not None:
        yield f"  mean corruption error {found.mce:.1f}% of AlexNet's, {len(found.counted)} of 15 kinds"
    if found.kinds:
        yield f"  {'severity':<18}" + "".join(f"{one:>8}" for one in found.request.severities)
    for one in found.kinds.values():
        counted = "" if one.counted else "  not counted"
        yield f"  {one.name:<18}" + "".join(f"{value:>8.1%}" for value in one.accuracy) + counted
    for name, shift in found.stability.items():
        low, high = shift.interval
        yield f"  {name:<18} {shift.flip_share:.1%} of answers changed ({low:.1%} to {high:.1%})"
