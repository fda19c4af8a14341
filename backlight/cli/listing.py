"""The verbs `models` and `methods`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import RunOptions
from backlight.cli.output import run_task


def models(run: RunOptions, search: Annotated[str, typer.Option(help="Only names that contain this.")] = "") -> None:
    """List the models that `--model` takes, and what each needs."""
    from backlight.tasks import listing

    run_task(run, lambda progress: listing.models(listing.ModelsRequest(search)))


def methods(
    run: RunOptions,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print the references as BibTeX.")] = False,
    plugins: Annotated[
        bool, typer.Option("--plugins", help="All that can be named, of any kind, with the package it comes from.")
    ] = False,
) -> None:
    """List every method and attack: what it needs, its cost, its reference, when not to use it."""
    from backlight.tasks import listing

    run_task(run, lambda progress: listing.methods(listing.MethodsRequest(bibtex, plugins)))
