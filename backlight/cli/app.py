"""Every verb of the command line, with the example that its `--help` shows."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight import __version__
from backlight.cli.options import expand_options
from backlight.cli.predict import predict

VERBS = {
    predict: "backlight predict cat.jpg holiday/ --top 3",
}

app = typer.Typer(
    name="backlight",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, measure, explain, attack and harden image classifiers.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"backlight {__version__}")
        raise typer.Exit


@app.callback()
def _backlight(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, measure, explain, attack and harden image classifiers."""


for verb, example in VERBS.items():
    app.command(verb.__name__.rstrip("_"), epilog=f"Example: {example}")(expand_options(verb))
