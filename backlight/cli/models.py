"""The verb `models`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import RunOptions
from backlight.cli.output import emit, say


def models(
    run: RunOptions,
    search: Annotated[str, typer.Option(help="Only names that contain this.")] = "",
) -> None:
    """List the models that `--model` takes, and what each needs."""
    from backlight.models import list_models

    found = list_models(search)
    if run.json:
        emit([model.to_json() for model in found])
        return
    width = max(len(model.spec) for model in found)
    for model in found:
        here = "" if model.offline is None else "works offline" if model.offline else "not here"
        say(f"{model.spec:<{width}}  {here:<13}  {model.summary}; needs {model.needs}")
