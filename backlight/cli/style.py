"""The verb `style`."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import ModelOptions, OutputOptions, RunOptions
from backlight.cli.output import finish
from backlight.cli.visualize import describe


def style(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The picture to paint.")],
    styles: Annotated[list[Path], typer.Argument(metavar="STYLE", help="Pictures whose style to take.")],
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    preset: Annotated[str, typer.Option(help="default | gatys | cs231n")] = "default",
    blend: Annotated[str | None, typer.Option(help="Weights of the styles, as in 2,1.")] = None,
    keep_colors: Annotated[bool, typer.Option("--keep-colors", help="Keep the content's colors.")] = False,
    longest: Annotated[int, typer.Option(min=16, help="The painting's longer side, in pixels.")] = 384,
    steps: Annotated[int | None, typer.Option(min=1, help="Per scale; the preset's own number if left out.")] = None,
    frames: Annotated[int, typer.Option(min=0, help="Keep a picture every N steps; 0 keeps none.")] = 0,
) -> None:
    """Paint a picture in the style of others."""
    import dataclasses

    from backlight.engine.progress import terminal_progress
    from backlight.errors import UsageError
    from backlight.grammar import parse_number
    from backlight.tasks.visualize import read_sized, write_made
    from backlight.visualize import Watch, style_transfer
    from backlight.visualize.style_presets import preset_of

    constants = preset_of(preset)
    constants = constants if steps is None else dataclasses.replace(constants, steps=steps)
    weights = None if blend is None else [parse_number(one) for one in blend.split(",")]
    if weights is not None and len(weights) != len(styles):
        raise UsageError(f"--blend {blend}", expected=f"{len(styles)} weights, one per style")
    classifier = load_classifier(model, run.seed)
    picture = read_sized(content, longest, classifier.channels)
    strokes = [read_sized(path, longest, classifier.channels)[0] for path in styles]
    watch = Watch(frames, progress=terminal_progress(run.quiet))
    done = write_made(
        lambda: style_transfer(
            classifier,
            picture,
            strokes,
            preset=constants,
            blend=weights,
            keep_colors=keep_colors,
            watch=watch,
            seed=run.seed,
        ),
        ["-".join([content.stem, *(path.stem for path in styles)])],
        output.out,
        title=f"{content.stem} in the style of {', '.join(path.stem for path in styles)}",
        force=output.force,
    )
    lines = chain.from_iterable(map(describe, done))
    finish([one.to_json() for one in done], [], as_json=run.json, text=lambda: lines)
