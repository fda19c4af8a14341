"""What the page on gates shows is what is read."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import yaml

from backlight.cli.app import VERBS
from backlight.gate import read_gates

PAGE = (Path(__file__).parents[2] / "docs" / "gates.rst").read_text("utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", PAGE)
    return [textwrap.dedent(one).strip() for one in found]


def test_the_gate_file_of_the_page_is_read(tmp_path: Path) -> None:
    (shown,) = blocks("toml")
    (tmp_path / "gate.toml").write_text(shown)
    gates = read_gates(tmp_path / "gate.toml")
    assert [gate.bound for gate in gates] == ["min", "min", "min", "max_drop"]


def test_every_key_that_the_page_explains_is_one(tmp_path: Path) -> None:
    rows = {
        "min": "min = 0.5",
        "max": "max = 0.5",
        "judgement": 'judgement = "look"',
        "pictures": "min = 0\npictures = 3",
    }
    rows |= {name: f'{name} = 0\nagainst = "baseline"' for name in ("max_drop", "max_rise")}
    rows |= {"by": 'min = 0\nby = "slice"', "confidence": 'min = 0\nconfidence = "lower"'}
    for name, row in rows.items():
        assert f"``{name}" in PAGE
        (tmp_path / "gate.toml").write_text(f'[[gate]]\nmetric = "accuracy"\n{row}\n')
        assert read_gates(tmp_path / "gate.toml")


def test_the_workflow_of_the_page_is_one_of_twelve_lines_and_its_commands_are_verbs() -> None:
    (shown,) = blocks("yaml")
    assert len(shown.splitlines()) <= 12
    workflow = yaml.safe_load(shown)
    steps = workflow["jobs"]["classifier"]["steps"]
    commands = [step["run"] for step in steps if step.get("run", "").startswith("backlight")]
    verbs = {verb.__name__ for verb in VERBS}
    named = {command.split()[1] for command in commands}
    assert "check" in named
    assert named <= verbs
