"""The verb `check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import Force, PrintOptions
from backlight.cli.output import run_task


def check(
    result: Annotated[Path, typer.Argument(metavar="RESULT.json", help="What a verb printed with --json, or wrote.")],
    shown: PrintOptions,
    gate: Annotated[
        Path | None, typer.Option(help="TOML with rows [[gate]]; an audit is judged by its findings if left out.")
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="An older result: gates on a drop compare with it.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the outcome as JUnit's XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the outcome as Markdown.")] = None,
    annotations: Annotated[
        bool, typer.Option("--annotations", help="Print lines that GitHub's workflows turn into annotations.")
    ] = False,
    force: Force = False,
) -> None:
    """Hold a result against gates: exit status 0 if all hold, 4 if one fails, 3 if one could not be judged."""
    from backlight.tasks.checking import CheckRequest, step_summary
    from backlight.tasks.checking import check as task

    request = CheckRequest(result, gate, baseline, junit, markdown, annotations, step_summary(), force)
    run_task(shown, lambda progress: task(request))
