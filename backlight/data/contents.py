"""Where the samples of archives in stores lie, kept on this machine: to learn it takes reading all of an archive.

Only for objects that their store tells from an earlier one (by an ETag or generation). What is kept decides about time
alone: a damaged or absent file is made anew.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from backlight.core.errors import FileError
from backlight.core.files import write_text
from backlight.core.fingerprint import fingerprint
from backlight.core.reading import read_json
from backlight.core.remote import RemoteFile
from backlight.core.schema import array, either, nullable, record, text, whole

Row = tuple[str, int, int, str | int | None]
"""Key, start and size in bytes, label of a sample."""

FOLDER = "BACKLIGHT_CACHE"
"""The variable of the environment that names the folder; empty for none."""

_LABEL = nullable(either(text(), whole(-(2**63))))
_KEPT = record(
    {
        "archive": text(),
        "keys": array(text()),
        "starts": array(whole(0)),
        "sizes": array(whole(0)),
        "labels": array(_LABEL),
    }
)


def kept_rows(file: RemoteFile) -> list[Row] | None:
    """Return the samples of an archive that was read before, None where it was not.

    >>> kept_rows(RemoteFile("memory://a.tar", 10_240)) is None
    True
    """
    path = _path(file)
    if path is None:
        return None
    try:
        found = read_json(path, _KEPT)
        rows = list(zip(found["keys"], found["starts"], found["sizes"], found["labels"], strict=True))
    except (FileError, ValueError):  # not kept, or not as it was written
        return None
    inside = all(start + size <= file.size for _, start, size, _ in rows)
    return rows if inside and found["archive"] == str(file) else None


def keep_rows(file: RemoteFile, rows: list[Row]) -> None:
    """Keep the samples of an archive, where its store tells it from others and the folder may be written to."""
    path = _path(file)
    if path is None:
        return
    keys, starts, sizes, labels = zip(*rows, strict=True)
    told = {"archive": str(file), "keys": keys, "starts": starts, "sizes": sizes, "labels": labels}
    with suppress(FileError, OSError):  # without it the archive is read again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(told, separators=(",", ":")))


def _path(file: RemoteFile) -> Path | None:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.environ.get(FOLDER, os.path.join(cache, "backlight"))
    if not (folder and file.version):
        return None
    return Path(folder) / "archives" / f"{fingerprint((file.url, file.version, file.size))}.json"
