"""What a loader is given: files by name, some of which are no files at all."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STANDS = ("pipe", "folder", "nothing", "loop", "zero", "null", "socket")


@dataclass(frozen=True)
class Stand:
    """What stands in place of a file: a pipe, a folder, a socket, or a link to nothing, itself or a device."""

    kind: str

    def make(self, path: Path) -> None:
        """Make it at a path."""
        if self.kind == "pipe":
            os.mkfifo(path)
        elif self.kind == "folder":
            path.mkdir()
        elif self.kind == "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)  # the names of sockets are short: made in the working folder, and moved
            Path(path.name).rename(path)
        else:
            path.symlink_to(
                {"nothing": "no-such-file", "loop": path.name, "zero": "/dev/zero", "null": "/dev/null"}[self.kind]
            )


Content = bytes | Stand
Files = Mapping[str, Content]


def lay_out(files: Files, folder: Path) -> None:
    """Write files into a folder; names may hold any byte that the file system allows."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Stand):
            content.make(path)
        else:
            path.write_bytes(content)


def read_in(folder: Path) -> dict[str, bytes]:
    """Read the regular files below a folder by name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def written(write: Callable[[Any], object]) -> bytes:
    """Return what a function writes into a file."""
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()
