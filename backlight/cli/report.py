"""The verb `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import DEFAULT_OUT, Limit, ModelOptions, RunOptions
from backlight.cli.output import data_name, emit, given_command, leave, say, warn

if TYPE_CHECKING:
    from backlight.classifier import Classifier
    from backlight.engine.progress import Progress
    from backlight.errors import Failure
    from backlight.page.sections import Section

_PAGE = "report.html"


def report(
    model: ModelOptions,
    run: RunOptions,
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PICTURE or FOLDER]...", help="Default: four sample photographs.", show_default=False),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set whose accuracy is shown, as DATA elsewhere.")] = None,
    split: Annotated[str | None, typer.Option(help="train | val | test | all; test, else all, if left out.")] = None,
    methods: Annotated[
        str, typer.Option(help="Explanations, with commas between; `backlight methods` lists them.")
    ] = "saliency,gradcam,guided_backprop,guided_gradcam",
    with_pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Or numbers only.")] = True,
    out: Annotated[Path, typer.Option(help="The page, or a folder for it.")] = DEFAULT_OUT / _PAGE,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    limit: Limit = None,
) -> None:
    """Show on one page what a classifier sees, why, and how easily it is fooled."""
    from backlight.engine.progress import terminal_progress
    from backlight.explain import method
    from backlight.files import require_new
    from backlight.grammar import split_specs
    from backlight.images import find_pictures
    from backlight.report import Options, sample_pictures, write_report

    chosen = split_specs(methods)
    for one in chosen:
        method(one)  # wrong names are told before a model is loaded
    page = require_new(out if out.suffix.lower() in (".html", ".htm") else out / _PAGE, force)
    paths = find_pictures(pictures)[:limit] if pictures else sample_pictures()[:limit] if data is None else []
    progress = terminal_progress(run.quiet)
    classifier = load_classifier(model, run.seed)
    sections, failed = _data_sections(classifier, data, split, run.batch_size, progress)
    options = Options(
        chosen,
        run.seed,
        min(run.batch_size, 4),
        with_pictures,
        model.memory_format,
        given_command(),
    )
    try:
        made = write_report(
            classifier, paths, page, sections=sections, failed=failed, options=options, force=force, progress=progress
        )
    except KeyboardInterrupt:
        if page.exists():
            warn(f"{page} shows what was finished")
        raise
    if run.json:
        emit(made.to_json())
    else:
        say(str(made.html))
    leave(made.failed)


def _data_sections(
    classifier: Classifier, spec: str | None, split: str | None, batch_size: int, progress: Progress | None
) -> tuple[list[Section], list[Failure]]:
    if spec is None:
        return [], []
    from backlight.data import load_data
    from backlight.evaluate.evaluating import evaluate
    from backlight.report.evaluation import evaluation_sections

    data = load_data(spec, split=split)
    found = evaluate(classifier, data, batch_size=batch_size, progress=progress)
    failed = list(found.failed)
    return evaluation_sections(found, data, name=data_name(data)), failed
