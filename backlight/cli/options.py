"""The options that verbs share, written once and expanded into each verb's signature."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args, get_type_hints

import typer

from backlight.core.errors import UsageError
from backlight.core.grammar import parse_per_channel, parse_size

if TYPE_CHECKING:
    from backlight.tasks.gating import GateRequest
    from backlight.tasks.loading import DataRequest, ModelRequest


_MODEL, RUN, DATA, GATES = "Model", "Run", "Data set", "Gates"
DEFAULT_MODEL = "efficientnet_lite0"
DEFAULT_OUT = Path("backlight-out")
DATA_FORMS = (
    "DATA: a folder of class folders | a folder with train/ val/ test/ of those | a list file of lines 'path label' | "
    ".npz | .parquet | WebDataset .tar | a folder of CIFAR batches | hf:NAME | shapes:n=2000,size=32,classes=8; "
    "ranges may follow, as in cifar.npz@train=0:50000,test=50000:"
)

Device = Annotated[str, typer.Option(help="auto | cpu | cuda | cuda:1 | mps.", rich_help_panel=_MODEL)]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.", rich_help_panel=RUN)]
Frames = Annotated[int, typer.Option(min=0, help="Film every Nth step as an animated WebP; 0 films none.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Take only the first N.", rich_help_panel=RUN)]
Methods = Annotated[str, typer.Option(help="Names with commas between; `backlight methods` lists them.")]
Pictures = Annotated[list[Path], typer.Argument(metavar="PICTURE", help="Picture files, or folders of them.")]
SomePictures = Annotated[
    list[Path] | None, typer.Argument(metavar="[PICTURE]...", help="Picture files, or folders.", show_default=False)
]
Steps = Annotated[int | None, typer.Option(min=1, help="Own number of the method or preset if left out.")]


@dataclass(frozen=True)
class FormOptions:
    """At which size, fed in which way, where."""

    panel: ClassVar[str] = _MODEL
    random: Annotated[bool, typer.Option("--random", help="Random weights, drawn by --seed.")] = False
    labels: Annotated[Path | None, typer.Option(help="Class names: one per line, or JSON.")] = None
    mean: Annotated[str | None, typer.Option(help="Per channel, as in 0.5,0.5,0.5, or one for all.")] = None
    std: Annotated[str | None, typer.Option(help="Per channel, as in 0.2,0.2,0.2, or one for all.")] = None
    size: Annotated[str | None, typer.Option(help="Input size: 224 or 224x192.")] = None
    resize: Annotated[int | None, typer.Option(min=1, help="The shorter side before the crop, in pixels.")] = None
    crop: Annotated[str | None, typer.Option(help="center | squash | the share kept (0.875) | pixels (224).")] = None
    interpolation: Annotated[str | None, typer.Option(help="bilinear | bicubic | nearest | lanczos | ...")] = None
    outputs: Annotated[
        str | None,
        typer.Option(help="What the model returns: logits | probabilities | log-probabilities | binary | multilabel."),
    ] = None
    classes: Annotated[Path | None, typer.Option(help="Names of classes for clip:, one per line.")] = None
    templates: Annotated[Path | None, typer.Option(help="Texts for clip:, {} is the name: a photo of a {}.")] = None
    device: Device = "auto"
    memory_format: Annotated[
        str,
        typer.Option(
            help="auto | contiguous | channels_last: how weights lie in memory; auto leaves the model as it is, "
            "and takes what suits it where it works on a fast copy."
        ),
    ] = "auto"

    def with_weights(self, model: str, weights: Path | None) -> ModelRequest:
        """Request a model with these weights; torch is imported here and not before."""
        from backlight.tasks.loading import ModelRequest

        given = {name: value for name, value in vars(self).items() if name not in ("model", "weights")}
        given["size"] = None if self.size is None else parse_size(self.size)
        given |= {name: parse_per_channel(f"--{name}", given[name]) for name in ("mean", "std")}
        return ModelRequest(model, weights=weights, **given)


@dataclass(frozen=True)
class WeightOptions(FormOptions):
    """With which weights, and in which form."""

    weights: Annotated[Path | None, typer.Option(help="A file of tensors (no code is run), or FILE:ema.")] = None

    def of(self, model: str) -> ModelRequest:
        """Request a model with these weights."""
        return self.with_weights(model, self.weights)


@dataclass(frozen=True)
class PairOptions(FormOptions):
    """With which weights each of several models."""

    weights: Annotated[
        list[Path] | None, typer.Option(help="A file of tensors, or FILE:ema; with several models once for each.")
    ] = None

    def each(self, models: Sequence[str], most: int = 2) -> tuple[ModelRequest, ...]:
        """Request each model with its own weights; one model may be named once for several files of weights."""
        files = self.weights or []
        names = [*models] * len(files) if len(models) == 1 and files else [*models]
        if len(names) > max(most, 2) or (files and len(files) != len(names)):
            several = "one model or two" if most <= 2 else "models"
            raise UsageError(
                f"{len(names)} models with {len(files)} files of weights",
                expected=f"{several}, and no --weights or one for each --model",
            )
        return tuple(self.with_weights(name, file) for name, file in zip_longest(names, files))


@dataclass(frozen=True)
class ModelOptions(WeightOptions):
    """Which classifier, with which weights."""

    model: Annotated[
        str,
        typer.Option(
            help="efficientnet_lite0 | timm:NAME | torchvision:NAME | hf-hub:ORG/NAME | hf:NAME_OR_FOLDER | "
            "clip:ARCH/WEIGHTS | onnx:FILE | torchscript:FILE | exported:FILE | RUN folder | "
            "FOLDER of model.json and weights | file.py:factory | one of our networks"
        ),
    ] = DEFAULT_MODEL

    @property
    def request(self) -> ModelRequest:
        """Request the model."""
        return self.of(self.model)


FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Read what links in a folder lead to.", rich_help_panel=DATA)
]


@dataclass(frozen=True)
class PartOptions:
    """Which part of a data set, and how much of it."""

    panel: ClassVar[str] = DATA
    split: Annotated[
        str | None, typer.Option(help="train | val | test | all; the data's test part, else all, if left out.")
    ] = None
    limit: Annotated[int | None, typer.Option(min=1, help="Take only N pictures, spread evenly.")] = None
    sample: Annotated[int | None, typer.Option(min=1, help="Draw N pictures by class, by --seed.")] = None
    follow_links: FollowLinks = False

    def of(self, data: str) -> DataRequest:
        """Request this part of a data set."""
        from backlight.tasks.loading import DataRequest

        return DataRequest(data, **vars(self))


@dataclass(frozen=True)
class AttackOptions:
    """How an attack is made; what is left out is the attack's own."""

    target: Annotated[
        str | None, typer.Option(help="Class to reach: label | index | second | least-likely | random.")
    ] = None
    norm: Annotated[str | None, typer.Option(help="linf | l2 | l1 | l0; the attack's own if left out.")] = None
    eps: Annotated[str | None, typer.Option(help="Largest change in pixel units, as in 8/255.")] = None
    step_size: Annotated[str | None, typer.Option(help="In the norm's units, as in 2/255.")] = None
    objective: Annotated[str | None, typer.Option(help="cross-entropy | logit | probability | margin | dlr")] = None


@dataclass(frozen=True)
class GateOptions:
    """What a result has to hold, and where builds read whether it does."""

    panel: ClassVar[str] = GATES
    gate: Annotated[Path | None, typer.Option(help="TOML with rows [[gate]]; else an audit's findings judge.")] = None
    baseline: Annotated[Path | None, typer.Option(help="An older result: gates on a drop compare with it.")] = None
    junit: Annotated[Path | None, typer.Option(help="Write the outcome as JUnit's XML.")] = None
    markdown: Annotated[Path | None, typer.Option(help="Write the outcome as Markdown.")] = None
    annotations: Annotated[bool, typer.Option("--annotations", help="Print annotations of GitHub's workflows.")] = False

    @property
    def request(self) -> GateRequest:
        """Request these gates; the summary of a build's step is told too."""
        from backlight.tasks.gating import GateRequest, step_summary

        return GateRequest(**vars(self), summary=step_summary())


@dataclass(frozen=True)
class PrintOptions:
    """From which random numbers a verb works and what it prints."""

    panel: ClassVar[str] = RUN
    seed: Annotated[int, typer.Option(help="Every random number follows from it.")] = 0
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False


@dataclass(frozen=True)
class LogOptions(PrintOptions):
    """Where else the finished numbers go."""

    log: Annotated[
        str | None, typer.Option(help="Hand numbers and page over: tensorboard:dir=D | mlflow:uri=U | wandb:project=P.")
    ] = None


@dataclass(frozen=True)
class RunOptions(LogOptions):
    """How a verb runs and what it prints."""

    batch_size: Annotated[int, typer.Option(min=1, help="Pictures looked at at once.")] = 32


@dataclass(frozen=True)
class OutputOptions:
    """Where produced files go."""

    panel: ClassVar[str] = RUN
    out: Annotated[Path, typer.Option(help="Folder for produced files.")] = DEFAULT_OUT
    force: Force = False


def expand_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Replace each parameter that is one of the dataclasses above by its fields, for the command line's parser."""
    hints = get_type_hints(verb, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}
    parameters = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.name in groups:
            parameters += _fields_as_parameters(groups[parameter.name])
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))

    @functools.wraps(verb)
    def expanded(**values: Any) -> Any:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        return verb(**values)

    # Parameters without a default may follow others here: the parser passes all of them by name.
    keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    expanded.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    expanded.__annotations__ = {one.name: one.annotation for one in keyword}
    del expanded.__wrapped__
    return expanded


def _fields_as_parameters(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=_in_panel(hints[field.name], getattr(group, "panel", None)),
        )
        for field in fields(group)
    ]


def _in_panel(annotation: Any, panel: str | None) -> Any:
    """Put an option into its group's panel of the help, unless it names its own."""
    kind, option = get_args(annotation)
    named = copy.copy(option)
    named.rich_help_panel = option.rich_help_panel or panel
    return Annotated[kind, named]
