"""The verb `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import ModelOptions, OutputOptions, RunOptions, WeightOptions
from backlight.cli.output import emit, say
from backlight.errors import UsageError, did_you_mean


def export(
    model: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or any model as --model elsewhere.")],
    weights: WeightOptions,
    run: RunOptions,
    output: OutputOptions,
    format_: Annotated[str, typer.Option("--format", help="onnx | state-dict")] = "onnx",
) -> None:
    """Write a classifier with its normalization inside, read it back and compare it on 32 pictures."""
    from backlight.models.export import FORMATS
    from backlight.models.export import export as export_classifier
    from backlight.tasks.visualize import file_stem

    if format_ not in FORMATS:
        raise UsageError(f"--format {format_}", expected="onnx or state-dict", hint=did_you_mean(format_, FORMATS))
    classifier = load_classifier(ModelOptions(**vars(weights), model=model), run.seed)
    # Every run of a network has the network's name: its folder's tells runs apart.
    name = Path(model).resolve().name if Path(model).is_dir() else classifier.name
    target = output.out / f"{file_stem(name)}{FORMATS[format_]}"
    made = export_classifier(classifier, target, kind=format_, force=output.force)
    if run.json:
        emit(made.to_json())
        return
    say(str(made.path))
    say(f"  read back and compared on {made.pictures} pictures: logits differ by at most {made.difference:.2g}")
    say("  takes pictures [B,C,H,W] in [0,1]; the normalization is inside")
