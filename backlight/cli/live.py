"""The verb `app`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import DEFAULT_MODEL, PairOptions, PrintOptions
from backlight.cli.output import say


def app(
    weights: PairOptions,
    shown: PrintOptions,
    model: Annotated[list[str] | None, typer.Option(help="As elsewhere; given twice, the two can be compared.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; another than this machine's own needs --token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    token: Annotated[str | None, typer.Option(help="What the page's address holds; drawn if left out.")] = None,
) -> None:
    """Show a page on this machine where pictures are looked at, explained, attacked and made by hand."""
    from backlight.app import AppRequest, serve

    request = AppRequest(weights.each(model or [DEFAULT_MODEL]), host, port, token, shown.seed)
    serve(request, say)
