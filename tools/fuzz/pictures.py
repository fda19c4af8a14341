"""Edits of picture files: sizes in their headers, with the sums that belong to them written anew."""

from __future__ import annotations

import struct
import zlib
from random import Random

_SIDES = (0, 1, 7, 255, 4096, 13377, 65535, 2**24, 2**31 - 1, 2**32 - 1)


def edit_png(data: bytes, random: Random) -> bytes:
    """Change the contents of a chunk of a PNG, drop or repeat one; its sum is right again."""
    chunks = list(_chunks(data))
    place = random.randrange(len(chunks))
    name, body = chunks[place]
    kind = random.randrange(4)
    if name == b"IHDR" and len(body) == 13:
        width, height, *rest = struct.unpack(">IIBBBBB", body)
        rest[random.randrange(5)] = random.choice((0, 1, 2, 3, 4, 6, 8, 16))
        sides = random.choice(((width, height), (random.choice(_SIDES), random.choice(_SIDES))))
        chunks[place] = (name, struct.pack(">IIBBBBB", *sides, *rest))
    elif kind == 0:
        del chunks[place]
    elif kind == 1:
        chunks.insert(place, (random.choice((b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"zTXt", b"acTL", b"fdAT")), body))
    elif kind == 2:
        chunks[place:place] = [(name, body)] * random.choice((1, 2, 500))
    elif body:
        spot = random.randrange(len(body))
        chunks[place] = (name, body[:spot] + random.randbytes(1) + body[spot + 1 :])
    return data[:8] + b"".join(_chunk(*one) for one in chunks)


def edit_jpeg(data: bytes, random: Random) -> bytes:
    """Change the size in the frame header of a JPEG, or the length of a segment."""
    changed = bytearray(data)
    for marker in random.sample((b"\xff\xc0", b"\xff\xc4", b"\xff\xdb", b"\xff\xda", b"\xff\xe1", b"\xff\xdd"), 6):
        start = data.find(marker)
        if start < 0:
            continue
        offset = random.choice((5, 7)) if marker == b"\xff\xc0" else 2
        changed[start + offset : start + offset + 2] = random.choice(_SIDES[:7]).to_bytes(2, "big")
        break
    return bytes(changed)


def bomb_png(width: int, height: int, kind: int = 6, depth: int = 8) -> bytes:
    """Return a whole PNG of one color that unpacks to width x height pixels; `kind` 6 is RGBA, 0 grey."""
    row = b"\0" * (1 + width * depth * {0: 1, 2: 3, 6: 4}[kind] // 8)
    packer = zlib.compressobj(9)
    packed = [packer.compress(row * 64) for _ in range(height // 64)]
    packed += [packer.compress(row * (height % 64)), packer.flush()]
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", b"".join(packed)) + _chunk(b"IEND", b"")


def _chunks(data: bytes):  # noqa: ANN202 - of (name, body)
    place = 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
