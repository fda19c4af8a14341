"""The verb `explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import Limit, ModelOptions, OutputOptions, Pictures, RunOptions
from backlight.cli.output import finish

if TYPE_CHECKING:
    from backlight.explain.export import ExplainedPicture


def explain(
    pictures: Pictures,
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    methods: Annotated[
        str, typer.Option(help="Names with commas between; `backlight methods` lists them.")
    ] = "saliency,gradcam,guided_backprop,guided_gradcam",
    target: Annotated[str, typer.Option(help="label | index | top | second | least-likely | random")] = "top",
    layer: Annotated[str | None, typer.Option(help="Layer for class activation maps; chosen if left out.")] = None,
    quantity: Annotated[str, typer.Option(help="logit | probability | loss")] = "logit",
    limit: Limit = None,
) -> None:
    """Show what in pictures speaks for a class: an overlay and a raw map per method."""
    from backlight.explain.export import Request, explain_pictures
    from backlight.grammar import split_specs
    from backlight.images import find_pictures
    from backlight.progress import terminal_progress

    request = Request(split_specs(methods), target, (layer,) if layer else None, quantity, run.seed)
    paths = find_pictures(pictures)[:limit]
    classifier = load_classifier(model, run.seed)
    done, failed = explain_pictures(
        classifier,
        paths,
        request,
        output.out,
        batch_size=min(run.batch_size, 8),
        force=output.force,
        progress=terminal_progress(run.quiet),
    )
    finish([one.to_json() for one in done], failed, as_json=run.json, text=lambda: map(_describe, done))


def _describe(picture: ExplainedPicture) -> str:
    lines = [f"{picture.path}: {picture.target}"]
    for one in picture.maps:
        layer = f"  at {one.layer}" if one.layer else ""
        gap = f"  completeness gap {one.gap:.2%}" if one.gap is not None else ""
        lines.append(f"  {one.method:<20} {one.png}{layer}{gap}")
        lines += [f"    note: {note}" for note in one.notes]
    return "\n".join(lines)
