"""Every row of the page on what users can bring is held by tests that exist and that check something."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "what_you_can_bring.rst").read_text(encoding="utf-8")
TITLES = ("Models", "Checkpoints", "Heads", "Folders", "Lists", "Pictures")


def rows() -> list[tuple[str, str]]:
    """List the rows below the headers, as what is brought and the cell that names the tests."""
    cell = r"((?:.*\n)(?:       .*\n)*)"
    found = re.findall(rf"^   \* - {cell}     - {cell}     - {cell}", PAGE + "\n", re.MULTILINE)
    return [(" ".join(brought.split()), tests) for brought, _, tests in found if brought.strip() != "you bring"]


@cache
def functions_in(path: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def checks(test: ast.FunctionDef) -> bool:
    """Whether a test asserts, expects an error, or calls what asserts for it, as backlight.testing.unchanged does."""
    nodes = list(ast.walk(test))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    names = [func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in called]
    return any(isinstance(node, ast.Assert) for node in nodes) or any(
        name in ("raises", "unchanged") or name.startswith("assert_") for name in names
    )


def test_every_kind_has_rows_and_no_row_is_lost() -> None:
    assert re.findall(r"^(\w+)\n-+$", PAGE, re.MULTILINE) == list(TITLES)
    assert len(rows()) == PAGE.count("   * - ") - len(TITLES)


@pytest.mark.parametrize(("brought", "cell"), rows(), ids=[brought for brought, _ in rows()])
def test_every_row_is_held_by_tests(brought: str, cell: str) -> None:
    named = re.findall(r"``(tests/\S+\.py)::(test_\w+)``", cell)
    assert named, brought
    assert cell.count("``") == 2 * len(named), f"{brought}: a test that is not named as path::test_name"
    for path, name in named:
        assert (ROOT / path).is_file(), path
        assert name in functions_in(path), f"{path} has no {name}"
        assert checks(functions_in(path)[name]), f"{path}::{name} checks nothing"
