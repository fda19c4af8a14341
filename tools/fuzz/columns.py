"""Edits of Parquet: numbers of its footer and of the heads of pages, which say how many rows and bytes there are."""

from __future__ import annotations

from random import Random

_MAGIC, _LENGTH = b"PAR1", 4
_ENDLESS = b"\xfe" + b"\xff" * 3 + b"\x0f"  # 2**31 - 1, as Thrift writes it: seven bits a byte, signs in the lowest
_NUMBERS = (b"\x00", b"\x01", b"\x02", b"\x7f", _ENDLESS, b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x02")


def edit_parquet(data: bytes, random: Random) -> bytes:
    """Change a number of the footer, whose length is set to what it then is, or near the head of a page."""
    length = int.from_bytes(data[-len(_MAGIC) - _LENGTH : -len(_MAGIC)], "little")
    start = len(data) - len(_MAGIC) - _LENGTH - length
    body, footer = data[:start], data[start : start + length]
    if start <= len(_MAGIC) or not data.endswith(_MAGIC):
        return data
    if random.random() < 0.7:
        footer = _renumbered(footer, random)
    else:
        body = _renumbered(body, random)
    return body + footer + len(footer).to_bytes(_LENGTH, "little") + _MAGIC


def _renumbered(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data))
    return data[:place] + random.choice(_NUMBERS) + data[place + 1 :]
