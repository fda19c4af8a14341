"""The arguments of a convolution, read and checked; every message names both shapes."""

from __future__ import annotations

from torch import Tensor

from backlight.core.errors import InputError
from backlight.layers.columns import Geometry


def read_geometry(
    images: Tensor,
    weight: Tensor,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int] | str,
    dilation: int | tuple[int, int],
    groups: int,
) -> tuple[Geometry, tuple[int, int]]:
    """Turn the arguments of `F.conv2d` into a `Geometry` and the extra zeros below and to the right.

    Extra zeros arise from "same" padding of an even kernel. Raises `InputError` for values out of range.

    >>> import torch
    >>> read_geometry(torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 3, 2), 1, "same", 1, 1)[1]
    (0, 1)
    """
    if images.ndim != 4 or weight.ndim != 4:
        raise InputError(
            f"images have shape {list(images.shape)} and the weight {list(weight.shape)}",
            expected="[B, C, H, W] and [outputs, C / groups, kernel height, kernel width]",
        )
    steps = _pair("stride", stride, 1, images, weight)
    spread = _pair("dilation", dilation, 1, images, weight)
    kernel = (weight.shape[2], weight.shape[3])
    extra = (0, 0)
    if padding == "valid":
        padding = 0
    elif padding == "same":
        if steps != (1, 1):
            raise InputError(f"padding is 'same' and stride {steps}{_shapes(images, weight)}", expected="stride 1")
        total = [d * (k - 1) for d, k in zip(spread, kernel)]
        padding, extra = (total[0] // 2, total[1] // 2), (total[0] % 2, total[1] % 2)
    elif isinstance(padding, str):
        raise InputError(f"padding is {padding!r}", expected="numbers, 'same' or 'valid'")
    around = _pair("padding", padding, 0, images, weight)
    return Geometry(kernel, steps, around, spread, groups), extra


def check_convolution(images: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> None:
    """Raise `InputError` unless images, weight and bias fit each other.

    >>> import torch
    >>> geometry = Geometry((3, 3), (1, 1), (0, 0), (1, 1), groups=1)
    >>> check_convolution(torch.zeros(1, 4, 8, 8), torch.zeros(2, 3, 3, 3), None, geometry)
    Traceback (most recent call last):
    backlight.core.errors.InputError: 4 channels arrive and 3 are taken (images [1, 4, 8, 8], weight [2, 3, 3, 3],
    groups 1); expected channels = groups x weight.shape[1]
    """
    groups, shapes = geometry.groups, _shapes(images, weight, geometry.groups)
    if groups < 1 or len(weight) % groups:
        raise InputError(f"{len(weight)} outputs in {groups} groups{shapes}", expected="a divisor")
    if images.shape[1] != weight.shape[1] * groups:
        taken = weight.shape[1] * groups
        raise InputError(
            f"{images.shape[1]} channels arrive and {taken} are taken{shapes}",
            expected="channels = groups x weight.shape[1]",
        )
    if bias is not None and tuple(bias.shape) != (len(weight),):
        raise InputError(f"the bias has shape {list(bias.shape)}{shapes}", expected=f"[{len(weight)}]")
    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and (other.dtype, other.device) != (images.dtype, images.device):
            raise InputError(
                f"images are {images.dtype} on {images.device} and the {name} {other.dtype} on {other.device}" + shapes,
                expected="one dtype and device",
            )
    if min(geometry.output_size((images.shape[2], images.shape[3]))) < 1:
        raise InputError(
            f"the kernel, dilated by {geometry.dilation}, is larger than the images, "
            f"padded by {geometry.padding}{shapes}",
            expected="an output of at least 1x1",
        )


def _pair(name: str, value: int | tuple[int, int], least: int, images: Tensor, weight: Tensor) -> tuple[int, int]:
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) == 1:
        both *= 2
    if len(both) != 2 or min(both) < least:
        raise InputError(f"{name} is {value}{_shapes(images, weight)}", expected=f"at least {least}, one or two")
    return both[0], both[1]


def _shapes(images: Tensor, weight: Tensor, groups: int | None = None) -> str:
    grouped = "" if groups is None else f", groups {groups}"
    return f" (images {list(images.shape)}, weight {list(weight.shape)}{grouped})"
