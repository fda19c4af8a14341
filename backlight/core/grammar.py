"""The small grammars that every verb shares: `NAME:key=value,key=value`, epsilon, and when two names are the same."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from backlight.core.errors import UsageError, did_you_mean

_SHOWN, _LARGEST_SIDE = 80, 2**16
_RATIONAL = re.compile(r"\s*[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?\s*")
_FILE = re.compile(r"[^=,]*\.py:")  # of a function in a file; in an option's value it stands behind a "="


@dataclass(frozen=True)
class Spec:
    """Hold a parsed specification: a name and its options, still as text.

    The typed getters return the default when the option is absent and raise `UsageError` when its text does
    not fit.

    >>> spec = parse_spec("pgd:eps=8/255,steps=3")
    >>> spec.name, spec.integer("steps", 10), spec.epsilon("eps", 0.0) == 8 / 255
    ('pgd', 3, True)
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}:{options}" if options else self.name

    def only(self, *known: str) -> Spec:
        """Return itself when every option is one of `known`; else raise a `UsageError` with near names.

        >>> parse_spec("shapes:n=10").only("n", "size").options["n"]
        '10'
        """
        for key in self.options:
            if key not in known:
                raise UsageError(f"{self.name} has no option {key!r}", hint=did_you_mean(key, known))
        return self

    def text(self, key: str, default: str, choices: Iterable[str] = ()) -> str:
        """Return an option as text, one of `choices` where these are given."""
        value = self.options.get(key, default)
        allowed = list(choices)
        if allowed and value not in allowed:
            raise UsageError(f"{self.name}:{key}={value}", hint=did_you_mean(value, allowed))
        return value

    def integer(self, key: str, default: int, *, low: int | None = None, high: int | None = None) -> int:
        """Return an option as a whole number inside [low, high]."""
        if key not in self.options:
            return default
        try:
            value = parse_whole(self.options[key])
        except UsageError:
            raise self._misfit(key, "a whole number") from None
        return int(self._inside(key, value, low, high))

    def number(self, key: str, default: float, *, low: float | None = None, high: float | None = None) -> float:
        """Return an option as a finite number inside [low, high]; fractions such as 1/3 are understood."""
        if key not in self.options:
            return default
        return self._inside(key, parse_number(self.options[key]), low, high)

    def epsilon(self, key: str, default: float, norm: str = "linf") -> float:
        """Return an option as a perturbation size (see `parse_epsilon`)."""
        return parse_epsilon(self.options[key], norm) if key in self.options else default

    def _inside(self, key: str, value: float, low: float | None, high: float | None) -> float:
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = f"at least {low}" if high is None else f"at most {high}" if low is None else f"{low}..{high}"
            raise self._misfit(key, bounds)
        return value

    def _misfit(self, key: str, expected: str) -> UsageError:
        return UsageError(f"{self.name}:{key}={self.options[key]}", expected=expected)


def parse_spec(text: str) -> Spec:
    """Parse `NAME` or `NAME:key=value,key=value`; raise `UsageError` on anything else.

    A name may be that of a function in a file, as in `mine.py:attack:steps=3`.

    >>> parse_spec("shapes:n=2000,size=32")
    Spec(name='shapes', options={'n': '2000', 'size': '32'})
    >>> parse_spec("mine.py:attack:steps=3").name
    'mine.py:attack'
    """
    file = _FILE.match(text.strip())
    prefix = file.group() if file else ""
    name, colon, rest = text.strip().removeprefix(prefix).partition(":")
    name = prefix + name if name else ""
    if not name or (colon and not rest.strip()):
        raise UsageError(f"{text!r} is incomplete", expected="NAME or NAME:key=value,key=value")
    options: dict[str, str] = {}
    for part in rest.split(",") if rest else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise UsageError(f"{part!r} in {text!r}", expected="key=value,key=value after the colon")
        if key in options:
            raise UsageError(f"{key!r} is given twice in {text!r}", expected="each option once")
        options[key] = value
    return Spec(name.strip(), options)


def parse_whole(text: str, *, low: int = -(10**18), high: int = 10**18) -> int:
    """Read a whole number from `low` to `high`, written in the digits 0 to 9.

    Raises UsageError for anything else, digits of other scripts too, and for numbers that 64 bits do not hold.

    >>> parse_whole("-12"), parse_whole(" 7 ", low=1)
    (-12, 7)
    """
    written = text.strip()
    number = int(written) if re.fullmatch(r"[+-]?[0-9]{1,18}", written) else None
    if number is None or not low <= number <= high:
        bounds = f" from {low}" if low > -(10**18) else ""
        raise UsageError(f"{shortened(text)} is not a whole number{bounds}", expected="such as 12")
    return number


def shortened(text: object) -> str:
    """Show a text in an error in quotes, without its middle where it is long.

    >>> shortened("x" * 1000)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"
    """
    whole = str(text)
    return repr(whole if len(whole) <= _SHOWN else f"{whole[: _SHOWN // 2]}...{whole[-_SHOWN // 2 :]}")


def parse_number(value: str | float) -> float:
    """Read a finite number, written as a number or as a fraction.

    >>> parse_number("2/255") == 2 / 255, parse_number("0.9/255") == 0.9 / 255, parse_number(0.5)
    (True, True, 0.5)
    """
    try:
        if isinstance(value, str) and "/" in value:
            # Exact, so that 0.9/255 is the nearest float; of 1e999999999 a fraction would never be done.
            top, bottom = (_RATIONAL.fullmatch(one) for one in value.split("/"))
            if top is None or bottom is None:
                raise ValueError
            number = float(Fraction(top[0].strip()) / Fraction(bottom[0].strip()))
        else:
            number = float(value)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        raise UsageError(f"{shortened(value)} is not a number", expected="0.03 or '8/255'") from None
    if not math.isfinite(number):
        raise UsageError(f"{value!r} is not finite", expected="0.03 or '8/255'")
    return number


def parse_epsilon(value: str | float, norm: str = "linf") -> float:
    """Read a perturbation size in pixel units, where an image spans 0 to 1.

    For linf a whole number from 1 up (8, "8") or anything above 1 looks like the scale 0..255 and raises
    `UsageError`; so does a negative or non-finite value for every norm. Zero is allowed. In l0 the size counts values,
    so that it is a whole number.

    >>> parse_epsilon("8/255") == 8 / 255, parse_epsilon(0.03), parse_epsilon("3", norm="l2")
    (True, 0.03, 3.0)
    >>> parse_epsilon(8)
    Traceback (most recent call last):
    backlight.core.errors.UsageError: epsilon 8 looks like the scale 0..255; expected ... try: write '8/255'
    """
    epsilon = parse_number(value)
    if epsilon < 0:
        raise UsageError(f"epsilon {value} is negative", expected="0 or more")
    text = str(value).strip()
    if norm == "l0" and epsilon != int(epsilon):
        raise UsageError(f"epsilon {text} in l0", expected="a whole number: how many values may change")
    if norm == "linf" and (epsilon > 1 or (epsilon == 1 and text.isdigit())):
        raise UsageError(
            f"epsilon {text} looks like the scale 0..255",
            expected="pixel units, where an image spans 0 to 1",
            hint=f"write '{text}/255'" if "/" not in text else "write '8/255'",
        )
    return epsilon


def split_specs(text: str) -> tuple[str, ...]:
    """Split a list of specifications at the commas that do not belong to options.

    Raises UsageError for an empty list.

    >>> split_specs("saliency,smoothgrad:samples=25,level=0.1,gradcam")
    ('saliency', 'smoothgrad:samples=25,level=0.1', 'gradcam')
    """
    found: list[str] = []
    for part in (piece.strip() for piece in text.split(",")):
        name, equals, _ = part.partition("=")
        if found and equals and ":" not in name:
            found[-1] += f",{part}"
        elif part:
            found.append(part)
    if not found:
        raise UsageError(f"{text!r} names nothing", expected="names with commas between")
    return tuple(found)


def parse_duration(text: str) -> float:
    """Read a duration in seconds: `90`, `90s`, `10m` or `1.5h`.

    Raises UsageError for anything else.

    >>> parse_duration("10m"), parse_duration("90")
    (600.0, 90.0)
    """
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UsageError(f"{text!r} is not a duration", expected="seconds, or 90s, 10m, 1.5h")
    return seconds


def duration(seconds: float) -> str:
    """Phrase a time for people; `parse_duration` is for what they write.

    >>> duration(0.2), duration(1.2), duration(45.2), duration(5400.0), duration(9000.0)
    ('less than a second', '1 second', '45 seconds', '90 minutes', '2.5 hours')
    """
    if seconds < 100:
        whole = round(seconds)
        return "less than a second" if whole < 1 else f"{whole} second{'' if whole == 1 else 's'}"
    return f"{seconds / 60:.0f} minutes" if seconds < 100 * 60 else f"{seconds / 3600:.1f} hours"


def parse_size(text: str) -> tuple[int, int]:
    """Read an input size in pixels: `224`, or `224x192` (height x width).

    Raises UsageError for anything else.

    >>> parse_size("224"), parse_size("224x192")
    ((224, 224), (224, 192))
    """
    parts = text.lower().split("x")
    try:
        sides = [parse_whole(part, low=1, high=_LARGEST_SIDE) for part in parts[:3]]
    except UsageError:
        sides = []
    if not 1 <= len(sides) <= 2:
        raise UsageError(f"size {shortened(text)}", expected="224, or height x width as in 224x192")
    return sides[0], sides[-1]


def parse_numbers(text: str) -> tuple[float, ...]:
    """Read numbers with commas between, each as `parse_number` reads it.

    >>> parse_numbers("0.5,1/2")
    (0.5, 0.5)
    """
    return tuple(parse_number(part) for part in text.split(","))


def parse_per_channel(option: str, text: str | None) -> float | tuple[float, ...] | None:
    """Read what an option gives as one number for all channels or as one for each; None where it is left out.

    >>> parse_per_channel("--mean", "0.5"), parse_per_channel("--std", "0.2,0.3,0.4")
    (0.5, (0.2, 0.3, 0.4))
    """
    if text is None:
        return None
    try:
        numbers = parse_numbers(text)
    except UsageError as error:
        raise UsageError(f"{option} {text!r}", expected="numbers with commas between, as in 0.5,0.5,0.5") from error
    return numbers[0] if len(numbers) == 1 else numbers


def normal(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), so that the same letters are the same name.

    >>> normal("cafe\\u0301") == "caf\\u00e9"
    True
    """
    return unicodedata.normalize("NFC", name)
