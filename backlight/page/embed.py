"""Pictures as text inside a page: data URIs, in the format that takes the fewest bytes."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from backlight.images import to_picture
from backlight.images.render import colorize

LARGEST = 288
"""Pictures with a longer side are shown reduced, so that a page stays small whatever the model's input is."""

_QUALITY = 82


def exact_uri(image: Tensor) -> str:
    """Embed an image [C,H,W] in [0,1] without loss: reading it back gives the same 8-bit values.

    One with a side above `LARGEST` is reduced, and then not exact.

    >>> exact_uri(torch.zeros(3, 4, 4)).startswith("data:image/")
    True
    """
    picture = to_picture(image.clamp(0, 1))
    if max(picture.size) > LARGEST:
        return _lossy(_reduced(picture, LARGEST))
    return _smallest(_encode(picture, "PNG"), _encode(picture, "WEBP", lossless=True))


def photograph_uri(picture: Image.Image, longest: int = 640) -> str:
    """Embed a photograph, its longer side reduced to `longest` pixels, without EXIF, position or profile.

    >>> len(photograph_uri(Image.new("RGB", (2000, 10)))) < 1000
    True
    """
    return _lossy(_reduced(picture.convert("RGB"), longest))


def layer_uri(values: Tensor, table: str) -> str:
    """Embed a map [H,W] in [0,1] as a colored layer to lie over its image, as `render.overlay` weighs it.

    The layer's alpha is the value, for the table `signed` its distance from 0.5; shown at some opacity it gives
    what `overlay` gives at that opacity.

    >>> layer_uri(torch.rand(4, 4), "heat").startswith("data:image/webp")
    True
    """
    strength = (2 * values - 1).abs() if table == "signed" else values
    layer = torch.cat([colorize(values, table), strength[None]]).clamp(0, 1)
    pixels = (layer * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    picture = _reduced(Image.fromarray(pixels, "RGBA"), LARGEST)
    return _uri("webp", _encode(picture, "WEBP", quality=_QUALITY, alpha_quality=60))


def file_uri(path: str | os.PathLike[str], most_bytes: int) -> str:
    """Embed an animated WebP as its file is, or nothing where it is larger than `most_bytes`.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "a.webp")
    >>> animated = [Image.new("RGB", (4, 4), shade) for shade in ("black", "white")]
    >>> animated[0].save(path, save_all=True, append_images=animated[1:])
    >>> file_uri(path, 10_000)[:21], file_uri(path, 1)
    ('data:image/webp;base6', '')
    """
    data = Path(path).read_bytes()
    return _uri("webp", data) if len(data) <= most_bytes else ""


def _lossy(picture: Image.Image) -> str:
    return _smallest(
        _encode(picture, "JPEG", quality=_QUALITY, optimize=True), _encode(picture, "WEBP", quality=_QUALITY)
    )


def _smallest(*encoded: bytes) -> str:
    best = min(encoded, key=len)
    kind = "png" if best.startswith(b"\x89PNG") else "jpeg" if best.startswith(b"\xff\xd8") else "webp"
    return _uri(kind, best)


def _reduced(picture: Image.Image, longest: int) -> Image.Image:
    scale = longest / max(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3)


def _encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    # Through an array: what PIL keeps beside the pixels (EXIF, position, comments) stays out.
    Image.fromarray(np.asarray(picture)).save(buffer, kind, **options)
    return buffer.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
