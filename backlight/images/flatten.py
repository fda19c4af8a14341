"""Decoded pictures of any mode to RGB, band by band, and what that takes in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from backlight.core.errors import FileError
from backlight.images.budget import DECODED_LIMIT

TURNED = 4  # bytes a pixel of a second RGB picture
_RGB = 4  # PIL pads RGB to four
_BAND = 2**20  # pixels
_STORED = {"1": 1, "L": 1, "P": 1, "LA": 4, "PA": 4, "La": 4, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
# What decoders hold beside the picture, in bytes a pixel: whole frames, planes or strips.
_DECODERS = {"WEBP": 12, "AVIF": 8, "TIFF": 4, "GIF": 2}


def require_room(name: object, picture: Image.Image, keep: int = 0) -> int:
    """Return how many bytes decoding a picture takes at most, by its header; raises FileError above the limit.

    `keep` is how many bytes a pixel are made of the RGB picture afterwards.

    >>> require_room("grey.png", Image.new("L", (100, 100)))
    50000
    """
    stored = _STORED.get(picture.mode, 4)
    plain = picture.mode == "RGB" and not picture.has_transparency_data
    converted = stored if plain else stored + _RGB
    needed = picture.width * picture.height * max(stored + _decoder(picture), converted, _RGB + keep)
    if needed > DECODED_LIMIT:
        raise FileError(
            name,
            f"has {picture.width} x {picture.height} pixels, which take {needed >> 20} MiB decoded",
            expected=f"at most {DECODED_LIMIT >> 20} MiB",
            hint="make it smaller",
        )
    return needed


def _decoder(picture: Image.Image) -> int:
    """Return the bytes a pixel that the decoder of a format holds, at most."""
    if picture.format == "JPEG" and picture.info.get("progressive"):
        # All coefficients of 16 bits, of which subsampled planes have fewer.
        sampling = [across * down for _, across, down, _ in getattr(picture, "layer", ())]
        return math.ceil(2 * sum(sampling) / max(sampling, default=1))
    return _DECODERS.get(picture.format or "", 0)


def as_rgb(picture: Image.Image, name: object) -> Image.Image:
    """Return a decoded picture as RGB of 8 bits a channel, alpha over white; raises FileError for 32-bit pixels."""
    grey_16 = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PPM")
    if picture.mode in ("I", "F") and not grey_16:
        raise FileError(name, f"has 32-bit pixels (mode {picture.mode})", expected="8 or 16 bits a channel")
    if picture.mode == "RGB" and not picture.has_transparency_data:
        return picture
    transparent = picture.info.get("transparency")
    rgb = Image.new("RGB", picture.size)
    for box in bands(picture.size):
        band = picture.crop(box)
        rgb.paste(_from_16_bit(band, transparent) if grey_16 else _over_white(band), box)
    return rgb


def bands(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes of a picture's bands, from the top, each of at most a million pixels or one row.

    >>> list(bands((2**20, 2)))
    [(0, 0, 1048576, 1), (0, 1, 1048576, 2)]
    """
    width, height = size
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(height, top + rows)


def _over_white(band: Image.Image) -> Image.Image:
    if not band.has_transparency_data:
        return band.convert("RGB")
    rgba = band.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _from_16_bit(band: Image.Image, transparent: object) -> Image.Image:
    values = np.asarray(band).astype(np.uint32)
    grey = ((values + 128) // 257).astype(np.uint8)  # the nearest of v / 65535 * 255
    if transparent is not None:
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")
