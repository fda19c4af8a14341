"""The bytes of one picture: bounded before they are read, their pixels bounded before they are decoded."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.requests import Request

from backlight.core.errors import FileError
from backlight.core.escaping import visible
from backlight.images import read_size

MOST_BYTES, MOST_PIXELS = 20_000_000, 50_000_000
_LONGEST_NAME = 120
_PLAIN = re.compile(r"[^/\\\x00-\x1f\x7f]+")
NAMELESS = "picture.png"


class Refused(Exception):
    """A request that is not done, with the status that says why.

    >>> Refused(413, "too large").status
    413
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


async def read_picture(request: Request) -> bytes:
    """Read the body of a request, which is a picture file.

    Raises Refused with 413 for too many bytes, before they are read where the request says so, or pixels, and with 415
    for what is no picture.
    """
    limit = f"at most {MOST_BYTES // 10**6} MB are taken"
    stated = request.headers.get("content-length", "0")
    if not re.fullmatch("[0-9]{1,12}", stated) or int(stated) > MOST_BYTES:
        raise Refused(413, limit)
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MOST_BYTES:
            raise Refused(413, limit)
    check_picture(bytes(data))
    return bytes(data)


def check_picture(data: bytes) -> None:
    """Raise Refused for bytes whose first ones do not announce a picture that may be decoded.

    >>> check_picture(b"GIF89a")
    Traceback (most recent call last):
    ...
    backlight.app.uploads.Refused: ...
    """
    try:
        width, height = read_size(data, "the picture")
    except FileError as error:
        raise Refused(415, str(error)) from error
    if width * height > MOST_PIXELS:
        raise Refused(413, f"the picture has {width} x {height} pixels; at most {MOST_PIXELS:,} are taken")


def file_name(name: str) -> str:
    """Return a name that a file may have, which is no path: the page's own where that is one, else a plain one.

    >>> file_name("cat.jpg"), file_name("../../etc/passwd"), file_name("<b>.png"), file_name("")
    ('cat.jpg', 'picture.png', '<b>.png', 'picture.png')
    """
    plain = _PLAIN.fullmatch(name) and visible(name) == name and len(name.encode("utf-8", "replace")) <= _LONGEST_NAME
    return name if plain and not name.startswith(".") else NAMELESS


@contextmanager
def own_folder(data: bytes | None, name: str) -> Iterator[tuple[Path, Path]]:
    """Yield the file of a picture and a folder for what is made of it, in a folder that is gone afterwards.

    >>> with own_folder(b"1", "cat.jpg") as (picture, out):
    ...     picture.name, out.exists()
    ('cat.jpg', False)
    """
    with tempfile.TemporaryDirectory(prefix="backlight-app-") as folder:
        given, made = Path(folder) / "given", Path(folder) / "made"
        given.mkdir()
        if data is not None:
            (given / name).write_bytes(data)
        yield given / name, made
