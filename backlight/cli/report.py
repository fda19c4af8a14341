"""The verb `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import (
    DEFAULT_OUT,
    FollowLinks,
    Force,
    Limit,
    Methods,
    ModelOptions,
    RunOptions,
    SomePictures,
)
from backlight.cli.output import given_command, run_task


def report(
    model: ModelOptions,
    run: RunOptions,
    pictures: SomePictures = None,
    data: Annotated[str | None, typer.Option(help="Data set whose accuracy is shown, as DATA elsewhere.")] = None,
    split: Annotated[
        str | None, typer.Option(help="train | val | test | all; the data's test part, else all, if left out.")
    ] = None,
    follow_links: FollowLinks = False,
    methods: Methods = "saliency,gradcam,guided_backprop,guided_gradcam",
    with_pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Or numbers only.")] = True,
    index: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Instead link all results below a folder, in its index.html.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The page, or a folder for it.")] = DEFAULT_OUT / "report.html",
    force: Force = False,
    limit: Limit = None,
) -> None:
    """Show on one page what a classifier sees, why, and how easily it is fooled.

    Without pictures and data it takes four sample photographs.
    """
    from backlight.core.grammar import split_specs
    from backlight.tasks.indexing import IndexRequest
    from backlight.tasks.indexing import index as index_task
    from backlight.tasks.loading import DataRequest
    from backlight.tasks.reporting import ReportRequest
    from backlight.tasks.reporting import report as task

    if index is not None:
        run_task(run, lambda _: index_task(IndexRequest(index, force, given_command())))
        return
    request = ReportRequest(
        tuple(pictures or ()),
        model.request,
        None if data is None else DataRequest(data, split, limit=limit, follow_links=follow_links),
        split_specs(methods),
        with_pictures,
        limit,
        out,
        force,
        run.seed,
        run.batch_size,
        given_command(),
    )
    run_task(run, lambda progress: task(request, progress=progress))
