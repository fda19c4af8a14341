"""Files in object stores, by fsspec addresses such as `s3://bucket/a.tar`: listed and read in pieces, never written.

What holds for local files (`core.reading`) holds here too: only whole objects of a known size are read, within limits,
and what goes wrong is one sentence that names the address. An object that is missing or is another one than was listed
is a FileError, which fails what lies in it. A store that refuses or cannot be reached is a DataError, which ends the
work: it says nothing about the pictures, and must not get into results.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backlight.core.errors import BacklightError, DataError, FileError, UsageError
from backlight.core.reading import open_regular

STORES = {"s3": "s3fs", "gs": "gcsfs", "hf": "huggingface-hub", "memory": "fsspec", "file": "fsspec"}
"""The schemes of addresses, and the package that each needs besides fsspec."""

PIECE = 2**20
"""How many bytes are asked for at once."""

_VERSIONS = ("etag", "ETag", "generation", "version_id", "VersionId", "blob_id", "md5Hash")
_REFUSED = ("credential", "forbidden", "unauthorized", "access denied", "accessdenied", "anonymous caller")


@dataclass(frozen=True)
class RemoteFile:
    """An object of a store: its address, its size in bytes, and what the store says to tell it from an earlier one.

    >>> RemoteFile("s3://bucket/train-000.tar", 10_240, "9a0364b9e99bb480dd25e1f0284c8555").stem
    'train-000'
    """

    url: str
    size: int
    version: str = ""

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """Return the last part of the address."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def stem(self) -> str:
        """Return the name without its suffix."""
        return Path(self.name).stem

    @property
    def parent(self) -> str:
        """Return the address of the folder."""
        return self.url.rsplit("/", 1)[0]

    def open(self) -> io.BufferedReader:
        """Return a stream that reads ahead by a piece; it may be moved in."""
        return io.BufferedReader(_Stream(self), PIECE)

    def read(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start`, in one request.

        Raises FileError where the object is missing or another one by now, and DataError where the store refuses or
        cannot be reached.
        """
        if not 0 <= start <= start + size <= self.size:
            raise FileError(self.url, f"has {self.size:,} bytes, not {start + size:,}")
        if not size:
            return b""
        store, path = _store(self.url)
        try:
            found = bytes(store.cat_file(path, start=start, end=start + size))
        except Exception as error:  # every store has kinds of its own
            raise _told(self.url, error) from None
        if len(found) != size:
            raise FileError(
                self.url, f"gave {len(found):,} of {size:,} bytes", expected="the object that was listed, unchanged"
            )
        return found


Stored = Path | RemoteFile
"""A file to read from: on this machine, or in a store."""


def open_stored(file: Stored, *, expected: str = "a file") -> io.BufferedReader:
    """Open a file for reading, wherever it lies; raises as `open_regular` and `RemoteFile.read` do.

    >>> open_stored(Path("nowhere.tar"))
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: nowhere.tar: does not exist; expected a file
    """
    return file.open() if isinstance(file, RemoteFile) else open_regular(file, expected=expected)


def list_remote(url: str) -> tuple[list[RemoteFile], list[str]]:
    """List an object alone, or the objects of a folder with the names of the folders in it; nothing is read.

    Raises UsageError where a package is missing, FileError where nothing is there, DataError where the store refuses
    or cannot be reached.

    >>> list_remote("memory://nowhere")
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: memory://nowhere: does not exist
    """
    store, path = _store(url)
    scheme = url.partition("://")[0]
    try:
        # What was listed minutes ago, by whoever shares this process, may be gone.
        store.invalidate_cache()
        about = store.info(path)
        entries = store.ls(path, detail=True) if about["type"] == "directory" else [about]
    except Exception as error:  # every store has kinds of its own
        raise _told(url, error) from None
    if about["type"] not in ("file", "directory"):
        raise FileError(url, "is not a regular file")
    objects, folders = [], []
    for entry in entries:
        path = str(entry["name"]).removeprefix(f"{scheme}://").lstrip("/")
        place = f"{scheme}:///{path}" if scheme == "file" else f"{scheme}://{path}"
        if entry["type"] == "directory":
            folders.append(place.rstrip("/").rsplit("/", 1)[-1])
        elif entry["type"] == "file":
            objects.append(RemoteFile(place, _size(place, entry), _version(entry)))
    return sorted(objects, key=lambda one: one.url), sorted(folders)


def _size(url: str, entry: dict[str, Any]) -> int:
    size = entry.get("size")
    if not isinstance(size, int) or size < 0:
        raise FileError(url, "has no size that its store tells")
    return size


def _version(entry: dict[str, Any]) -> str:
    """Return what the store tells of an object's content, nothing where that is only a size or a time."""
    return next((str(entry[key]).strip('"') for key in _VERSIONS if entry.get(key)), "")


def _store(url: str) -> tuple[Any, str]:
    """Return the file system of an address and the path in it."""
    scheme, _, path = url.partition("://")
    package = STORES[scheme]
    hint = "pip install 'backlight[fsspec]'" + ("" if package == "fsspec" else f" {package}")
    try:
        import fsspec
    except ImportError:
        raise UsageError(f"{scheme}:// needs the package fsspec", hint=hint) from None
    try:
        return fsspec.filesystem(scheme), f"/{path.lstrip('/')}" if scheme in ("memory", "file") else path
    except ImportError:
        raise UsageError(f"{scheme}:// needs the package {package}", hint=hint) from None
    except Exception as error:  # settings of the environment that its maker does not understand
        raise _told(url, error) from None


def _told(url: str, error: Exception) -> BacklightError:
    """Say in one sentence what a store raised."""
    if isinstance(error, BacklightError):
        return error
    if isinstance(error, FileNotFoundError):
        return FileError(url, "does not exist")
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")
    if isinstance(error, PermissionError) or any(word in reason.casefold() for word in _REFUSED):
        scheme = url.partition("://")[0]
        anonymous = "" if scheme not in ("s3", "gs") else ": those of its own tools, or none for public objects, as in "
        setting = {"s3": "FSSPEC_S3_ANON=true", "gs": "FSSPEC_GS_TOKEN=anon"}.get(scheme, "")
        return DataError(f"{url}: may not be read ({reason})", expected=f"credentials{anonymous}{setting}")
    return DataError(
        f"{url}: cannot be read ({reason})", expected="a store that answers", hint="the same command again"
    )


class _Stream(io.RawIOBase):
    """The bytes of an object as a stream that may be moved in."""

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._place = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = max(0, offset + (0, self._place, self._file.size)[whence])
        return self._place

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._file.size - self._place))
        buffer[:count] = self._file.read(self._place, count) if count else b""
        self._place += count
        return count
