"""The verb `visualize`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import ModelOptions, OutputOptions, RunOptions
from backlight.cli.output import finish

if TYPE_CHECKING:
    from backlight.classifier import Classifier
    from backlight.tasks.visualize import Made
    from backlight.visualize.pictures import Watch

What = Annotated[str, typer.Argument(metavar="WHAT", help="class | feature | invert | dream")]
Subjects = Annotated[
    list[str], typer.Argument(metavar="SUBJECT", help="Labels (or all), LAYER:CHANNEL, or picture files.")
]


def visualize(
    what: What,
    subjects: Subjects,
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    layer: Annotated[str | None, typer.Option(help="The layer of invert and dream.")] = None,
    preset: Annotated[str, typer.Option(help="For class and feature: lucid | cs231n.")] = "lucid",
    steps: Annotated[int | None, typer.Option(min=1, help="The preset's own number if left out.")] = None,
    frames: Annotated[int, typer.Option(min=0, help="Keep a picture every N steps; 0 keeps none.")] = 0,
    longest: Annotated[int, typer.Option(min=16, help="The longer side of a dream, in pixels.")] = 384,
) -> None:
    """Make pictures that show what a class, a channel or a layer of the model looks for."""
    from backlight.engine.progress import terminal_progress
    from backlight.errors import Failure, UsageError, did_you_mean
    from backlight.visualize.pictures import Watch

    if what not in ("class", "feature", "invert", "dream"):
        hint = did_you_mean(what, ("class", "feature", "invert", "dream"))
        raise UsageError(f"visualize {what!r}", expected="class | feature | invert | dream", hint=hint)
    if what in ("invert", "dream") and layer is None:
        raise UsageError(f"visualize {what} without a layer", expected="--layer NAME", hint="backlight inspect")
    watch = Watch(frames, progress=terminal_progress(run.quiet))
    classifier, failed, done = load_classifier(model, run.seed), list[Failure](), list["Made"]()
    if what == "class":
        done = _classes(classifier, subjects, preset, steps, watch, run, output)
    elif what == "feature":
        done = _features(classifier, subjects, preset, steps, watch, run, output)
    else:
        size = longest if what == "dream" else None
        done = _pictures(classifier, what, subjects, layer or "", steps, size, watch, run, output, failed)
    finish(
        [one.to_json() for one in done], failed, as_json=run.json, text=lambda: chain.from_iterable(map(describe, done))
    )


def _classes(
    classifier: Classifier,
    subjects: list[str],
    preset: str,
    steps: int | None,
    watch: Watch,
    run: RunOptions,
    output: OutputOptions,
) -> list[Made]:
    from backlight.tasks.visualize import file_stem, write_made
    from backlight.visualize import class_image

    indices = list(range(classifier.classes)) if subjects == ["all"] else list(map(classifier.class_index, subjects))
    stems = [f"class-{file_stem(classifier.label(index))}" for index in indices]
    return write_made(
        lambda: class_image(classifier, indices, preset=preset, steps=steps, watch=watch, seed=run.seed),
        stems,
        output.out,
        title=f"What {classifier.name} imagines when it hears a label",
        sheet="classes" if len(indices) > 1 else "",
        force=output.force,
    )


def _features(
    classifier: Classifier,
    subjects: list[str],
    preset: str,
    steps: int | None,
    watch: Watch,
    run: RunOptions,
    output: OutputOptions,
) -> list[Made]:
    from backlight.errors import UsageError
    from backlight.tasks.visualize import file_stem, write_made
    from backlight.visualize import feature_image

    by_layer: dict[str, list[int]] = {}
    for subject in subjects:
        layer, colon, channel = subject.rpartition(":")
        if not colon or not channel.isdigit():
            raise UsageError(f"feature {subject!r}", expected="LAYER:CHANNEL, as in blocks.4:12")
        by_layer.setdefault(layer, []).append(int(channel))
    done = []
    for layer, channels in by_layer.items():
        done += write_made(
            lambda layer=layer, channels=channels: feature_image(  # type: ignore[misc]
                classifier, layer, channels, preset=preset, steps=steps, watch=watch, seed=run.seed
            ),
            [f"feature-{file_stem(layer)}-{channel}" for channel in channels],
            output.out,
            title=f"What excites channels of {layer} in {classifier.name}",
            sheet=f"features-{file_stem(layer)}" if len(channels) > 1 else "",
            force=output.force,
        )
    return done


def _pictures(
    classifier: Classifier,
    what: str,
    subjects: list[str],
    layer: str,
    steps: int | None,
    longest: int | None,
    watch: Watch,
    run: RunOptions,
    output: OutputOptions,
    failed: list,
) -> list[Made]:
    from backlight.images import find_pictures
    from backlight.tasks.visualize import file_stem, read_each, read_for, read_sized, write_made
    from backlight.visualize import dream, invert

    make: Callable = invert if what == "invert" else dream
    read = read_for(classifier) if longest is None else lambda path: read_sized(path, longest, classifier.channels)
    more = {} if steps is None else {"steps": steps}
    titles = {
        "invert": f"What {layer} of {classifier.name} still knows of a picture",
        "dream": f"A picture with more of what {layer} of {classifier.name} sees in it",
    }
    done = []
    for path, image in read_each(find_pictures([Path(one) for one in subjects]), read, failed):
        done += write_made(
            lambda image=image: make(classifier, image, layer, watch=watch, seed=run.seed, **more),  # type: ignore[misc]
            [f"{path.stem}-{what}-{file_stem(layer)}"],
            output.out,
            title=titles[what],
            force=output.force,
        )
    return done


def describe(made: Made) -> Iterator[str]:
    """Describe in lines for people what was made."""
    yield f"{made.name}: {made.png}"
    yield f"  objective {made.objective:.4g} after {made.steps} steps ({made.stopped})"
    for name, value in made.more.items():
        if isinstance(value, dict):
            pairs = (f"{part} {ends['before']:.3g} -> {ends['after']:.3g}" for part, ends in value.items())
            yield "  " + ", ".join(pairs)
        elif name in ("distance", "success", "psnr", "ssim", "alpha"):
            yield f"  {name} {value:.4g}" if isinstance(value, float) else f"  {name} {value}"
        elif isinstance(value, str):
            yield f"  {value}"
