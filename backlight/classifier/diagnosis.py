"""What can be wrong with a model or with images, found before any long work and said in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from backlight.classifier.recording import LOGITS, record_layers
from backlight.classifier.returned import Output
from backlight.classifier.suspicion import unsteadiness
from backlight.classifier.tail import TailWatch
from backlight.classifier.wrapping import Function
from backlight.core.errors import InputError, ModelError

if TYPE_CHECKING:
    from backlight.classifier.network import Network

RANGE_TOLERANCE = 1e-6
_GIVE_THE_MODULE = "give the module itself, or call its eval() before"


def check_images(images: Tensor, channels: int) -> Tensor:
    """Check that images are float `[B,channels,H,W]`, finite and within `[0,1]` (up to 1e-6).

    >>> check_images(torch.full((1, 3, 2, 2), 2.5), 3)
    Traceback (most recent call last):
    backlight.core.errors.InputError: images range from 2.5 to 2.5...
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


def diagnose(network: Network) -> None:
    """Refuse a model that would give silently wrong numbers; say how to mend it.

    Checks layers without weights, a second normalization and, where the input size is known, what `settle` finds.
    """
    _check_weights(network.module)
    _check_single_normalization(network)
    if network.size is not None:
        settle(network, _probe_image(network))


def settle(network: Network, image: Tensor) -> None:
    """Look at a picture `[1,C,H,W]` and its negative: what the network ends in, whether it answers steadily.

    What makes numbers doubtful is noted on it. Raises ModelError for outputs that are not what was
    declared, and for a function around a module that nothing led to, whose answers are not steady.
    """
    devices = [image.device] if image.device.type == "cuda" else []
    pair = torch.cat([image, 1 - image])
    with torch.no_grad(), torch.random.fork_rng(devices), network.guard():
        with TailWatch() as watch:
            output = _look(network, pair)
            tail = watch.of(output.values)
        network.head.tail = tail
        network.take_note(output.note)
        logits = network.head.logits(output.values)
        found = unsteadiness(lambda images: network.head.logits(_look(network, images).values), pair, logits)
    if found and isinstance(network.module, Function):
        raise ModelError(f"{found}; what does so could not be found in the function", hint=_GIVE_THE_MODULE)
    network.take_doubt(found)


def _look(network: Network, images: Tensor) -> Output:
    output = record_layers(network.module, network.normalize(images), (LOGITS,), width=network.head.width).output
    assert output is not None
    return output


def _probe_image(network: Network) -> Tensor:
    assert network.size is not None
    height, width = network.size
    ramp = torch.linspace(0, 1, height * width, device=network.device).view(1, 1, height, width)
    return ramp.expand(-1, network.channels, -1, -1).contiguous()


def _check_weights(module: nn.Module) -> None:
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_meta:
            raise ModelError(
                f"{name!r} lies on the device meta, which holds shapes and no values",
                expected="a network with weights",
                hint="module.to_empty(device=...), then load its weights",
            )
    for name, part in module.named_modules():
        if any(is_lazy(one) for one in part.parameters(recurse=False)):
            raise ModelError(
                f"layer {name!r} ({type(part).__name__}) has no weights yet",
                expected="a network with weights",
                hint="call it once on pictures, or load its weights",
            )


def _check_single_normalization(network: Network) -> None:
    identity = all(value == 0 for value in network.mean) and all(value == 1 for value in network.std)
    if identity:
        return
    where = inner_normalization(network.module)
    if where is not None:
        raise ModelError(
            f"the model normalizes inside ({where!r} holds mean and std) and mean/std were given as well",
            expected="one normalization",
            hint="leave out mean= and std=, or remove that layer",
        )


def inner_normalization(module: nn.Module) -> str | None:
    """Name the layer that subtracts a mean and divides by a deviation of pictures, None where there is none.

    >>> inner_normalization(nn.Linear(2, 2)) is None
    True
    """
    for name, part in module.named_modules():
        if _normalizes(part):
            return name or type(part).__name__
    return None


def _normalizes(part: nn.Module) -> bool:
    if isinstance(part, _NormBase) or any(True for _ in part.children()):
        return False
    # TorchScript's own dictionaries cannot be iterated.
    tensors = (*part.named_buffers(recurse=False), *part.named_parameters(recurse=False))
    names = {name.strip("_") for name in (*(name for name, _ in tensors), *vars(part))}
    return "std" in names and "mean" in names
