"""The verb `train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from backlight.cli.options import DATA_FORMS, Device, FollowLinks, Force, LogOptions
from backlight.cli.output import given_command, run_task
from backlight.core.grammar import parse_duration


@dataclass(frozen=True)
class RecipeOptions:
    """The recipe, and what of it is changed on the command line."""

    panel: ClassVar[str] = "Recipe"
    recipe: Annotated[str | None, typer.Option(help="adversarial | classic | default | FILE.json")] = None
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value of the recipe; may be repeated.")] = None
    epochs: Annotated[int | None, typer.Option(min=1, help="Same as --set epochs=N.")] = None
    batch_size: Annotated[int | None, typer.Option(min=1, help="Same as --set batch_size=N.")] = None
    lr: Annotated[float | None, typer.Option(help="Same as --set lr=X.")] = None
    adversary: Annotated[
        str | None, typer.Option(help="nfgsm | pgd:eps=8/255,steps=3 | trades:beta=6,awp=0.005 | fgsm-rs | free | mart")
    ] = None
    teacher: Annotated[
        str | None, typer.Option(help="Learn a trained model's answers too: MODEL:temperature=4,weight=0.9")
    ] = None
    ema: Annotated[float | None, typer.Option(help="Decay of the weights' moving average, as 0.999.")] = None
    swa: Annotated[float | None, typer.Option(help="Average all weights after this share of the steps.")] = None
    augment: Annotated[
        str | None, typer.Option(help="augmix | corruptions:kinds=noise,severity=3 | gaussian:sigma=0.25")
    ] = None
    freeze: Annotated[
        int | None, typer.Option(help="Layers kept as they are; -1: all but the last, -2: all but two.")
    ] = None

    @property
    def settings(self) -> tuple[str, ...]:
        """Return all that is changed as settings `key=value`."""
        given = {name: value for name, value in vars(self).items() if name not in ("recipe", "set_")}
        return (*(self.set_ or ()), *(f"{key}={value}" for key, value in given.items() if value is not None))


@dataclass(frozen=True)
class StartOptions:
    """What training starts from; what a resumed run leaves out is as the run has it."""

    model: Annotated[
        str | None,
        typer.Option(help="One of our networks, timm:NAME, or a RUN to go on from; classic_cnn if left out."),
    ] = None
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Start from published weights.")] = False
    conv: Annotated[str | None, typer.Option(help="torch | unfold: which convolution trains; torch if left out.")] = (
        None
    )
    size: Annotated[str | None, typer.Option(help="Input size; the pictures' own if left out.")] = None
    limit: Annotated[int | None, typer.Option(min=1, help="Take only N training pictures, spread evenly.")] = None
    weights: Annotated[str | None, typer.Option(help="A file of weights to go on from.")] = None
    mean: Annotated[str | None, typer.Option(help="What these were trained with: one number, or one per channel.")] = (
        None
    )
    std: Annotated[str | None, typer.Option(help="The same: one number, or one per channel.")] = None


def train(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    start: StartOptions,
    recipe: RecipeOptions,
    shown: LogOptions,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    save_every: Annotated[str, typer.Option(help="Time between two saved states, as in 60s.")] = "60s",
    precision: Annotated[
        str, typer.Option(help="float32 | bfloat16 | auto: the faster one in a timed step, so numbers may differ.")
    ] = "float32",
    memory_format: Annotated[str, typer.Option(help="auto | contiguous | channels_last")] = "auto",
    compile_: Annotated[str, typer.Option("--compile", help="off | on")] = "off",
    device: Device = "auto",
    force: Force = False,
    follow_links: FollowLinks = False,
) -> None:
    """Train a classifier, choose the best epoch by validation, and keep all of it in a run folder."""
    from backlight.tasks.starting import Start
    from backlight.tasks.training import Runtime, TrainRequest
    from backlight.tasks.training import train as task

    request = TrainRequest(
        data,
        out,
        Start(**vars(start)),
        recipe.recipe,
        recipe.settings,
        Runtime(precision, memory_format, compile_, save_every=parse_duration(save_every)),
        device,
        resume,
        force,
        shown.seed,
        follow_links,
        given_command(),
    )
    run_task(shown, lambda progress: task(request, progress=progress), resume_without=("--force",))
