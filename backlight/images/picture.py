"""Picture files and [0,1] tensors: the one place where one becomes the other."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from backlight.core.atomic import atomic
from backlight.core.errors import InputError
from backlight.images.decode import open_picture
from backlight.images.flatten import bands
from backlight.images.resize import CropBox, Resize

_OUTSIDE = 1e-4  # how far float noise may leave [0,1]
_NOISE = 1e-4  # in 8-bit levels: k / 255 * 255 differs from k by less in float32


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture file at a model's input size, and where that crop lies on the whole photograph.

    `image` is float32 [C,H,W] in [0,1], `box` in the photograph's pixels, `full_size` its (height, width).

    >>> Picture(Path("cat.jpg"), torch.zeros(3, 224, 224), CropBox(0, 0, 224, 224), (224, 224)).full_size
    (224, 224)
    """

    path: Path
    image: Tensor = field(repr=False)
    box: CropBox
    full_size: tuple[int, int]


def read_image(path: str | os.PathLike[str], resize: Resize, channels: int = 3) -> Picture:
    """Read a picture file, resize it by the model's rule and make it a tensor.

    Raises FileError as `open_picture` does, InputError for channels other than 1 and 3.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> Image.new("L", (64, 32), 255).save(path)
    >>> picture = read_image(path, Resize(None, (16, 16)))
    >>> picture.image.shape, picture.box
    (torch.Size([3, 16, 16]), CropBox(left=16.0, top=0.0, right=48.0, bottom=32.0))
    """
    return read_photograph(path, resize, channels).picture


class Photograph(NamedTuple):
    """A picture file decoded once: at a model's input size, and whole."""

    picture: Picture
    whole: Image.Image


def read_photograph(path: str | os.PathLike[str], resize: Resize, channels: int = 3) -> Photograph:
    """Read a picture file as `read_image` does, and keep the whole photograph beside it. Raises as it does."""
    full = open_picture(path)
    crop, box = resize.resize(full)
    return Photograph(Picture(Path(path), to_tensor(crop, channels), box, (full.height, full.width)), full)


def to_tensor(picture: Image.Image, channels: int = 3) -> Tensor:
    """Make a picture a float32 tensor [C,H,W] in [0,1]: three channels are RGB, one is luminance (ITU-R 601).

    Raises InputError for any other number of channels: no rule says what a fourth one would hold.

    >>> to_tensor(Image.new("RGB", (2, 1), (255, 0, 51)))[:, 0, 0]
    tensor([1.0000, 0.0000, 0.2000])
    """
    return to_floats(_planes(picture, channels))


def to_levels(picture: Image.Image, channels: int = 3) -> Tensor:
    """Make a picture a uint8 tensor [C,H,W] as `to_tensor` does, before it becomes floats.

    Raises InputError for channels other than 1 and 3.

    >>> to_levels(Image.new("RGB", (2, 1), (255, 0, 51)))[:, 0, 0]
    tensor([255,   0,  51], dtype=torch.uint8)
    """
    _check_channels(channels)
    levels = np.empty((channels, picture.height, picture.width), np.uint8)
    for box in bands(picture.size):  # never the whole picture a third time
        part = picture if box == (0, 0, *picture.size) else picture.crop(box)
        for channel, plane in zip(levels, _in_mode(part, channels).split()):
            channel[box[1] : box[3]] = np.asarray(plane)
    return torch.from_numpy(levels)


def to_floats(levels: Tensor) -> Tensor:
    """Turn levels 0 to 255 into [0,1]: the one quotient by which every picture becomes floats.

    >>> to_floats(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    values = levels if levels.is_floating_point() else levels.float()
    # A plain `/ 255` multiplies by the reciprocal on CUDA, which gives other last bits than on the CPU.
    return values / torch.full((), 255.0, dtype=values.dtype, device=values.device)


def _planes(picture: Image.Image, channels: int) -> Tensor:
    _check_channels(channels)
    values = np.array(_in_mode(picture, channels))
    return torch.from_numpy(values).reshape(picture.height, picture.width, channels).permute(2, 0, 1)


def _in_mode(picture: Image.Image, channels: int) -> Image.Image:
    mode = "L" if channels == 1 else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _check_channels(channels: int) -> None:
    if channels not in (1, 3):
        raise InputError(f"pictures with {channels} channels are asked for", expected="1 (grey) or 3 (RGB)")


def to_picture(image: Tensor) -> Image.Image:
    """Make a tensor [3,H,W], [1,H,W] or [H,W] in [0,1] a PIL picture of 8 bits a channel, half to even.

    Raises InputError for other shapes, for values that are not finite and for values outside of [0,1].

    >>> to_picture(torch.full((3, 1, 2), 0.2)).getpixel((0, 0))
    (51, 51, 51)
    """
    values = image.detach().to("cpu", torch.promote_types(image.dtype, torch.float32))
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    if values.numel() == 0 or not (values.ndim == 2 or (values.ndim == 3 and values.shape[0] == 3)):
        raise InputError(f"a picture of shape {list(image.shape)}", expected="[3,H,W], [1,H,W] or [H,W]")
    if not bool(torch.isfinite(values).all()):
        raise InputError("the picture has values that are not finite", expected="values in [0,1]")
    low, high = float(values.min()), float(values.max())
    if low < -_OUTSIDE or high > 1 + _OUTSIDE:
        raise InputError(f"the picture's values lie in {low:.3g}..{high:.3g}", expected="values in [0,1]")
    levels = (values.clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray((levels if levels.ndim == 2 else levels.permute(1, 2, 0)).contiguous().numpy())


def round_to_8bit(image: Tensor, original: Tensor | None = None) -> Tensor:
    """Round values in [0,1] to multiples of 1/255, exactly those that `to_tensor` reads back from a file.

    Without `original` to the nearest, half to even; with it towards the original, so that no value moves away
    from it and a picture inside a ball around the original stays inside. Where the original itself is no
    multiple of 1/255 and lies between the value and the next one, the one nearest to the original is taken.

    Raises InputError when the shapes differ.

    >>> original = torch.tensor([100 / 255, 100 / 255])
    >>> (round_to_8bit(original + torch.tensor([0.9, -2.9]) / 255, original) * 255).round()
    tensor([100.,  98.])
    """
    levels = image * 255
    nearest = levels.round()
    if original is None:
        return to_floats(nearest.clamp(0, 255))
    if original.shape != image.shape:
        raise InputError(f"the original has shape {list(original.shape)}", expected=str(list(image.shape)))
    center = original * 255
    inward = torch.where(levels > center, levels.floor(), levels.ceil())
    passed = (inward - center) * (levels - center) <= 0
    inward = torch.where(passed, center.round(), inward)
    on_lattice = (levels - nearest).abs() < _NOISE
    return to_floats(torch.where(on_lattice, nearest, inward).clamp(0, 255))


def write_png(path: str | os.PathLike[str], image: Tensor | Image.Image) -> None:
    """Write a tensor as `to_picture` takes it, or a PIL picture, as a PNG without EXIF and profile.

    The file is written atomically. Raises FileError when it cannot be, InputError as `to_picture` does.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "red.png"
    >>> write_png(path, torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1))
    >>> open_picture(path).getpixel((0, 0))
    (255, 0, 0)
    """
    picture = to_picture(image) if isinstance(image, Tensor) else image
    pixels = np.asarray(picture if picture.mode == "L" else picture.convert("RGB"))
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
