"""Every verb of the command line, with the example that its `--help` shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from backlight import __version__
from backlight.cli.attack import attack
from backlight.cli.explain import explain
from backlight.cli.inspect import inspect
from backlight.cli.methods import methods
from backlight.cli.models import models
from backlight.cli.options import expand_options
from backlight.cli.predict import predict
from backlight.cli.report import report

VERBS: dict[Callable[..., None], str] = {
    report: "backlight report cat.jpg holiday/ --out report.html",
    predict: "backlight predict cat.jpg holiday/ --top 3",
    explain: "backlight explain cat.jpg --methods gradcam,integrated_gradients --target second",
    attack: "backlight attack cat.jpg --method pgd --eps 2/255 --target 'red fox'",
    inspect: "backlight inspect cat.jpg --compare-random",
    models: "backlight models --search resnet",
    methods: "backlight methods --bibtex > references.bib",
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
