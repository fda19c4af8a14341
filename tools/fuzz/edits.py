"""Edits that know nothing of a format: bytes flipped, cut, doubled, spliced, and numbers made odd."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

Edit = Callable[[bytes, Random], bytes]

_WIDTHS = (1, 2, 4, 8)
_NUMBERS = ("0", "-1", "-0", "1e400", "nan", "inf", "2147483648", "9" * 19, "9" * 400, "9" * 5000, "1/0", "0x10", "²")
_ODD = (
    *("", " ", "\0", "\n", "\r", "\t", '"', "'", ",", ";", ":", "=", "/", "\\", "..", "~", "@", "%s", "{}", "-"),
    *("é", "e\u0301", "\u202e", "\u2028", "\ufeff", "\U0001f600", "²", "٣", "İ", "\x1b[2J", "<script>", "A" * 5000),
)


def flip_bits(data: bytes, random: Random) -> bytes:
    """Flip some bits."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def set_number(data: bytes, random: Random) -> bytes:
    """Overwrite one, two, four or eight bytes by an odd number, mostly near the beginning or the end."""
    width = random.choice(_WIDTHS)
    if len(data) < width:
        return data
    near = min(len(data) - width, random.choice((64, 512, len(data))))
    start = random.randint(0, near) if random.random() < 0.7 else len(data) - width - random.randint(0, near)
    top = 1 << 8 * width
    number = random.choice((0, 1, top - 1, top // 2, top // 2 - 1, random.randrange(top), 2**16 % top, 2**31 % top))
    return data[:start] + number.to_bytes(width, random.choice(("little", "big"))) + data[start + width :]


def cut(data: bytes, random: Random) -> bytes:
    """Keep the beginning."""
    return data[: random.randrange(len(data) + 1)]


def drop(data: bytes, random: Random) -> bytes:
    """Leave a piece out."""
    start, end = _piece(data, random)
    return data[:start] + data[end:]


def double(data: bytes, random: Random) -> bytes:
    """Repeat a piece, at times very often."""
    start, end = _piece(data, random)
    times = min(random.choice((1, 2, 10, 1000)), 2**20 // max(1, end - start))
    return data[:end] + data[start:end] * times + data[end:]


def insert(data: bytes, random: Random) -> bytes:
    """Put random bytes somewhere."""
    place = random.randrange(len(data) + 1)
    return data[:place] + random.randbytes(random.choice((1, 4, 100))) + data[place:]


def move(data: bytes, random: Random) -> bytes:
    """Write a piece over another place."""
    start, end = _piece(data, random)
    place = random.randrange(len(data) + 1)
    return data[:place] + data[start:end] + data[place + end - start :]


def splice(data: bytes, other: bytes, random: Random) -> bytes:
    """Join the beginning of one file and the end of another."""
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def change_number(data: bytes, random: Random) -> bytes:
    """Replace a number that is written in digits."""
    return _replaced(data, rb"-?\d+(\.\d+)?", random.choice(_NUMBERS).encode(), random)


def change_word(data: bytes, random: Random) -> bytes:
    """Replace a word by another of the file, or by something odd."""
    words = re.findall(rb"[^\W\d]\w*", data) or [b""]
    new = random.choice(words) if random.random() < 0.5 else random.choice(_ODD).encode()
    return _replaced(data, rb"[^\W\d]\w*", new, random)


def change_mark(data: bytes, random: Random) -> bytes:
    """Replace a punctuation mark, or put something odd beside it."""
    new = random.choice(_ODD).encode()
    return _replaced(data, rb"[^\w\s]", new, random) if random.random() < 0.5 else _put(data, new, random)


BYTES: tuple[Edit, ...] = (flip_bits, set_number, cut, drop, double, insert, move)
TEXT: tuple[Edit, ...] = (change_number, change_word, change_mark, cut, drop, double)


def _piece(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 4, 16, 256, len(data))))


def _put(data: bytes, new: bytes, random: Random) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + new + data[place:]


def _replaced(data: bytes, pattern: bytes, new: bytes, random: Random) -> bytes:
    found = list(re.finditer(pattern, data))
    if not found:
        return _put(data, new, random)
    one = random.choice(found)
    return data[: one.start()] + new + data[one.end() :]
