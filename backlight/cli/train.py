"""The verb `train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import read_size
from backlight.cli.options import RUN_PANEL
from backlight.cli.output import emit, given_command, resuming, say, warn
from backlight.errors import UsageError

if TYPE_CHECKING:
    from backlight.classifier import Classifier
    from backlight.data import Splits
    from backlight.train.fit import Trained

_NEEDED = ("train", "val")


def train(
    data: Annotated[str, typer.Option(help="DATA: a folder, .npz, .parquet, CIFAR batches, shapes:...")],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    model: Annotated[str, typer.Option(help="One of our networks, timm:NAME, or efficientnet_lite0.")] = "classic_cnn",
    recipe: Annotated[str | None, typer.Option(help="classic | default | FILE.json")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value of the recipe; may be repeated.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Same as --set epochs=N.")] = None,
    lr: Annotated[float | None, typer.Option(help="Same as --set lr=X.")] = None,
    adversary: Annotated[str | None, typer.Option(help="As in pgd:eps=8/255,steps=3,share=1.0.")] = None,
    freeze: Annotated[int | None, typer.Option(help="Layers kept as they are; -1: all but the last.")] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Start from published weights.")] = False,
    conv: Annotated[str, typer.Option(help="torch | unfold: which convolution trains.")] = "torch",
    size: Annotated[str | None, typer.Option(help="Input size; the pictures' own if left out.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    save_every: Annotated[str, typer.Option(help="Time between two saved states, as in 60s.")] = "60s",
    precision: Annotated[str, typer.Option(help="auto | float32 | bfloat16")] = "auto",
    memory_format: Annotated[str, typer.Option(help="auto | contiguous | channels_last")] = "auto",
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | cuda:1 | mps")] = "auto",
    seed: Annotated[int, typer.Option(help="Every random number follows from it.", rich_help_panel=RUN_PANEL)] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the run in --out.", rich_help_panel=RUN_PANEL)
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.", rich_help_panel=RUN_PANEL)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.", rich_help_panel=RUN_PANEL)] = False,
) -> None:
    """Train a classifier, choose the best epoch by validation, and keep all of it in a run folder."""
    from backlight.data import load_splits
    from backlight.engine import make_engine
    from backlight.grammar import parse_duration
    from backlight.progress import terminal_progress
    from backlight.train.fit import fit
    from backlight.train.recipe import read_recipe
    from backlight.train.runtime import Runtime
    from backlight.train.start import start_classifier

    given = {"epochs": epochs, "lr": lr, "adversary": adversary, "freeze": freeze}
    settings = [*(set_ or []), *(f"{key}={value}" for key, value in given.items() if value is not None)]
    # A resumed run takes its recipe from its folder; naming one anyway is checked against that.
    chosen = None if resume and recipe is None and not settings else read_recipe(recipe or "default", settings)
    runtime = Runtime(precision, memory_format, save_every=parse_duration(save_every))
    engine = make_engine(device)
    splits = _parts(load_splits(data))
    start = start_classifier(
        model, splits.parts["train"], pretrained=pretrained, seed=seed, size=read_size(size), device=engine.device
    )
    try:
        trained = fit(
            _with_convolution(start, conv),
            splits.parts["train"],
            splits.parts["val"],
            out,
            recipe=chosen,
            seed=seed,
            resume=resume,
            force=force,
            split_seed=splits.seed,
            runtime=runtime,
            engine=engine,
            progress=terminal_progress(quiet) if engine.is_main else None,
        )
    except KeyboardInterrupt:
        warn(f"resume with: {resuming('--force')}")
        raise
    if not engine.is_main:
        return
    page = _write_page(trained)
    if json:
        emit(trained.to_json() | {"html": page})
        return
    say(f"{out}: epoch {trained.best_epoch} of {trained.epochs} is the best by validation")
    say(f"  val accuracy {trained.val_accuracy:.2%}, loss {trained.val_loss:.4f}")
    say(f"  {trained.images_per_second:.0f} images a second, {trained.seconds:.0f} s")
    say(f"  {page}\n  backlight evaluate --model {out} --data {data}")


def _write_page(trained: Trained) -> Path:
    from backlight.report import Options, write_report
    from backlight.report.training import training_section
    from backlight.train.history import read_history

    section = training_section([read_history(trained.run)])
    options = Options(command=given_command(), title=f"How {trained.classifier.name} was trained")
    # The page belongs to the run like its log: whoever may go on with one may replace the other.
    page = trained.run / "report.html"
    return write_report(trained.classifier, (), page, sections=[section], options=options, force=True).html


def _parts(splits: Splits) -> Splits:
    missing = [part for part in _NEEDED if part not in splits.parts]
    if missing:
        raise UsageError(f"{splits.whole.name} has no {missing[0]} part", expected="labeled pictures to train on")
    return splits


def _with_convolution(classifier: Classifier, conv: str) -> Classifier:
    if conv not in ("torch", "unfold"):
        raise UsageError(f"--conv {conv!r}", expected="torch or unfold")
    if conv == "unfold":
        from backlight.layers import replace_conv

        classifier.module = replace_conv(classifier.module)
    return classifier
