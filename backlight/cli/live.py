"""The verb `app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import DATA_FORMS, DEFAULT_MODEL, PairOptions, PartOptions, PrintOptions
from backlight.cli.output import say


def app(
    weights: PairOptions,
    part: PartOptions,
    shown: PrintOptions,
    model: Annotated[list[str] | None, typer.Option(help="As elsewhere; given twice, the two can be compared.")] = None,
    run: Annotated[
        Path | None, typer.Argument(help="A finished run: its model, and its data to look through.", show_default=False)
    ] = None,
    data: Annotated[str | None, typer.Option(help=f"To look through. {DATA_FORMS}")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; another than this machine's own needs --token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    token: Annotated[str | None, typer.Option(help="What the page's address holds; drawn if left out.")] = None,
) -> None:
    """Show a page on this machine where pictures are looked at, explained, attacked and made by hand."""
    from dataclasses import replace

    from backlight.app import AppRequest, serve
    from backlight.tasks.loading import data_of_run

    models = weights.each([*([str(run)] if run else []), *(model or ([] if run else [DEFAULT_MODEL]))])
    pictures = part.of(data) if data else replace(part.of(""), data=data_of_run(run).data) if run else None
    request = AppRequest(models, host, port, token, shown.seed, pictures)
    serve(request, say)
