"""The wheel, alone in a fresh environment with no extras, predicts and reports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

ROOT = Path(__file__).parents[1]
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def run(*words: str | Path, cwd: Path) -> str:
    """Run a command apart from the checkout and from this environment; return what it printed."""
    apart = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([*map(str, words)], cwd=cwd, env=apart, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that the checkout is not littered."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "backlight", source / "backlight", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source / name)
    run(sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_it_holds_every_file_of_the_package(wheel: Path) -> None:
    names = run(sys.executable, "-m", "zipfile", "--list", wheel, cwd=wheel.parent)
    kept = [one for one in (ROOT / "backlight").rglob("*") if one.is_file() and "__pycache__" not in one.parts]
    assert [str(one) for one in kept if one.relative_to(ROOT).as_posix() not in names] == []


@pytest.mark.slow
def test_alone_in_a_fresh_environment_it_predicts_and_reports(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "fresh", with_pip=True)
    python, command = tmp_path / "fresh" / "bin" / "python", tmp_path / "fresh" / "bin" / "backlight"
    probe = subprocess.run([python, *PIP, "download", "--no-deps", "jinja2"], cwd=tmp_path, capture_output=True)
    if probe.returncode:
        pytest.skip("no package index can be reached from here")
    run(python, *PIP, "install", "--constraint", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    assert str(tmp_path) in run(python, "-c", "import backlight; print(backlight.__file__)", cwd=tmp_path)
    assert "captum" not in run(python, *PIP, "list", cwd=tmp_path)
    Image.fromarray(data.chelsea()).save(tmp_path / "cat.png")
    (found,) = json.loads(run(command, "predict", "cat.png", "--json", cwd=tmp_path))
    assert "cat" in found["predictions"][0]["label"]
    run(command, "report", "cat.png", "--out", "report.html", "--quiet", cwd=tmp_path)
    assert "<h1" in (tmp_path / "report.html").read_text(encoding="utf-8")
