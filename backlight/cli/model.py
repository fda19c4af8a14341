"""From the shared model options to a loaded classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backlight.cli.options import ModelOptions
from backlight.errors import UsageError

if TYPE_CHECKING:
    from backlight.classifier import Classifier


def load_classifier(options: ModelOptions, seed: int) -> Classifier:
    """Load what the options name, on this process's device; torch is imported here and not before."""
    import torch

    from backlight.engine.processes import make_engine
    from backlight.models import load

    classifier = load(
        options.model,
        random=options.random,
        weights=options.weights,
        labels=options.labels,
        mean=_numbers("--mean", options.mean),
        std=_numbers("--std", options.std),
        size=read_size(options.size),
        seed=seed,
        device=make_engine(options.device).device,
    )
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    if options.memory_format in formats:
        classifier.module.to(memory_format=formats[options.memory_format])
    return classifier


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r}", expected="numbers with commas between, as in 0.5,0.5,0.5") from None


def read_size(text: str | None) -> tuple[int, int] | None:
    """Read an input size, `224` or `224x192` (height x width); None stays None."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"--size {text!r}", expected="224, or height x width as in 224x192")
    return int(parts[0]), int(parts[-1])
