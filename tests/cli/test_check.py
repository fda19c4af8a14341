"""The verb `check`: exit status, three lines, files, the summary of a step, annotations, hostile documents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.running import CommandLine
from tests.gate.documents import AUDIT, evaluation, saved


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a result and gates that it holds, does not hold, and cannot be judged by."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    Path("evaluate.json").write_text(json.dumps(evaluation(90, 100).document))
    for name, rows in {
        "holds": 'metric = "accuracy"\nmin = 0.8',
        "fails": 'metric = "accuracy"\nmin = 0.95',
        "unknown": 'metric = "ece"\nmax = 0.2\nconfidence = "lower"',
    }.items():
        Path(f"{name}.toml").write_text(f"[[gate]]\n{rows}\n")
    return tmp_path


@pytest.mark.parametrize(("gate", "status", "passed"), [("holds", 0, True), ("fails", 4, False), ("unknown", 3, None)])
def test_the_exit_status_says_what_came_of_the_gates(
    backlight: CommandLine, folder: Path, gate: str, status: int, passed: bool | None
) -> None:
    ran = backlight("check", "evaluate.json", "--gate", f"{gate}.toml", "--json")
    assert ran.status == status
    assert ran.json["passed"] is passed
    keys = {"metric", "value", "interval", "threshold", "against", "passed", "sentence"}
    assert all(keys <= set(one) for one in ran.json["gates"])
    told = backlight("check", "evaluate.json", "--gate", f"{gate}.toml")
    assert told.status == status
    assert len(told.out.splitlines()) == 3


def test_files_for_builds_are_written_and_not_overwritten(backlight: CommandLine, folder: Path) -> None:
    command = ("check", "evaluate.json", "--gate", "fails.toml", "--junit", "gates.xml", "--markdown", "gates.md")
    assert backlight(*command, "--annotations").out.splitlines()[3].startswith("::error file=fails.toml,title=accuracy")
    assert ElementTree.parse("gates.xml").getroot().get("failures") == "1"
    assert Path("gates.md").read_text().startswith("### evaluate.json: failed")
    again = backlight(*command)
    assert again.status == 2
    assert "--force" in again.err
    ran = backlight(*command, "--force", "--json", "--annotations")
    assert ran.status == 4
    assert json.loads(ran.out)["passed"] is False
    assert "::error file=fails.toml" in ran.err


def test_a_paired_drop_fails_the_build(backlight: CommandLine, folder: Path) -> None:
    saved(folder / "old", "e.json", [True] * 430 + [False] * 70)
    saved(folder / "new", "e.json", [False] * 15 + [True] * 415 + [False] * 70)
    ran = backlight("check", "new/e.json", "--baseline", "old/e.json")
    assert ran.status == 4
    assert "McNemar" in ran.out
    Path("new/samples.parquet").unlink()
    assert backlight("check", "new/e.json", "--baseline", "old/e.json").status == 0


def test_an_audit_needs_no_gate_file(backlight: CommandLine, folder: Path) -> None:
    Path("audit.json").write_text(json.dumps(AUDIT))
    ran = backlight("check", "audit.json")
    assert ran.status == 4
    assert "label_errors" in ran.out
    other = backlight("check", "evaluate.json")
    assert other.status == 2
    assert "--gate" in other.err


def test_the_summary_is_written_by_the_outermost_command_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "backlight", "check", "evaluate.json", "--gate", "holds.toml"]
    environment = {name: value for name, value in os.environ.items() if name != "BACKLIGHT_COMMAND"}
    environment["GITHUB_STEP_SUMMARY"] = "summary.md"
    subprocess.run(command, env=environment | {"BACKLIGHT_COMMAND": "1"}, check=True, capture_output=True)
    assert not Path("summary.md").exists()
    for _ in range(2):
        subprocess.run(command, env=environment, check=True, capture_output=True)
    assert Path("summary.md").read_text().count("### evaluate.json: passed") == 2


@pytest.mark.parametrize(
    "text",
    [
        "", "nothing", "3", "[" * 100_000, '{"a":' * 100_000, '{"accuracy": NaN}', '{"accuracy": 1e999}',
        '{"accuracy": ' + "9" * 5000 + "}", '{"accuracy": "high"}', '{"accuracy": {"n": 1}}', '{"accuracy": [[1]]}',
        '{"accuracy": 0.5, "n": -3}', '{"accuracy": 0.5, "accuracy_interval": 3}', '{"findings": 3}', "\ufeff{",
    ],
)  # fmt: skip
def test_hostile_documents_are_one_line_and_wrong_use(backlight: CommandLine, folder: Path, text: str) -> None:
    Path("bad.json").write_text(text)
    for arguments in (("bad.json", "--gate", "holds.toml"), ("evaluate.json", "--baseline", "bad.json")):
        ran = backlight("check", *arguments)
        assert ran.status == 2
        assert len(ran.err.splitlines()) == 1


def test_names_from_a_document_do_nothing_to_the_terminal(backlight: CommandLine, folder: Path) -> None:
    hostile = evaluation(9, 10, per_class={"\x1b[31m\n::error::\udcff": {"n": 10, "accuracy": 0.1}})
    Path("hostile.json").write_text(json.dumps(hostile.document))
    Path("gate.toml").write_text('[[gate]]\nmetric = "accuracy"\nmin = 0.5\nby = "class"\n')
    command = (
        "check",
        "hostile.json",
        "--gate",
        "gate.toml",
        "--annotations",
        "--junit",
        "a.xml",
        "--markdown",
        "a.md",
    )
    ran = backlight(*command)
    assert ran.status == 4
    assert "\x1b" not in ran.out
    assert [line for line in ran.out.splitlines() if line.startswith("::")] == [ran.out.splitlines()[3]]
    assert backlight(*command, "--force", "--json").status == 4
