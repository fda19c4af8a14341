"""The verb `explain`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import Limit, ModelOptions, OutputOptions, RunOptions
from backlight.cli.output import emit, finish, given_command, leave, say
from backlight.errors import UsageError

if TYPE_CHECKING:
    from backlight.classifier import Classifier
    from backlight.errors import Failure
    from backlight.explain.study import DataExplanations
    from backlight.tasks.explain import ExplainedPicture, Request

_DATA = "Data set"
_UNSEEN = "the map is the same everywhere or not finite: nothing to see"
_TABLE, _PAGE, _AVERAGES = "explain.parquet", "report.html", "class-averages.npz"


@dataclass(frozen=True)
class DataOptions:
    """A whole data set instead of picture files."""

    data: Annotated[str | None, typer.Option(help="DATA, as elsewhere.", rich_help_panel=_DATA)] = None
    score: Annotated[
        bool, typer.Option("--score", help="Score the maps beside two controls.", rich_help_panel=_DATA)
    ] = False
    split: Annotated[
        str | None, typer.Option(help="train | val | test | all; test, else all, if left out.", rich_help_panel=_DATA)
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the finished blocks in --out.", rich_help_panel=_DATA)
    ] = False


def explain(
    model: ModelOptions,
    whole: DataOptions,
    run: RunOptions,
    output: OutputOptions,
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PICTURE]...", help="Picture files, or folders of them.", show_default=False),
    ] = None,
    methods: Annotated[
        str, typer.Option(help="Names with commas between; `backlight methods` lists them.")
    ] = "saliency,gradcam,guided_backprop,guided_gradcam",
    target: Annotated[str, typer.Option(help="label | index | top | second | least-likely | random")] = "top",
    layer: Annotated[str | None, typer.Option(help="Layer for class activation maps; chosen if left out.")] = None,
    quantity: Annotated[str, typer.Option(help="logit | probability | loss")] = "logit",
    limit: Limit = None,
) -> None:
    """Show what in pictures speaks for a class: an overlay and a raw map per method; score them on whole data sets."""
    from backlight.explain import method
    from backlight.grammar import split_specs
    from backlight.tasks.explain import Request

    request = Request(split_specs(methods), target, (layer,) if layer else None, quantity, run.seed)
    for one in request.methods:
        method(one)  # wrong names are told before a model is loaded
    if bool(whole.data) == bool(pictures):
        found = "pictures and --data" if pictures else "neither pictures nor --data"
        raise UsageError(found, expected="picture files, or --data DATA")
    if whole.data:
        _whole_data(request, whole, whole.data, model, run, output, limit)
    elif whole.score or whole.resume or whole.split:
        raise UsageError("--score, --split or --resume with picture files", expected="--data DATA with it")
    else:
        _files(pictures or [], request, model, run, output, limit)


def _files(
    pictures: list[Path],
    request: Request,
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    limit: int | None,
) -> None:
    from backlight.engine.progress import terminal_progress
    from backlight.images import find_pictures
    from backlight.tasks.explain import explain_pictures

    paths = find_pictures(pictures)[:limit]
    done, failed = explain_pictures(
        load_classifier(model, run.seed),
        paths,
        request,
        output.out,
        batch_size=min(run.batch_size, 8),
        force=output.force,
        progress=terminal_progress(run.quiet),
    )
    finish(
        [one.to_json() for one in done],
        failed,
        as_json=run.json,
        text=lambda: chain.from_iterable(map(_describe, done)),
    )


def _describe(picture: ExplainedPicture) -> Iterator[str]:
    yield f"{picture.path}: {picture.target}"
    for one in picture.maps:
        layer = f"  at {one.layer}" if one.layer else ""
        gap = f"  completeness gap {one.gap:.2%}" if one.gap is not None else ""
        yield f"  {one.method:<20} {one.png}{layer}{gap}"
        yield from (f"    note: {note}" for note in (*one.notes, *(() if one.seen else (_UNSEEN,))))


def _whole_data(
    request: Request,
    whole: DataOptions,
    spec: str,
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    limit: int | None,
) -> None:
    from backlight.data import load_data
    from backlight.engine.processes import make_engine
    from backlight.engine.progress import terminal_progress
    from backlight.explain.scores.score import DEFAULT_METRICS
    from backlight.explain.study import explain_data

    _check_new(output, whole.resume)
    pictures = load_data(spec, split=whole.split, limit=limit)
    classifier = load_classifier(model, run.seed)
    pictures = pictures.with_channels(classifier.channels)
    engine = make_engine(str(classifier.device))
    engine.barrier()  # no process writes before all have seen that nothing was there
    found = explain_data(
        classifier,
        pictures,
        request,
        metrics=DEFAULT_METRICS if whole.score else (),
        out=output.out,
        resume=whole.resume,
        engine=engine,
        progress=terminal_progress(run.quiet or not engine.is_main),
        batch_size=run.batch_size,
    )
    failed = list(found.failed)
    if engine.is_main:
        _write(classifier, found, output.out, failed)
        if run.json:
            paths = {name: str(output.out / file) for name, file in (("table", _TABLE), ("report", _PAGE))}
            emit(found.to_json() | paths)
        else:
            for line in _lines(found, output.out):
                say(line)
    leave(failed if engine.is_main else [])


def _check_new(output: OutputOptions, resume: bool) -> None:
    from backlight.explain.study import BLOCKS
    from backlight.files import require_new

    for name in (_TABLE, _PAGE, _AVERAGES):
        require_new(output.out / name, output.force or resume)
    if (output.out / BLOCKS).exists() and not (resume or output.force):
        raise UsageError(
            f"{output.out / BLOCKS} holds finished blocks", hint="--resume to go on, --force to begin anew"
        )


def _write(classifier: Classifier, found: DataExplanations, out: Path, failed: list[Failure]) -> None:
    from backlight.report import Options, write_report
    from backlight.report.explanations import explanations_section

    found.table.write(out / _TABLE)
    found.averages.write(out / _AVERAGES, found.labels)
    write_report(
        classifier,
        (),
        out / _PAGE,
        sections=[explanations_section(found, classifier)],
        failed=failed,
        options=Options(seed=found.request.seed, command=given_command()),
        force=True,
    )


def _lines(found: DataExplanations, out: Path) -> Iterator[str]:
    from backlight.explain.scores import describe_location, describe_scores

    summary = found.summary()
    yield f"{len(found.table)} pictures, split {found.data.split}, {found.seconds:.1f} s"
    for method, metrics in summary.items():
        yield f"  {method}"
        for name, entry in metrics.items():
            yield f"    {name:<17}{_number(entry['mean'])} +- {_number(entry['standard_error'])}   minus " + ", ".join(
                f"{words} {_number(entry[key]['difference'], '+')} +- {_number(entry[key]['standard_error'])}"
                for key, words in (("random", "a random map"), ("edges", "the edge map"))
            )
    yield from (f"  {sentence}" for sentence in (*describe_scores(summary), *describe_location(summary)))
    yield f"  {out / _TABLE}"
    yield f"  {out / _PAGE}"


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"
