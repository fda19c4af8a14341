"""Edits of pickles: operations that name functions, numbers out of range, objects that hold themselves."""

from __future__ import annotations

import pickle
import pickletools
from random import Random

MARKER = "touch ../executed"
"""What a hostile pickle would run: a file outside of the scratch folder, which nothing else makes."""

_CALLS = (
    b"cos\nsystem\nX" + len(MARKER).to_bytes(4, "little") + MARKER.encode() + b"\x85R",
    b"cbuiltins\neval\nX\x01\x00\x00\x00" + b"1\x85R",
    b"ctorch.serialization\nload\nX\x04\x00\x00\x00/etc\x85R",
    b"cnumpy\nfromfile\n(X\x09\x00\x00\x00/dev/zerotR",
    b"(S'" + MARKER.encode() + b"'\nios\nsystem\n",
    b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R",
)
_PIECES = (
    *(
        b"N",
        b"\x88",
        b"K\x00",
        b"J\xff\xff\xff\x7f",
        b"\x8a\x09" + b"\xff" * 8 + b"\x7f",
        b"G" + b"\x7f\xf8" + b"\0" * 6,
    ),
    *(b")", b"]", b"}", b"\x8f", b"(", b"0", b"1", b"2", b"R", b"b", b"\x93", b"\x94", b"Q", b"P1\n", b"u", b"s", b"e"),
    *(
        b"h\x00",
        b"j\xff\xff\xff\x0b",
        b"r\x00\xc2\xeb\x0b",
        b"p99999999999\n",
        b"g7\n",
        b"\x82\x01",
        b"\x95" + b"\xff" * 8,
    ),
    *(b"X\xff\xff\xff\x7fx", b"B\x02\x00\x00\x00ab", b"U\x01a", b"\x8d" + b"\xff" * 7 + b"\x7f", b"\x97", b"\x98"),
)


def edit_pickle(data: bytes, random: Random) -> bytes:
    """Replace, drop, double or insert whole operations of a pickle."""
    starts = [place for _, _, place in pickletools.genops(data) if place is not None]
    place = random.randrange(len(starts))
    start, end = starts[place], starts[place + 1] if place + 1 < len(starts) else len(data)
    new = random.choice(_CALLS if random.random() < 0.2 else _PIECES)
    kind = random.randrange(4)
    if kind == 0:
        return data[:start] + new + data[start:]
    if kind == 1:
        return data[:start] + new + data[end:]
    if kind == 2:
        return data[:start] + data[end:]
    return data[:end] + data[start:end] * random.choice((1, 2, 100)) + data[end:]


def calling() -> bytes:
    """Return a pickle that would run a command."""
    return b"\x80\x02" + _CALLS[0] + b"."


def doubling(levels: int = 60) -> bytes:
    """Return a small pickle of tuples that hold the one before twice, as a key: hashing it takes for ever."""
    pairs = b"".join(b"h\x00h\x00\x86q\x00" for _ in range(levels))
    return b"\x80\x02K\x01q\x00" + pairs + b"}h\x00K\x01s."


def remembering(index: int = 200_000_000) -> bytes:
    """Return a pickle that puts something at a high place of the reader's memory."""
    return b"\x80\x02K\x01r" + index.to_bytes(4, "little") + b"."


def containing_itself() -> bytes:
    """Return a pickle of a dictionary that holds itself."""
    whole: dict[str, object] = {}
    whole["state_dict"] = whole
    return pickle.dumps(whole, 2)
