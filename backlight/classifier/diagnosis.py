"""What can be wrong with a model or with images, found before any long work and said in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from backlight.errors import InputError, ModelError

if TYPE_CHECKING:
    from backlight.classifier.classifier import Classifier

RANGE_TOLERANCE = 1e-6
OUTPUTS = ("logits", "probabilities", "log-probabilities")


def check_images(images: Tensor, channels: int) -> Tensor:
    """Check that images are float `[B,channels,H,W]`, finite and within `[0,1]` (up to 1e-6).

    >>> check_images(torch.full((1, 3, 2, 2), 2.5), 3)
    Traceback (most recent call last):
    backlight.errors.InputError: images range from 2.5 to 2.5...
    """
    if not isinstance(images, Tensor):
        raise InputError(f"images are {type(images).__name__}", expected="a float tensor [B,C,H,W] in [0,1]")
    _check_shape(images, channels)
    if not images.is_floating_point():
        raise InputError(f"images are {images.dtype}", expected="floats in [0,1]", hint="images / 255")
    if images.numel():
        _check_range(images)
    return images


def _check_shape(images: Tensor, channels: int) -> None:
    shape = tuple(images.shape)
    if images.ndim == 3:
        raise InputError(f"images have shape {shape}", expected="[B,C,H,W]", hint="images[None]")
    if images.ndim != 4:
        raise InputError(f"images have shape {shape}", expected="[B,C,H,W]")
    if images.shape[1] != channels:
        hint = "images.permute(0, 3, 1, 2)" if images.shape[3] == channels else ""
        raise InputError(f"images have shape {shape}", expected=f"{channels} channels in [B,C,H,W]", hint=hint)


def _check_range(images: Tensor) -> None:
    low, high = (float(value) for value in torch.aminmax(images.detach()))
    if low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE:
        return
    if low != low or high != high or not torch.isfinite(images.detach()).all():
        raise InputError("images hold NaN or infinite values", expected="finite values in [0,1]")
    found = f"images range from {low:.3g} to {high:.3g}"
    if low < 0 and low > -5 and high < 5:
        raise InputError(found, expected="[0,1]", hint="looks ImageNet-normalized: pass [0,1] images")
    if low >= 0 and 2 < high <= 255:
        raise InputError(found, expected="[0,1]", hint="looks like 0..255: images / 255")
    raise InputError(found, expected="[0,1]", hint="images.clamp(0, 1) if these are rounding errors")


def diagnose(classifier: Classifier) -> None:
    """Refuse a model that would give silently wrong numbers; say how to mend it.

    Checks a second normalization, the labels' number, what is returned, and a softmax tail. The checks that
    need a pass are left out where the input size is unknown.
    """
    if classifier.outputs not in OUTPUTS:
        raise ModelError(f"outputs={classifier.outputs!r}", expected=" or ".join(OUTPUTS))
    _check_single_normalization(classifier)
    if classifier.size is None:
        return
    probe = _probe_images(classifier)
    with torch.no_grad():
        logits = classifier.record(probe, ("logits",))["logits"]
    if classifier.outputs == "logits":
        _check_tail(logits)


def _probe_images(classifier: Classifier) -> Tensor:
    assert classifier.size is not None
    height, width = classifier.size
    ramp = torch.linspace(0, 1, height * width, device=classifier.device).view(1, 1, height, width)
    return torch.cat([ramp, 1 - ramp]).expand(-1, classifier.channels, -1, -1).contiguous()


def _check_tail(logits: Tensor) -> None:
    if logits.shape[1] < 2:
        raise ModelError("the model returns one value per image", expected="logits of at least two classes")
    if _sums_to_one(logits):
        raise ModelError(
            "the model returns probabilities (each row sums to 1), not logits",
            hint="remove its softmax, or Classifier.from_module(..., outputs='probabilities')",
        )
    if bool((logits <= 0).all()) and _sums_to_one(logits.exp()):
        raise ModelError(
            "the model returns log-probabilities, not logits",
            hint="remove its log-softmax, or Classifier.from_module(..., outputs='log-probabilities')",
        )


def _sums_to_one(rows: Tensor) -> bool:
    return bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-4).all())


def _check_single_normalization(classifier: Classifier) -> None:
    identity = all(value == 0 for value in classifier.mean) and all(value == 1 for value in classifier.std)
    if identity:
        return
    for name, part in classifier.module.named_modules():
        if _normalizes(part):
            where = name or type(part).__name__
            raise ModelError(
                f"the model normalizes inside ({where!r} holds mean and std) and mean/std were given as well",
                expected="one normalization",
                hint="leave out mean= and std=, or remove that layer",
            )


def _normalizes(part: nn.Module) -> bool:
    if isinstance(part, _NormBase) or any(True for _ in part.children()):
        return False
    names = {name.strip("_") for name in (*part._buffers, *part._parameters, *vars(part))}
    return "std" in names and "mean" in names
