"""Which part of some work one of several processes begins with, and whether it helps with the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from backlight.core.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """The `number`-th of `count` shares, from 0; who `helps` goes on with what nobody else has.

    >>> Share(1, 3).of("abcdefg"), Share(1, 3, helps=True).of("abcdefg")
    (['c', 'd'], ['c', 'd', 'e', 'f', 'g', 'a', 'b'])
    """

    number: int
    count: int
    helps: bool = False

    @classmethod
    def parse(cls, option: str, text: str, *, helps: bool = False) -> Share:
        """Read K/N, which counts from 1; raises UsageError.

        >>> Share.parse("--shard", "2/4")
        Share(number=1, count=4, helps=False)
        >>> Share.parse("--shard", "0/4")
        Traceback (most recent call last):
        backlight.core.errors.UsageError: --shard 0/4; expected K/N, where K is one of 1..N, as in 1/8
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise UsageError(f"{option} {text}", expected="K/N, where K is one of 1..N, as in 1/8")
        return cls(number - 1, count, helps)

    def of(self, things: Sequence[T]) -> list[T]:
        """Return the things of this share, which lie together; then those of the others where it helps."""
        start, end = (number * len(things) // self.count for number in (self.number, self.number + 1))
        own = list(things[start:end])
        return [*own, *things[end:], *things[:start]] if self.helps else own

    def __str__(self) -> str:
        return f"{self.number + 1}/{self.count}"
