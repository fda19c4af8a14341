"""The list of breaks that tests must notice: every entry can be run, and they lie all over the house."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def tool():  # noqa: ANN201 - a module
    spec = importlib.util.spec_from_file_location("mutants", ROOT / "tools" / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_break_finds_its_text_once_and_its_tests() -> None:
    found = {one: one.mistake(ROOT) for one in tool().read_mutants()}
    assert {f"{one.file}: {one.text}": wrong for one, wrong in found.items() if wrong} == {}


def test_there_are_sixty_in_all_rooms_that_compute() -> None:
    mutants = tool().read_mutants()
    assert len({(one.file, one.broken) for one in mutants}) == len(mutants) >= 60
    rooms = Counter(one.file.split("/")[1].removesuffix(".py") for one in mutants)
    assert len(rooms) >= 18  # core counts once


def test_an_entry_that_no_longer_fits_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\ny = 2\n")
    (tmp_path / "test_a.py").touch()
    Mutant = tool().Mutant  # noqa: N806
    tests = ("test_a.py",)
    assert Mutant("a.py", "y = 2", "y = 3", tests).mistake(tmp_path) == ""
    assert Mutant("a.py", "x = 1", "x = 2", tests).mistake(tmp_path) == "the text occurs 2 times"
    assert Mutant("b.py", "x = 1", "x = 2", tests).mistake(tmp_path) == "the file is gone"
    assert Mutant("a.py", "y = 2", "y = 3", ("test_b.py",)).mistake(tmp_path) == "test_b.py is gone"


@pytest.mark.slow
def test_a_break_survives_where_no_test_notices(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("y = 2\n")
    (tmp_path / "test_a.py").write_text("from a import y\ndef test_a():\n    assert y > 0\n")
    run, Mutant = tool().run_mutant, tool().Mutant  # noqa: N806
    assert run(Mutant("a.py", "y = 2", "y = -2", ("test_a.py",)), tmp_path) == ""
    assert run(Mutant("a.py", "y = 2", "y = 3", ("test_a.py",)), tmp_path) == "survived"
    assert run(Mutant("a.py", "y = 2", "y = (", ("test_a.py",)), tmp_path).startswith("pytest ended with")
    assert (tmp_path / "a.py").read_text() == "y = 2\n"
