"""Picture files, which nobody vouches for, to upright 8-bit RGB pictures."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from PIL.ImageFile import ImageFile

from backlight.core.errors import FileError
from backlight.core.reading import open_regular
from backlight.images.budget import DECODING
from backlight.images.flatten import TURNED, as_rgb, require_room
from backlight.images.properties import JPEG_QUALITY, jpeg_quality

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
# What people keep pictures in besides, and the package that reads it: nothing here decodes them.
UNREADABLE = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "pillow-heif"),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"), "rawpy"),
    **dict.fromkeys((".jp2", ".j2k", ".tga", ".psd", ".ico", ".pcx"), "pillow"),
    **dict.fromkeys((".exr", ".hdr"), "imageio"),
    ".jxl": "pillow-jxl-plugin",
    ".svg": "cairosvg",
}
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
PIXEL_LIMIT = 178_956_970  # where PIL itself refuses: twice the pixels of 256 MiB of RGB

_TAG_ORIENTATION = 0x0112
_UPRIGHT = {  # EXIF 2.32, tag Orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUIET = threading.Lock()


def open_picture(path: str | os.PathLike[str], pixel_limit: int = PIXEL_LIMIT, *, keep: int = 0) -> Image.Image:
    """Read a picture file as an upright RGB picture of 8 bits a channel.

    PNG, JPEG, WebP, BMP, GIF (first frame), TIFF, PPM and AVIF; grey, palette, alpha (over white), CMYK and 16-bit
    pixels (scaled, not clipped). `pixel_limit` may lower PIL's own limit of 179 million pixels, not raise it. What
    decoding takes in memory follows from the header and is held against `budget.DECODED_LIMIT`; `keep` is how many
    bytes a pixel the caller will make of the whole picture besides. Both are checked before anything is decoded.

    Raises FileError, one line with the path, for anything that is not a whole picture within the limits.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> Image.new("L", (3, 2), 128).save(path)
    >>> open_picture(path).getpixel((0, 0))
    (128, 128, 128)
    """
    try:
        with open_regular(path, expected="a picture file") as stream:
            return _decode(stream, path, pixel_limit, keep)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from error


def decode_picture(data: bytes, name: object, pixel_limit: int = PIXEL_LIMIT, *, keep: int = 0) -> Image.Image:
    """Read the bytes of a picture file as `open_picture` does; `name` stands for the path in errors.

    Raises FileError for anything that is not a whole picture within the limits.

    >>> buffer = io.BytesIO()
    >>> Image.new("L", (3, 2), 128).save(buffer, "PNG")
    >>> decode_picture(buffer.getvalue(), "row 7").size
    (3, 2)
    """
    return _decode(io.BytesIO(data), name, pixel_limit, keep)


def read_size(data: bytes, name: object, pixel_limit: int = PIXEL_LIMIT) -> tuple[int, int]:
    """Return width and height as the header of a picture file states them; nothing is decoded.

    Raises FileError for what is no picture, and for one with more pixels than `pixel_limit`.

    >>> buffer = io.BytesIO()
    >>> Image.new("L", (3, 2), 128).save(buffer, "PNG")
    >>> read_size(buffer.getvalue(), "row 7")
    (3, 2)
    """
    stream = io.BytesIO(data)
    with _told(stream, name, pixel_limit):
        return _open(stream, name, pixel_limit).size


def _open(stream: BinaryIO, name: object, pixel_limit: int) -> ImageFile:
    with _quiet():
        picture = Image.open(stream, formats=FORMATS)
    width, height = picture.size
    if width * height > pixel_limit:
        raise FileError(name, f"has {width} x {height} pixels", expected=f"at most {pixel_limit:,} pixels")
    return picture


@contextmanager
def _told(stream: BinaryIO, name: object, pixel_limit: int) -> Iterator[None]:
    try:
        yield
    except FileError:
        raise
    except Image.DecompressionBombError as error:
        raise FileError(name, "has far too many pixels", expected=f"at most {pixel_limit:,} pixels") from error
    except Image.UnidentifiedImageError as error:
        raise _unknown(stream, name) from error
    except Exception as error:  # PIL's decoders fail in a dozen ways on hostile bytes; each means the same here
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(name, f"is broken and cannot be decoded ({reason})") from error


def _decode(stream: BinaryIO, name: object, pixel_limit: int, keep: int) -> Image.Image:
    with _told(stream, name, pixel_limit):
        picture = _open(stream, name, pixel_limit)
        DECODING.take(require_room(name, picture, keep))
        picture.load()
        orientation = _orientation(picture)
        if orientation in _UPRIGHT:  # a PNG may tell it behind its pixels
            require_room(name, picture, TURNED)
        rgb = as_rgb(picture, name)
        if picture.format == "JPEG":
            rgb.info[JPEG_QUALITY] = jpeg_quality(getattr(picture, "quantization", {}))
    del picture  # or turning would have three in memory
    return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def _unknown(stream: BinaryIO, name: object) -> FileError:
    """Name the package that reads a picture of another kind, which its suffix or its first bytes tell."""
    stream.seek(0)
    head = stream.read(12)
    suffix = Path(str(name)).suffix.lower()
    if head[4:8] == b"ftyp" and head[8:] in _HEIF_BRANDS:
        suffix = ".heic"
    if suffix not in UNREADABLE:
        return FileError(name, "is not a picture", expected=", ".join(FORMATS))
    hint = f"convert it, for one with the package {UNREADABLE[suffix]}"
    return FileError(
        name,
        f"is not a picture of a kind that is read, but {suffix[1:].upper()}",
        expected=", ".join(FORMATS),
        hint=hint,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    # PIL warns about odd metadata, and warning filters belong to the process: threads take turns here.
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _orientation(picture: Image.Image) -> int:
    # Asked after loading: PNG may keep it behind the pixels, and PIL turns TIFF upright itself while loading.
    try:
        with _quiet():
            return int(picture.getexif().get(_TAG_ORIENTATION, 1))
    except Exception:  # broken metadata must not cost the photograph: it is shown as stored
        return 1
