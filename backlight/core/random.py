"""Random numbers without generators: each is a hash of (seed, image id, turn, stream, position).

The same image therefore draws the same numbers in any batch, order, chunk or process, and after a restart,
and nothing touches a global generator.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from backlight.core.errors import InputError

Seed = int | str | tuple["Seed", ...]
"""What keys random numbers: 0, "pgd", (0, "restart", 3)."""

# splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"), as signed int64.
_GOLDEN_GAMMA = 0x9E3779B97F4A7C15 - 2**64
_FIRST_FACTOR = 0xBF58476D1CE4E5B9 - 2**64
_SECOND_FACTOR = 0x94D049BB133111EB - 2**64

# A float type holds uniform numbers on its own grid in [0, 1): rounding finer ones could give 1.
_UNIFORM_BITS = {torch.float64: 53, torch.float32: 24, torch.float16: 11, torch.bfloat16: 8}
# One bit less than a double holds: with the half step added below, 0 and 1 stay out of reach.
_NORMAL_BITS = 52


class Random:
    """Draw numbers for some images at one turn; there is no state, so asking twice gives the same numbers.

    `seed` is an int, a string or a (nested) tuple of them. `ids` name the images: an int64 tensor `[A]`, or a
    list of numbers or strings, such as the ids of a table. `stream` separates several uses in one turn.
    Every draw has shape `[A, *shape]`.

    Raises InputError for seeds and ids of other types.

    >>> everyone = Random(0, ["cat.png", "dog.png", "owl.png"])
    >>> bool((everyone.uniform(4)[1] == Random(0, ["dog.png"]).uniform(4)[0]).all())
    True
    """

    def __init__(self, seed: Seed, ids: Tensor | Sequence[int] | Sequence[str], t: int = 0) -> None:
        self.seed, self.ids, self.t = seed, hash_ids(ids), t

    def __repr__(self) -> str:
        return f"Random(seed={self.seed!r}, {len(self)} ids, t={self.t})"

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, keep: Tensor | slice) -> Random:
        """Keep some of the images, by a boolean mask `[A]`, by indices or by a slice."""
        return Random(self.seed, self.ids[keep], self.t)

    def to(self, device: torch.device) -> Random:
        """Draw the same numbers on another device."""
        return Random(self.seed, self.ids.to(device), self.t)

    def fork(self, name: Seed) -> Random:
        """Return an independent source for a part that draws on its own, such as one of several transforms."""
        return Random((self.seed, name), self.ids, self.t)

    def uniform(self, *shape: int, stream: Seed = "uniform", dtype: torch.dtype = torch.float32) -> Tensor:
        """Draw uniformly from [0, 1), on the grid of the dtype.

        >>> Random(0, [7]).uniform(2).shape
        torch.Size([1, 2])
        """
        if dtype not in _UNIFORM_BITS:
            raise InputError(f"dtype {dtype}", expected="a floating-point type")
        bits = _UNIFORM_BITS[dtype]
        return _shift_right(self._hash(shape, stream), 64 - bits).to(dtype) * 2.0**-bits

    def normal(self, *shape: int, stream: Seed = "normal", dtype: torch.dtype = torch.float32) -> Tensor:
        """Draw from the standard normal distribution, by the inverse of its distribution function.

        >>> Random(0, [7]).normal(3, 8, 8).shape
        torch.Size([1, 3, 8, 8])
        """
        cells = _shift_right(self._hash(shape, stream), 64 - _NORMAL_BITS).double()
        # 2u - 1 for the middle u of each cell; exact in double precision.
        centered = (cells + 0.5) * 2.0 ** (1 - _NORMAL_BITS) - 1
        return (torch.erfinv(centered) * math.sqrt(2)).to(dtype)

    def sign(self, *shape: int, stream: Seed = "sign", dtype: torch.dtype = torch.float32) -> Tensor:
        """Draw -1 or 1 with equal chances.

        >>> set(Random(0, [7]).sign(100).unique().tolist()) == {-1.0, 1.0}
        True
        """
        return (_shift_right(self._hash(shape, stream), 63) * 2 - 1).to(dtype)

    def integer(self, high: int, *shape: int, stream: Seed = "integer") -> Tensor:
        """Draw whole numbers 0 .. high - 1 as int64.

        Raises InputError when `high` is below 1.

        >>> bool((Random(0, [7]).integer(6, 50) < 6).all())
        True
        """
        if not 1 <= high <= 2**53:
            raise InputError(f"high {high}", expected="1 to 2**53")
        # Below 2**53 the product rounds to at most `high`, and only for a `high` near that bound reaches it.
        return (self.uniform(*shape, stream=stream, dtype=torch.float64) * high).long().clamp(max=high - 1)

    def words(self, *shape: int, stream: Seed = "words") -> Tensor:
        """Draw whole numbers -32768 .. 32767 with equal chances as int16, four from one hash.

        >>> Random(0, [7]).words(3).dtype
        torch.int16
        """
        count = math.prod(shape)
        hashed = self._hash((-(-count // 4),), stream)
        return hashed.view(torch.int16)[:, :count].reshape(len(self), *shape)

    def words_of(self, shapes: Mapping[Seed, tuple[int, ...]]) -> dict[Seed, Tensor]:
        """Draw what `words` draws for each stream, all at once: of many small draws the calls cost the most.

        >>> random = Random(0, [7])
        >>> random.words_of({"a": (3,), "b": (2, 2)})["b"].equal(random.words(2, 2, stream="b"))
        True
        """
        if not shapes:
            return {}
        counts = [-(-math.prod(shape) // 4) for shape in shapes.values()]
        starts = _mix(self._turn[:, None] + torch.tensor([_word(one) for one in shapes], device=self.ids.device))
        position = torch.cat([torch.arange(1, count + 1) for count in counts]).to(self.ids.device)
        each = starts.repeat_interleave(torch.tensor(counts, device=self.ids.device), dim=1)
        parts = _mix(each + position * _GOLDEN_GAMMA).split(counts, dim=1)
        return {
            stream: part.contiguous().view(torch.int16)[:, : math.prod(shape)].reshape(len(self), *shape)
            for (stream, shape), part in zip(shapes.items(), parts)
        }

    @cached_property
    def _turn(self) -> Tensor:
        """Hash what all streams of one source share."""
        image = _mix(self.ids * _GOLDEN_GAMMA + _word(self.seed))
        return _mix(image + _wrapped((self.t + 1) * _GOLDEN_GAMMA))

    def _hash(self, shape: tuple[int, ...], stream: Seed) -> Tensor:
        start = _mix(self._turn + _word(stream))
        position = torch.arange(1, math.prod(shape) + 1, device=self.ids.device)
        return _mix(start[:, None] + position * _GOLDEN_GAMMA).view(len(self), *shape)


def generator_seed(key: Seed) -> int:
    """Turn a key into a seed for a generator that somebody else draws from, 0 to 2**63 - 1.

    >>> generator_seed((0, "layers", 3)) == generator_seed((0, "layers", 3)) != generator_seed((0, "layers", 4))
    True
    """
    return _word(key) % 2**63


def hash_ids(ids: Tensor | Sequence[int] | Sequence[str]) -> Tensor:
    """Turn the names of images into int64 keys `[A]`: numbers stay, strings are hashed.

    Raises InputError for anything else.

    >>> hash_ids([3, 5]).tolist(), hash_ids(["a.png", "b.png"]).shape
    ([3, 5], torch.Size([2]))
    """
    if isinstance(ids, Tensor):
        if ids.ndim != 1 or ids.is_floating_point() or ids.dtype == torch.bool:
            raise InputError(f"ids are {ids.dtype} {list(ids.shape)}", expected="int64 [A]")
        return ids.long()
    words = [_word(one) if isinstance(one, str) else _whole(one) for one in ids]
    return torch.tensor(words, dtype=torch.int64)


def _whole(thing: object) -> int:
    if isinstance(thing, bool) or not isinstance(thing, int) or not -(2**63) <= thing < 2**63:
        raise InputError(f"id {thing!r}", expected="a string or a whole number of 64 bits")
    return thing


def _word(thing: Seed) -> int:
    _check_seed(thing)
    digest = hashlib.blake2b(repr(thing).encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _check_seed(thing: object) -> None:
    # Other types may print differently from run to run (addresses) or version to version (numpy numbers).
    if type(thing) is tuple:
        for part in thing:
            _check_seed(part)
    elif type(thing) not in (int, str):
        raise InputError(f"seed {thing!r}", expected="an int, a string or a tuple of them")


def _wrapped(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63  # Python integers do not wrap; tensors do


def _shift_right(bits: Tensor, count: int) -> Tensor:
    return (bits >> count).bitwise_and_((1 << (64 - count)) - 1)  # int64 shifts copy the sign bit


def _mix(bits: Tensor) -> Tensor:
    # In place on what the shifts made: fresh memory for every step costs more than the step.
    bits = _shift_right(bits, 30).bitwise_xor_(bits).mul_(_FIRST_FACTOR)
    bits = _shift_right(bits, 27).bitwise_xor_(bits).mul_(_SECOND_FACTOR)
    return _shift_right(bits, 31).bitwise_xor_(bits)
