"""The one door to files that nobody vouches for: regular ones only, within limits that are known beforehand.

Whatever reads a file that a person named goes through here, so that a pipe, a device, an endless or an enormous file
ends in one sentence with its path, never in a hang or a traceback.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import re
import stat
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from backlight.core.errors import FileError
from backlight.core.schema import Schema, require

ZIP_ERRORS: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(OSError, ValueError, EOFError, NotImplementedError, RuntimeError),
)
"""What Python's reader of zip archives raises for a damaged, truncated, encrypted or too new one."""

TEXT_LIMIT = 256 * 2**20
JSON_LIMIT = 64 * 2**20
TOML_LIMIT = 2**20
_SMALL, _GROWTH = 128 * 2**20, 20  # of an unpacked file: what always fits, and how often its size on disk
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

Name = str | os.PathLike[str]


def open_regular(path: Name, *, limit: int | None = None, expected: str = "a file") -> io.BufferedReader:
    """Open a regular file of at most `limit` bytes for reading; links are followed.

    A pipe or a device is never waited for: it is opened without blocking, and what was opened is what is checked.

    Raises FileError for anything else, and where the file cannot be read.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> open_regular(folder)
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: ...: is a folder; expected a file
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_WAIT)
    except FileNotFoundError:
        raise FileError(path, "does not exist", expected=expected) from None
    except (OSError, ValueError) as error:  # a zero byte in the name is a ValueError
        raise FileError(path, f"cannot be read: {_reason(error)}", expected=expected) from None
    found = os.fstat(descriptor)
    why = ""
    if stat.S_ISDIR(found.st_mode):
        why = "is a folder"
    elif not stat.S_ISREG(found.st_mode):
        why = "is not a regular file"
    elif limit is not None and found.st_size > limit:
        why = f"is larger than {limit >> 20} MiB" if limit >= 2**20 else f"is larger than {limit} bytes"
    if why:
        os.close(descriptor)
        raise FileError(path, why, expected=expected)
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Name, *, limit: int, expected: str = "a file") -> bytes:
    """Read a whole regular file of at most `limit` bytes; raises FileError as `open_regular` does.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "a.bin"
    >>> _ = path.write_bytes(b"12345")
    >>> read_bytes(path, limit=4)
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: ...: is larger than 4 bytes; expected a file
    """
    try:
        with open_regular(path, limit=limit, expected=expected) as stream:
            # A file that grows while it is read is cut: its first bytes are within the limit all the same.
            return stream.read(limit)
    except OSError as error:
        raise FileError(path, f"cannot be read: {_reason(error)}", expected=expected) from None


def read_text(path: Name, *, limit: int = TEXT_LIMIT, expected: str = "text in UTF-8") -> str:
    """Read a regular file as UTF-8, with or without a byte order mark; raises FileError as `open_regular` does.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> _ = path.write_bytes("é".encode("latin-1"))
    >>> read_text(path)
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: ...: is not a text file; expected text in UTF-8
    """
    try:
        return read_bytes(path, limit=limit, expected=expected).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(path, "is not a text file", expected=expected) from None


def read_names(path: Name, *, limit: int = TEXT_LIMIT, expected: str = "names of files") -> str:
    r"""Read text that names files: as `read_text`, but bytes that are no UTF-8 stand as `os.fsdecode` has them.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "list.txt"
    >>> _ = path.write_bytes(b"caf\xe9.png cat")
    >>> read_names(path)
    'caf\udce9.png cat'
    """
    found = read_bytes(path, limit=limit, expected=expected)
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError:
        if b"\0" in found:  # no name holds one, and every picture and archive does
            raise FileError(path, "is not a text file", expected=expected) from None
        return found.decode("utf-8-sig", "surrogateescape")


def read_json(path: Name, schema: Schema | None = None, *, limit: int = JSON_LIMIT, expected: str = "JSON") -> Any:
    """Read a JSON document, and hold it against a schema.

    Raises FileError for what is no JSON, too large or too deeply nested, and for a value that does not fit, which is
    named with its place, what was found and what is expected.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from backlight.core.schema import record, whole
    >>> path = Path(tempfile.mkdtemp()) / "a.json"
    >>> _ = path.write_text('{"step": -5}')
    >>> read_json(path, record({"step": whole()}))
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: ...: step is -5; expected a whole number from 0
    """
    return parse_json(read_text(path, limit=limit, expected=expected), path, schema, expected=expected)


def parse_json(text: str | bytes, name: Name, schema: Schema | None = None, *, expected: str = "JSON") -> Any:
    """Parse JSON that stood in the file `name`; raises FileError as `read_json` does.

    >>> parse_json('{"std": 1}', "net.onnx")
    {'std': 1}
    """
    return _parsed(text, _loaded, name, schema, "JSON", expected)


def read_toml(path: Name, schema: Schema | None = None, *, limit: int = TOML_LIMIT, expected: str = "TOML") -> Any:
    """Read a TOML document, and hold it against a schema; raises FileError as `read_json` does.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from backlight.core.schema import number, record
    >>> path = Path(tempfile.mkdtemp()) / "a.toml"
    >>> _ = path.write_text("least = 'much'")
    >>> read_toml(path, record({"least": number()}))
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: ...: least is 'much'; expected a number
    """
    return _parsed(read_text(path, limit=limit, expected=expected), tomllib.loads, path, schema, "TOML", expected)


def _loaded(text: str | bytes) -> Any:
    value = json.loads(text)
    if _ESCAPED_SURROGATE.search(text if isinstance(text, str) else text.decode()):
        # Half of a pair is no text, but where it stands for a byte of a file's name.
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    return value


def _parsed(text: Any, parse: Callable[[Any], Any], name: Name, schema: Schema | None, kind: str, expected: str) -> Any:
    try:
        value = parse(text)
    except RecursionError:
        raise FileError(name, "is too deeply nested", expected=expected) from None
    except ValueError as error:
        raise FileError(name, f"cannot be read as {kind} ({error})", expected=expected) from None
    if schema is not None:
        require(name, value, schema)
    return value


def read_json_lines(
    path: Name, schema: Schema, *, limit: int = TEXT_LIMIT, expected: str = "lines of JSON"
) -> list[Any]:
    """Read a file with a JSON document on each line; a last line that was cut off in the middle is left out.

    Raises FileError as `read_json` does, with the number of the line.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from backlight.core.schema import record, whole
    >>> path = Path(tempfile.mkdtemp()) / "log.jsonl"
    >>> _ = path.write_text('{"step": 9}\\n{"st')
    >>> read_json_lines(path, record({"step": whole()}))
    [{'step': 9}]
    """
    *whole, last = read_text(path, limit=limit, expected=expected).split("\n")
    with suppress(FileError):
        parse_json(last, path)
        whole.append(last)
    return [parse_json(one, f"{path}: line {number}", schema, expected=expected) for number, one in enumerate(whole, 1)]


def digest(path: Name, kind: str, *, expected: str = "a file") -> str:
    """Hash a regular file's bytes, as `hashlib.file_digest` does; raises FileError as `open_regular` does.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "a.bin"
    >>> _ = path.write_bytes(b"12345")
    >>> digest(path, "md5")
    '827ccb0eea8a706c4c34a16891f84e7b'
    """
    try:
        with open_regular(path, expected=expected) as stream:
            return hashlib.file_digest(stream, kind).hexdigest()
    except OSError as error:
        raise FileError(path, f"cannot be read: {_reason(error)}", expected=expected) from None


def unpack_limit(stored: int) -> int:
    """Return how many bytes a compressed file of `stored` bytes may unpack to: 128 MiB, and 20 times its own size.

    Pictures compress by less; a file that claims more is made to fill memory.

    >>> unpack_limit(2**20) >> 20
    148
    """
    return _SMALL + _GROWTH * stored


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
