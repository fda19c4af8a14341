"""Exit statuses of `audit` and `check`, and what builds read of an audit's gates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.cli.conftest import FACTORY
from tests.cli.running import CommandLine, Ran

HOLDS = '[[gate]]\nmetric = "accuracy"\nmin = 0.0\n'
FAILS = '[[gate]]\nmetric = "accuracy"\nmin = 1.0\n'
UNKNOWN = '[[gate]]\nmetric = "calibration_error"\nmax = 0.5\n'
DROP = '[[gate]]\nmetric = "accuracy"\nagainst = "baseline"\nmax_drop = 0.0\n'
CLASSES = ("cat", "dog")


class Process:
    """Run a command in a process of its own, as a build's step does."""

    def __call__(self, *words: str) -> Ran:
        done = subprocess.run([sys.executable, "-m", "backlight", *words], capture_output=True, text=True, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a model, pictures of two classes, one that is broken, gates, and an audit that holds one."""
    folder = tmp_path_factory.mktemp("build")
    (folder / "factory.py").write_text(FACTORY)
    for name, text in {"holds": HOLDS, "fails": FAILS, "unknown": UNKNOWN}.items():
        (folder / f"{name}.toml").write_text(text)
    for place in range(36):
        path = folder / "data" / CLASSES[place % 2] / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((40 + place % 8, 40)).rotate(10 * place).convert("RGB").save(path)
    shutil.copytree(folder / "data", folder / "broken")
    (folder / "broken" / "cat" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    return folder


def audit(out: str, *more: str, data: str = "data") -> tuple[str, ...]:
    model = ("--model", "factory.py:small", "--data", data, "--depth", "quick", "--no-pictures", "--quiet")
    return ("audit", *model, "--out", out, *more)


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in the folder, where no build listens and no command runs yet."""
    monkeypatch.chdir(folder)
    for name in os.environ:
        if name.startswith(("BACKLIGHT_C", "GITHUB")):
            monkeypatch.delenv(name)
    return folder


def tell_a_build(
    run: Callable[..., Ran], gate: str, status: int, monkeypatch: pytest.MonkeyPatch, out: str = ""
) -> None:
    """One mechanism: the same gates say the same, to the exit status, JUnit, Markdown, annotations and the summary."""
    written, out = {}, out or gate
    for verb, words in (("audit", audit(out)), ("check", ("check", f"{out}/audit.json", "--quiet"))):
        files = {name: f"{verb}-{out}.{name}" for name in ("xml", "md", "summary")}
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", files["summary"])
        told = ("--gate", f"{gate}.toml", "--junit", files["xml"], "--markdown", files["md"], "--annotations")
        ran = run(*words, *told)
        assert ran.status == status, ran.err
        annotations = [line for line in ran.out.splitlines() if line.startswith("::")]
        assert [line.split()[0] for line in annotations] == {0: [], 4: ["::error"], 3: ["::warning"]}[status]
        suites = ElementTree.parse(files["xml"]).getroot()
        assert (suites.get("failures"), suites.get("skipped")) == (str(int(status == 4)), str(int(status == 3)))
        text = Path(files["md"]).read_text()
        assert Path(files["summary"]).read_text() == text + "\n"
        written[verb] = (annotations, text)
    assert written["audit"] == written["check"]


@pytest.mark.parametrize(("gate", "status"), [("holds", 0), ("fails", 4), ("unknown", 3)])
def test_an_audit_tells_a_build_as_check_does(
    backlight: CommandLine, inside: Path, monkeypatch: pytest.MonkeyPatch, gate: str, status: int
) -> None:
    tell_a_build(backlight, gate, status, monkeypatch)


@pytest.mark.slow
def test_the_status_of_a_failed_gate_is_that_of_the_process(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell_a_build(Process(), "fails", 4, monkeypatch, "process")


def test_inputs_that_fail_and_wrong_use_have_statuses_of_their_own(backlight: CommandLine, inside: Path) -> None:
    some = backlight(*audit("some", data="broken"))
    assert some.status == 1
    assert "torn.png" in some.err
    for words in (audit("none", "--depth", "abyssal"), ("check", "no-such.json")):
        ran = backlight(*words)
        assert (ran.status, len(ran.err.splitlines())) == (2, 1), ran.err


def test_what_is_wrong_with_gates_is_said_before_the_work(backlight: CommandLine, inside: Path) -> None:
    (inside / "drop.toml").write_text(DROP)
    for more in (
        ("--gate", "no-such.toml"),
        ("--gate", "holds.toml", "--junit", "fails.toml"),
        ("--gate", "drop.toml"),
        ("--gate", "drop.toml", "--baseline", "no-such.json"),
    ):
        ran = backlight(*audit("refused", *more))
        assert (ran.status, len(ran.err.splitlines())) == (2, 1), ran.err
    assert not (inside / "refused").exists()


def test_a_failed_gate_is_told_before_pictures_that_failed(backlight: CommandLine, inside: Path) -> None:
    ran = backlight(*audit("both", "--gate", "fails.toml", data="broken"))
    assert ran.status == 4
    assert "torn.png" in ran.err


def test_a_gate_on_no_number_leaves_the_audit_that_was_made(backlight: CommandLine, inside: Path) -> None:
    (inside / "typing.toml").write_text('[[gate]]\nmetric = "acuracy"\nmin = 0.5\n')
    ran = backlight(*audit("typing", "--gate", "typing.toml"))
    assert ran.status == 2
    assert "acuracy" in ran.err
    assert {"report.html", "audit.json", "audit.parquet"} <= {path.name for path in (inside / "typing").iterdir()}


def test_an_audit_compares_with_a_baseline_by_its_own_table(backlight: CommandLine, inside: Path) -> None:
    (inside / "drop.toml").write_text(DROP)
    backlight(*audit("before"))
    ran = backlight(*audit("now", "--gate", "drop.toml", "--baseline", "before/audit.json", "--json"))
    assert ran.json["gates"][0]["against"]["test"] == "McNemar's exact test"
