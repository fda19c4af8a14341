"""The verb `fool`."""

from __future__ import annotations

from itertools import chain
from typing import Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import Limit, ModelOptions, OutputOptions, Pictures, RunOptions
from backlight.cli.output import finish
from backlight.cli.visualize import describe


def fool(
    pictures: Pictures,
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    target: Annotated[str, typer.Option(help="label | index | second | least-likely | random")],
    preset: Annotated[str, typer.Option(help="confident | cs231n")] = "confident",
    confidence: Annotated[float | None, typer.Option(help="The probability wanted of the target.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="The preset's own number if left out.")] = None,
    limit: Limit = None,
) -> None:
    """Change pictures until the classifier sees the target; show the difference and ten times the difference."""
    from backlight.engine.progress import terminal_progress
    from backlight.errors import Failure
    from backlight.images import find_pictures
    from backlight.images.intake import unique_stems
    from backlight.tasks.visualize import Made, read_each, read_for, write_made
    from backlight.visualize import Watch, fooling_image

    paths = find_pictures(pictures)[:limit]
    classifier, watch = load_classifier(model, run.seed), Watch(progress=terminal_progress(run.quiet))
    failed: list[Failure] = []
    done: list[Made] = []
    stems = dict(zip(paths, unique_stems(paths), strict=True))
    for path, image in read_each(paths, read_for(classifier), failed):
        done += write_made(
            lambda image=image: fooling_image(  # type: ignore[misc]
                classifier, image, target, preset=preset, confidence=confidence, steps=steps, watch=watch, seed=run.seed
            ),
            [f"{stems[path]}-fool"],
            output.out,
            title=f"A picture that {classifier.name} takes for something else",
            sheet=f"{stems[path]}-fool-x10",
            force=output.force,
        )
    finish(
        [one.to_json() for one in done], failed, as_json=run.json, text=lambda: chain.from_iterable(map(describe, done))
    )
