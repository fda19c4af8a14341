"""Every grammar either understands a text or says what is wrong with it; what it writes, it reads."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from backlight.core.errors import BacklightError, UsageError
from backlight.core.grammar import (
    Spec,
    parse_duration,
    parse_number,
    parse_numbers,
    parse_size,
    parse_spec,
    parse_whole,
    split_specs,
)
from backlight.corrupt import CorruptionRequest
from backlight.data import load_splits
from backlight.train.adversaries import read_adversary
from backlight.train.inner import Climb
from tools.fuzz.grammars import GRAMMARS

words = st.text("abcdefgh_", min_size=1, max_size=8)
specs = st.builds(Spec, words, st.dictionaries(words, words, max_size=3))
digits = st.sampled_from(
    ["²", "٣", "१", "Ⅷ", "९" * 3, "1_000", "0x10", "9" * 5000, "1e999999999", "--5", "+-1", "1/2/3"]
)
pieces = st.one_of(
    st.text(max_size=6), digits, st.sampled_from(list(":=,/@-+#.~%") + ["\0", "\udcff", "\u202e", "..", "\n"])
)


def near(text: str) -> st.SearchStrategy[str]:
    """Texts that are nearly right: one with a few pieces in the place of others."""

    def broken(cut: tuple[int, int], piece: str) -> str:
        first, last = sorted(place % (len(text) + 1) for place in cut)
        return text[:first] + piece + text[last:]

    return st.builds(broken, st.tuples(st.integers(0, 99), st.integers(0, 99)), pieces)


def leads_outside(text: str, folder: Path) -> bool:
    """Whether a text names a folder of this machine, in which it would look for pictures."""
    with suppress(ValueError, OSError):
        named = Path(os.path.expanduser(text.partition("@")[0].strip()))
        return named.is_dir() and not named.resolve().is_relative_to(folder)
    return False


@pytest.mark.parametrize("name", GRAMMARS)
def test_a_text_is_understood_or_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The variable is read once, by whichever test imports these first; without it every name is asked for five times.
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HOME", str(tmp_path))
    read, examples = GRAMMARS[name]

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.one_of(st.text(max_size=30), *map(near, examples)))
    def understood_or_refused(text):
        assume(not leads_outside(text, tmp_path))
        with suppress(BacklightError):
            read(text)

    understood_or_refused()


@given(st.lists(specs, min_size=1, max_size=4))
def test_a_list_of_specifications_splits_where_it_was_joined(given_specs):
    text = ",".join(map(str, given_specs))
    # "a:b=1,c" may be one with options and a name, which is what it says; a name alone must not look like an option.
    assert [parse_spec(one) for one in split_specs(text)] == given_specs


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_whole_numbers(number):
    assert parse_whole(str(number)) == parse_whole(f" {number} ") == number


@pytest.mark.parametrize("text", ["", " ", "²", "٣", "1.0", "1e3", "1_000", "0x10", "9" * 19, "9" * 5000, "--5", "one"])
def test_what_is_no_whole_number(text):
    with pytest.raises(UsageError, match="not a whole number"):
        parse_whole(text)


@given(st.integers(-1000, 1000), st.integers(1, 10**6))
def test_fractions_are_the_nearest_float(top, bottom):
    assert parse_number(f"{top}/{bottom}") == float(Fraction(top, bottom))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_numbers_with_commas(numbers):
    assert parse_numbers(",".join(map(repr, numbers))) == tuple(numbers)


@pytest.mark.parametrize(
    "text", ["1e999999999/3", "3/1e999999999", "1/x/2", "1/2/3", "/", "1/", "1/0", "9" * 5000 + "/3"]
)
def test_what_is_no_fraction(text):
    with pytest.raises(UsageError, match="not a number"):
        parse_number(text)


@given(st.integers(1, 2**16), st.integers(1, 2**16))
def test_sizes(height, width):
    assert parse_size(f"{height}x{width}") == (height, width)
    assert parse_size(str(height)) == (height, height)


@given(st.floats(0, 1e6), st.sampled_from([("", 1), ("s", 1), ("m", 60), ("h", 3600)]))
def test_durations(number, unit):
    name, seconds = unit
    assert parse_duration(f"{number!r}{name}") == number * seconds


@given(st.sets(st.integers(1, 5), min_size=1))
def test_severities(wanted):
    asked = ",".join(map(str, sorted(wanted)))
    assert CorruptionRequest.of("fog", severities=asked).severities == tuple(sorted(wanted))
    low, high = min(wanted), max(wanted)
    assert CorruptionRequest.of("fog", severities=f"{low}-{high}").severities == tuple(range(low, high + 1))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20))
def test_ranges_of_data(start, stop):
    spec = f"shapes:n=20,size=8,classes=2@train={start}:{stop},test={stop}:"
    if start < stop < 20:
        parts = load_splits(spec).parts
        # A tenth of train may be for validation where no range says otherwise.
        assert len(parts["train"]) + len(parts.get("val", ())) == stop - start
        assert parts["test"].ids == tuple(str(row) for row in range(stop, 20))
    else:
        with pytest.raises(BacklightError, match="range"):
            load_splits(spec)


@given(st.integers(1, 255), st.integers(1, 50), st.floats(0.01, 1))
def test_adversaries(eps, steps, share):
    found = read_adversary(f"pgd:eps={eps}/255,steps={steps},share={share!r}")
    assert isinstance(found.inner, Climb)
    assert (found.inner.ascent.steps, found.share) == (steps, share)
    assert math.isclose(found.inner.ascent.eps, eps / 255)
