"""The verbs `data inspect` and `data convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import DATA_FORMS, FollowLinks, OutputOptions, RunOptions
from backlight.cli.output import run_task
from backlight.core.grammar import parse_size

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_FORMS)]


def inspect(data: Data, run: RunOptions, output: OutputOptions, follow_links: FollowLinks = False) -> None:
    """Look at a data set: class counts, sizes, broken files, duplicates within and across parts, a contact sheet."""
    from backlight.tasks.data_sets import InspectDataRequest, inspect_data

    request = InspectDataRequest(data, output.out, output.force, follow_links)
    run_task(run, lambda progress: inspect_data(request, progress=progress))


def convert(
    data: Data,
    target: Annotated[Path, typer.Argument(help="FILE.npz, FILE.parquet, or a new folder.")],
    run: RunOptions,
    size: Annotated[
        str | None, typer.Option(help="Scale and crop to 64, or to 64x48 (height x width); as stored if left out.")
    ] = None,
    corrupt: Annotated[
        str | None, typer.Option(help="Corrupt every picture, as in fog:severity=3; the size decides the constants.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file, never a folder.")] = False,
    follow_links: FollowLinks = False,
) -> None:
    """Write a data set in another form, with the same labels, pixels and parts; in a folder ids become paths."""
    from backlight.tasks.data_sets import ConvertDataRequest, convert_data

    wanted = None if size is None else parse_size(size)
    request = ConvertDataRequest(data, target, wanted, force, corrupt, run.seed, follow_links)
    run_task(run, lambda progress: convert_data(request, progress=progress))
