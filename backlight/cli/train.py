"""The verb `train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import read_size
from backlight.cli.options import DATA_FORMS, RUN_PANEL, PrintOptions
from backlight.cli.output import command, emit, given_command, leave, resuming, say, warn
from backlight.errors import FileError, UsageError

if TYPE_CHECKING:
    import torch

    from backlight.classifier import Classifier
    from backlight.data import Dataset, Splits
    from backlight.train.fitting import Trained
    from backlight.train.recipe import Recipe

_NEEDED = ("train", "val")
_RECIPE = "Recipe"


@dataclass(frozen=True)
class RecipeOptions:
    """The recipe, and what of it is changed on the command line."""

    recipe: Annotated[str | None, typer.Option(help="classic | default | FILE.json", rich_help_panel=_RECIPE)] = None
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value of the recipe; may be repeated.", rich_help_panel=_RECIPE),
    ] = None
    epochs: Annotated[int | None, typer.Option(min=1, help="Same as --set epochs=N.", rich_help_panel=_RECIPE)] = None
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Same as --set batch_size=N.", rich_help_panel=_RECIPE)
    ] = None
    lr: Annotated[float | None, typer.Option(help="Same as --set lr=X.", rich_help_panel=_RECIPE)] = None
    adversary: Annotated[
        str | None, typer.Option(help="As in pgd:eps=8/255,steps=3,share=1.0.", rich_help_panel=_RECIPE)
    ] = None
    freeze: Annotated[
        int | None,
        typer.Option(help="Layers kept as they are; -1: all but the last, -2: all but two.", rich_help_panel=_RECIPE),
    ] = None

    def read(self, resumed: Path | None) -> Recipe:
        """Return the recipe; of a run that is resumed, its own, with what is changed here so that it can be refused."""
        from backlight.runs.folder import RunFolder
        from backlight.train.recipe import Recipe, change_recipe, find_recipe

        given = {name: value for name, value in vars(self).items() if name not in ("recipe", "set_")}
        settings = [*(self.set_ or []), *(f"{key}={value}" for key, value in given.items() if value is not None)]
        if self.recipe is None and resumed is not None:
            return change_recipe(Recipe.from_json(RunFolder(resumed).info["recipe"]), settings)
        return change_recipe(find_recipe(self.recipe or "default"), settings)


@dataclass(frozen=True)
class StartOptions:
    """What training starts from; what a resumed run leaves out is as the run has it."""

    model: Annotated[
        str | None,
        typer.Option(help="One of our networks, timm:NAME, or efficientnet_lite0; classic_cnn if left out."),
    ] = None
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Start from published weights.")] = False
    conv: Annotated[str | None, typer.Option(help="torch | unfold: which convolution trains; torch if left out.")] = (
        None
    )
    size: Annotated[str | None, typer.Option(help="Input size; the pictures' own if left out.")] = None
    limit: Annotated[int | None, typer.Option(min=1, help="Take only N training pictures, spread evenly.")] = None

    def resumed(self, run: Path, seed: int) -> StartOptions:
        """Return what the run was started from, as it stands in its folder."""
        from backlight.runs.folder import RunFolder

        info = RunFolder(run).info
        stored = info.get("start")
        if not isinstance(stored, dict) or set(stored) != set(vars(self)):
            raise FileError(run / "run.json", "does not say what it was started from", expected="a run of `train`")
        for name, value in {**vars(self), "seed": seed}.items():
            before = info["seed"] if name == "seed" else stored[name]
            if value and value != before:
                raise UsageError(f"--{name} {value}", expected=f"{before}, as the run was started with")
        return StartOptions(**stored)

    def build(self, data: Dataset, seed: int, device: torch.device) -> Classifier:
        """Build the classifier."""
        from backlight.train.start import start_classifier

        model = self.model or "classic_cnn"
        size = read_size(self.size)
        start = start_classifier(model, data, pretrained=self.pretrained, seed=seed, size=size, device=device)
        if self.conv not in (None, "torch", "unfold"):
            raise UsageError(f"--conv {self.conv!r}", expected="torch or unfold")
        if self.conv == "unfold":
            from backlight.layers import replace_conv

            return start.replace(module=replace_conv(start.module))
        return start


def train(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    start: StartOptions,
    recipe: RecipeOptions,
    shown: PrintOptions,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    save_every: Annotated[str, typer.Option(help="Time between two saved states, as in 60s.")] = "60s",
    precision: Annotated[str, typer.Option(help="auto | float32 | bfloat16")] = "auto",
    memory_format: Annotated[str, typer.Option(help="auto | contiguous | channels_last")] = "auto",
    compile_: Annotated[
        str, typer.Option("--compile", help="auto | on | off; auto tries it on an accelerator.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | cuda:1 | mps")] = "auto",
    force: Annotated[
        bool, typer.Option("--force", help="Replace the run in --out.", rich_help_panel=RUN_PANEL)
    ] = False,
) -> None:
    """Train a classifier, choose the best epoch by validation, and keep all of it in a run folder."""
    from backlight.data import load_splits
    from backlight.engine.processes import make_engine
    from backlight.engine.progress import terminal_progress
    from backlight.grammar import parse_duration
    from backlight.train.fitting import fit
    from backlight.train.runtime import Runtime

    if resume and force:
        raise UsageError("--resume and --force", expected="one of them: to go on, or to replace the run")
    chosen = recipe.read(out if resume else None)
    runtime = Runtime(precision, memory_format, compile_, save_every=parse_duration(save_every))
    start = start.resumed(out, shown.seed) if resume else start
    engine = make_engine(device)
    splits = _checked(load_splits(data))
    pictures = splits.parts["train"].limited(start.limit)
    try:
        trained = fit(
            start.build(pictures, shown.seed, engine.device),
            pictures,
            splits.parts["val"],
            out,
            recipe=chosen,
            seed=shown.seed,
            resume=resume,
            force=force,
            notes={"split_seed": splits.seed, "start": vars(start)},
            runtime=runtime,
            engine=engine,
            progress=terminal_progress(shown.quiet) if engine.is_main else None,
        )
    except KeyboardInterrupt:
        warn(f"resume with: {resuming('--force')}")
        raise
    if engine.is_main:
        _tell(trained, data, shown.json)


def _tell(trained: Trained, data: str, json: bool) -> None:
    from backlight.errors import Failure
    from backlight.runs.folder import RunFolder

    page = _write_page(trained)
    if json:
        emit(trained.to_json() | {"html": page})
    else:
        say(f"{trained.run}: epoch {trained.best_epoch} of {trained.epochs} is the best by validation")
        say(f"  val accuracy {trained.val_accuracy:.2%}, loss {trained.val_loss:.4f}")
        say(f"  {trained.images_per_second:.0f} images a second, {trained.seconds:.0f} s")
        say(f"  {page}")
        say(f"  {command('evaluate', '--model', trained.run, '--data', data)}")
    leave([Failure(*one) for one in RunFolder(trained.run).info["data"]["failed"]])


def _write_page(trained: Trained) -> Path:
    from backlight.report import Options, write_report
    from backlight.report.training import training_section
    from backlight.runs.history import read_history

    section = training_section([read_history(trained.run)])
    options = Options(command=given_command(), title=f"How {trained.classifier.name} was trained")
    # The page belongs to the run like its log: whoever may go on with one may replace the other.
    page = trained.run / "report.html"
    return write_report(trained.classifier, (), page, sections=[section], options=options, force=True).html


def _checked(splits: Splits) -> Splits:
    missing = [part for part in _NEEDED if part not in splits.parts]
    if missing:
        raise UsageError(f"{splits.whole.name} has no {missing[0]} part", expected="labeled pictures to train on")
    return splits
