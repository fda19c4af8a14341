"""Gate files and the keys in them: what is right is read, what is not is told with its place and a near name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backlight.core.errors import FileError, UsageError
from backlight.gate import Gate, read_gates
from backlight.gate.keys import look_up, parse_key, write_key

ROW = '[[gate]]\nmetric = "accuracy"\n'


def test_every_kind_of_row_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(
        ROW + "min = 0.9\nconfidence = 'lower'\n" + ROW + "max = 1\nby = 'class'\npictures = 30\n"
        + ROW + "max_drop = 0.01\nagainst = 'baseline'\n" + ROW + "judgement = 'look'\n"
    )  # fmt: skip
    assert read_gates(path) == (
        Gate("accuracy", "min", 0.9, None, True),
        Gate("accuracy", "max", 1, "class", False, 30),
        Gate("accuracy", "max_drop", 0.01),
        Gate("accuracy", "judgement", "look"),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "gate is absent"),
        ("gate = []", "gate is a list of 0"),
        ("[gate]\nmetric = 'a'", "[[gate]]"),
        ("[[gates]]\nmetric = 'a'", "gates is unknown; expected gate"),
        ("[[gate]]\nmetrik = 'a'\nmin = 1", "gate[0].metrik is unknown; expected metric"),
        (ROW + "min = 0.9\nconfidense = 'lower'", "gate[0].confidense is unknown; expected confidence"),
        ("[[gate]]\nmin = 1", "gate[0].metric is absent"),
        ("[[gate]]\nmetric = 3\nmin = 1", "gate[0].metric is 3"),
        (ROW, "gate[0] has no bound"),
        (ROW + "min = 0.1\nmax = 0.2", "gate[0] has min and max"),
        (ROW + "min = 'high'", "gate[0].min is 'high'; expected a finite number"),
        (ROW + "min = true", "gate[0].min is true"),
        (ROW + "min = nan", "gate[0].min is nan"),
        (ROW + "max = inf", "gate[0].max is inf"),
        (ROW + "min = 0.5\nby = 'clas'", "'class' or 'slice' or 'corruption'"),
        (ROW + "min = 0.5\nconfidence = 'upper'", "'lower'"),
        (ROW + "min = 0.5\nagainst = 'baseline'", "against beside max_drop"),
        (ROW + "max_drop = 0.5", 'against = "baseline"'),
        (ROW + "max_drop = -0.5\nagainst = 'baseline'", "a number from 0"),
        (ROW + "max_drop = 0.5\nagainst = 'baseline'\nconfidence = 'lower'", "confidence beside min or max"),
        (ROW + "judgement = 'bad'", "'good' or 'look'"),
        (ROW + "judgement = 'look'\nby = 'class'", "the name of a finding"),
        (ROW + "min = 0.5\npictures = 0", "a whole number from 1"),
        ("[[gate]]\nmetric = 'a..b'\nmin = 1", "gate[0] has the metric 'a..b'"),
        ("[[gate]\n", "cannot be read as TOML"),
        ("a = " + "[" * 5000, "nested"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(text)
    with pytest.raises(FileError) as error:
        read_gates(path)
    assert words in str(error.value)
    assert str(path) in str(error.value)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large.toml").write_text("# " + "x" * 2**20)
    for name in ("pipe.toml", "binary.toml", "large.toml", "absent.toml", "."):
        with pytest.raises(FileError):
            read_gates(tmp_path / name)


NAMES = st.text(min_size=1, max_size=12)


@given(st.lists(st.one_of(NAMES, st.integers(0, 10**8)), min_size=1, max_size=5))
def test_every_key_that_is_written_is_read(parts: list[str | int]) -> None:
    assert parse_key(write_key(tuple(parts))) == tuple(parts)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "a]", 'a."b', "a[0]b", '"a"b'])
def test_keys_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="metric"):
        parse_key(text)


def test_keys_lead_through_objects_lists_and_names() -> None:
    document = {
        "per_class": {"St. Bernard": {"n": 1}, "7": {"n": 2}, "a'b": {"n": 3}},
        "slices": [{"value": "night", "n": 4}, {"value": "1", "n": 5}],
    }
    for key, n in {
        'per_class."St. Bernard".n': 1, "per_class.7.n": 2, 'per_class."7".n': 2, "per_class.a'b.n": 3,
        "slices.night.n": 4, "slices[0].n": 4, "slices.1.n": 5, 'slices."1".n': 5,
    }.items():  # fmt: skip
        assert look_up(document, parse_key(key), "e.json").value == n


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("per_clas.cat.n", "e.json has no per_clas; try: per_class"),
        ("per_class.cart.n", "e.json has no per_class.cart; try: cat"),
        ("slices[3].n", r"e.json has no slices\[3\]; try: \[0\] to \[0\]"),
        ("n.cat", "e.json has no n.cat"),
        ("per_class[0]", r"e.json has no per_class\[0\]; try: one of cat"),
    ],
)
def test_near_names_are_offered(key: str, words: str) -> None:
    document = {"n": 3, "per_class": {"cat": {"n": 3}}, "slices": [{"name": "night"}]}
    with pytest.raises(UsageError, match=words):
        look_up(document, parse_key(key), "e.json")


def test_a_bound_that_no_float_holds_is_refused(tmp_path):
    path = tmp_path / "gate.toml"
    for bound in ("9" * 400, "nan", "inf", "-inf"):
        path.write_text(f'[[gate]]\nmetric = "accuracy"\nmin = {bound}\n')
        with pytest.raises(FileError, match="a finite number"):
            read_gates(path)
