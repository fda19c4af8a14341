"""Edits of what holds other files: zip (npz, checkpoints), tar, safetensors."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from random import Random

from tools.fuzz.documents import edited
from tools.fuzz.edits import BYTES, Edit
from tools.fuzz.pickles import edit_pickle

_SHAPES = (
    "(0, 10000000000000000000000)",
    "(-1,)",
    "()",
    "(2,)",
    "(2, 8, 8, 3, 1)",
    "(" * 90,
    "[[[",
    "-" * 200,
    "(1e3,)",
)
_TYPES = ("<f8", "|u1", ">i2", "|O", "<U5000000", "|V8", "<M8[s]", "<c8", "|b1", "[('a', '<i4')]", "|S0", "", "?")
_NAMES = (
    "../../escaped",
    "/tmp/escaped",
    "X.npy",
    "y.npy",
    "\0",
    "a" * 300,
    "é",
    "X",
    "archive/data.pkl",
    "x/byteorder",
)
_KINDS = b"0123456789gxLKSNDVMA\0Z"


def edit_zip(data: bytes, random: Random) -> bytes:
    """Change one entry of a zip archive, or its list of entries, and write it anew."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    place = random.randrange(len(entries))
    name, content = entries[place]
    kind = random.randrange(6)
    if kind == 0:
        del entries[place]
    elif kind == 1:
        entries[place] = (random.choice(_NAMES), content)
    elif kind == 2:
        entries.append((random.choice((name, *_NAMES)), content))
    else:
        entries[place] = (name, _edit_of(name)(content, random))
    packed = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    return _zipped(entries, packed)


def edit_zip_flags(data: bytes, random: Random) -> bytes:
    """Change a field of the central list of a zip archive: flags, way of packing, sizes, offsets."""
    start = data.find(b"PK\x01\x02")
    if start < 0:
        return data
    changed = bytearray(data)
    place = start + random.choice((8, 10, 16, 20, 24, 28, 30, 34, 42))
    changed[place : place + 2] = random.choice((b"\1\0", b"\x08\0", b"\xff\xff", b"\x63\0", b"\0\x08", b"\x09\0"))
    return bytes(changed)


def edit_array(data: bytes, random: Random) -> bytes:
    """Change the shape or type in the header of a .npy file."""
    old, _, rest = data.partition(b"\n")
    place = old.find(b"'shape': ")
    kind = random.randrange(3)
    if place < 0 or kind == 2:
        return random.choice(BYTES)(data, random)
    if kind == 0:
        header = old[:place] + b"'shape': " + random.choice(_SHAPES).encode() + b", }"
    else:
        header = b"{'descr': '" + random.choice(_TYPES).encode() + b"', 'fortran_order': False, " + old[place:].strip()
        header = old[:10] + header
    body = header[10:].ljust(118) + b"\n"
    return header[:8] + struct.pack("<H", len(body)) + body + rest


def edit_safetensors(data: bytes, random: Random) -> bytes:
    """Change the header of a safetensors file, which is JSON, and write its length anew."""
    length = int.from_bytes(data[:8], "little")
    text = json.dumps(edited(json.loads(data[8 : 8 + length]), random)).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def edit_tar(data: bytes, random: Random) -> bytes:
    """Change a header of a tar archive, whose sum is written anew."""
    blocks = len(data) // 512
    heads = [start for start in range(0, blocks * 512, 512) if data[start + 257 : start + 262] == b"ustar"]
    start = random.choice(heads)
    head = bytearray(data[start : start + 512])
    kind = random.randrange(5)
    if kind == 0:
        size = random.choice((0, 1, 511, 2**20, 3 * 2**30, 8**11 - 1))
        head[124:136] = b"%011o\0" % size
    elif kind == 1:
        head[124:136] = b"\x80" + (2**62).to_bytes(11, "big")
    elif kind == 2:
        head[156] = random.choice(_KINDS)
    elif kind == 3:
        name = random.choice(("../../escaped.png", "/tmp/escaped.png", "a", "\xff.png", "x" * 99, ".png", "0.cls"))
        head[0:100] = name.encode("latin-1").ljust(100, b"\0")
    else:
        head[random.randrange(512)] = random.randrange(256)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return data[:start] + bytes(head) + data[start + 512 :]


def add_extended(data: bytes, random: Random) -> bytes:
    """Put an extended (PAX) header before a member of a tar archive."""
    records = {
        random.choice(("GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.size", "size", "path", "hdrcharset")): str(
            random.choice(("1", "0,9999999999999", "-5", "x", "9" * 30, "../../escaped", "BINARY"))
        )
        for _ in range(random.randint(1, 3))
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("9.png")
        member.pax_headers = records
        archive.addfile(member)
    added = buffer.getvalue()[: buffer.getvalue().rfind(b"9.png") // 512 * 512 + 512]
    return added + data


def _edit_of(name: str) -> Edit:
    by_suffix: dict[str, Callable[[bytes, Random], bytes]] = {"npy": edit_array, "pkl": edit_pickle}
    return by_suffix.get(name.rpartition(".")[2], lambda data, random: random.choice(BYTES)(data, random))


def _zipped(entries: list[tuple[str, bytes]], packed: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, packed)
    return buffer.getvalue()
