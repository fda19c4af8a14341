"""How the machine is used, as opposed to what is learned: precision, memory format, compilation, saving."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backlight.classifier import Classifier
from backlight.classifier.layout import FORMATS, suitable_format
from backlight.classifier.returned import call_module
from backlight.classifier.wrapping import copy_of
from backlight.core.errors import UsageError, did_you_mean

PRECISIONS = ("float32", "auto", "bfloat16")
COMPILES = ("off", "on")
_PROBE_IMAGES = 64


@dataclass(frozen=True)
class Runtime:
    """Describe how a run uses the machine; what follows from it is recorded in the run.

    Each of them changes the last bits of a run's numbers, or more, so none is chosen by a clock unless asked for:
    `precision="auto"` times one step in float32 and one in bfloat16, and the same command may then end in other
    weights. `memory_format="auto"` is what suits the network and the device. `compile` compiles the module in place.
    `save_every` is the seconds between two saved states, beside the one after each epoch; `log_every` the steps
    between two lines of the log. float16 is not offered for training: it needs scaled losses, and what has it has
    bfloat16 too, or gains little.

    >>> Runtime(precision="float32").memory_format
    'auto'
    """

    precision: str = "float32"
    memory_format: str = "auto"
    compile: str = "off"
    save_every: float = 60.0
    log_every: int = 50
    tensorboard: bool = True

    def __post_init__(self) -> None:
        for name, known in (("precision", PRECISIONS), ("memory_format", ("auto", *FORMATS)), ("compile", COMPILES)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name}={getattr(self, name)}", hint=did_you_mean(getattr(self, name), known))
        if self.save_every < 0 or self.log_every < 1:
            raise UsageError(
                f"save_every={self.save_every}, log_every={self.log_every}", expected="0 or more, and 1 or more"
            )


@dataclass(frozen=True)
class Choice:
    """What was chosen, and the seconds that a step of each candidate took (none where nothing was open).

    >>> Choice("float32", "channels_last").autocast is None
    True
    """

    precision: str
    memory_format: str
    compile: bool = False
    seconds: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return f"{self.precision} {self.memory_format}{' compiled' if self.compile else ''}"

    @property
    def autocast(self) -> torch.dtype | None:
        """Return the type that the forward pass is cast to, or None."""
        return torch.bfloat16 if self.precision == "bfloat16" else None

    def prepare(self, module: nn.Module) -> None:
        """Bring a module into the chosen form, in place; names and values of its weights stay."""
        module.to(memory_format=FORMATS[self.memory_format])
        if self.compile:
            module.compile()

    def to_json(self) -> dict[str, Any]:
        """Return the choice as run.json has it; `Choice.from_json` reads it back."""
        return {**vars(self), "seconds": dict(self.seconds)}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Choice:
        """Read a choice from a run.json."""
        return Choice(**{**data, "seconds": tuple(data["seconds"].items())})


def choose(classifier: Classifier, images: Tensor, runtime: Runtime) -> Choice:
    """Settle precision, memory format and compilation, by rule but for `precision="auto"`.

    Only that is timed: a step of each precision on a private copy of the module, and the faster one is taken.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    >>> choose(Classifier.from_module(net, size=8), torch.rand(2, 3, 8, 8), Runtime())
    Choice(precision='float32', memory_format='channels_last', compile=False, seconds=())
    """
    layout = runtime.memory_format
    if layout == "auto":
        layout = suitable_format(classifier.module, images.device)
    candidates = [
        Choice(precision, layout, runtime.compile == "on") for precision in _precisions(runtime, images.device)
    ]
    if len(candidates) == 1:
        return candidates[0]
    timed = [(_seconds(classifier, images[:_PROBE_IMAGES], one), one) for one in candidates]
    fastest = min(timed, key=lambda pair: pair[0])[1]
    return replace(fastest, seconds=tuple((str(one), round(taken, 5)) for taken, one in timed))


def _precisions(runtime: Runtime, device: torch.device) -> list[str]:
    if runtime.precision != "auto":
        return [runtime.precision]
    if device.type == "cuda":
        return ["float32", "bfloat16"] if torch.cuda.is_bf16_supported() else ["float32"]
    return ["float32", "bfloat16"] if _bfloat16_is_faster(device) else ["float32"]


def _bfloat16_is_faster(device: torch.device) -> bool:
    """Time one small convolution first: without support in the processor a whole step could take minutes."""
    images, filters = torch.ones(8, 16, 16, 16, device=device), torch.ones(16, 16, 3, 3, device=device)
    seconds = []
    for dtype in (torch.float32, torch.bfloat16):
        pair = images.to(dtype), filters.to(dtype)
        F.conv2d(*pair)
        start = time.perf_counter()
        for _ in range(5):
            result = F.conv2d(*pair)
        float(result.sum())
        seconds.append(time.perf_counter() - start)
    return seconds[1] < seconds[0]


def _seconds(classifier: Classifier, images: Tensor, choice: Choice) -> float:
    module = copy_of(classifier.module).train()
    choice.prepare(module)
    best = float("inf")
    with torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
        for _ in range(3):
            start = time.perf_counter()
            enabled = choice.autocast is not None
            with torch.enable_grad(), torch.autocast(images.device.type, torch.bfloat16, enabled=enabled):
                call_module(module, classifier.normalize(images)).values.float().sum().backward()
            float(next(module.parameters()).detach().sum())  # waits for an asynchronous device
            best = min(best, time.perf_counter() - start)
    return best
