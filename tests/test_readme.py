"""The README does what it shows: its Python runs, its commands are understood, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from PIL import Image
from skimage import data
from typer.core import TyperGroup

from backlight.cli.app import DATA_VERBS, VERBS, app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    lines = [line.partition("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("backlight ")]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(data.chelsea()).save("cat.jpg")
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102


@pytest.mark.parametrize("line", commands())
def test_commands_are_understood(line: str) -> None:
    group = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while isinstance(group, TyperGroup):
        name, *words = words
        assert name in group.commands
        group = group.commands[name]
    # Parsing alone: it refuses unknown options and missing arguments before anything runs.
    group.make_context(line, words)


def test_every_verb_is_shown() -> None:
    shown = {line.split()[1] for line in commands()}
    assert {verb.__name__.rstrip("_") for verb in VERBS} <= shown
    assert {f"backlight data {verb.__name__}" for verb in DATA_VERBS} <= {
        " ".join(one.split()[:3]) for one in commands()
    }


def test_links_lead_to_files() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert not link.startswith("http")
        assert (ROOT / link).exists(), link
    assert (ROOT / "docs" / "images" / "report.jpg").stat().st_size < 400_000


def test_the_two_commands_are_targets() -> None:
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in re.findall(r"^make ([\w-]+)", "\n".join(blocks("sh")), re.MULTILINE):
        assert name in targets
