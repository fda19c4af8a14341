"""The package in `examples/plugin`: built, installed onto a path of its own, found through the command line, proved."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
MODEL = """
from torch import nn
from backlight import Classifier

def net():
    layers = [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 2)]
    return Classifier.from_module(nn.Sequential(*layers), size=32, labels=["upright", "lying"])
"""
FOUND = {
    ("attacks", "gratings"),
    ("methods", "local_contrast"),
    ("explanation_metrics", "gini"),
    ("data_sources", "stripes"),
    ("sections", "sureness"),
    ("checks", "sure_mistakes"),
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package from a copy, so that nothing is left beside it, and install it onto an empty path."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(ROOT / "examples" / "plugin", folder / "source")
    (folder / "net.py").write_text(MODEL)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site"), "./source"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return folder


def run(installed: Path, *arguments: str, plugins: str = "1") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(installed / "site"), str(ROOT)))
    environment = {**os.environ, "PYTHONPATH": path, "BACKLIGHT_PLUGINS": plugins}
    command = [sys.executable, "-m", "backlight", *arguments]
    return subprocess.run(command, cwd=installed, env=environment, capture_output=True, text=True)


def document(installed: Path, *arguments: str) -> Any:
    done = run(installed, *arguments, "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_six_are_listed_with_their_origin(installed: Path) -> None:
    listed = document(installed, "methods", "--plugins")
    foreign = {(one["kind"], one["name"]) for one in listed if one["origin"] == "backlight-gratings 1.0"}
    assert foreign == FOUND
    assert {"kind": "attacks", "name": "pgd", "origin": "backlight"} in listed


def test_data_method_and_metric(installed: Path) -> None:
    options = ("--data", "stripes:n=6,size=32", "--model", "net.py:net", "--methods", "saliency,local-contrast:width=3")
    found = document(
        installed, "explain", *options, "--split", "all", "--metrics", "gini,deletion", "--out", "explained"
    )
    assert found["n"] == 6
    scores = found["methods"]["local_contrast:width=3"]
    assert 0 < scores["gini"]["mean"] < 1
    assert scores["gini"]["better"] == "higher"
    assert "How few pixels hold the map" in (installed / "explained" / "report.html").read_text("utf-8")


def test_section_and_attack(installed: Path) -> None:
    options = ("--data", "stripes:n=6", "--split", "all", "--model", "net.py:net")
    found = document(installed, "evaluate", *options, "--out", "evaluated")
    page = Path(installed / found["html"]).read_text("utf-8")
    assert "How sure it is, right or wrong" in page
    assert "less sure where it is wrong" in page
    attack = ("robustness", *options, "--attack", "gratings:tries=4,eps=64/255", "--out", "attacked")
    found = document(installed, *attack)
    assert found["attack"] == "gratings:tries=4,eps=64/255"
    # The checks of an evaluation may find what the attack did not: that counts as broken too.
    assert found["robust_accuracy"] <= found["by_attack"]["gratings"] <= found["clean_accuracy"]


def test_switched_off_they_are_unknown(installed: Path) -> None:
    done = run(installed, "explain", "--data", "shapes:n=3", "--methods", "local_contrast", plugins="0")
    assert done.returncode == 2
    assert "no method 'local_contrast'" in done.stderr


def test_a_broken_package_is_one_line_on_standard_error(installed: Path) -> None:
    metadata = installed / "site" / "bad_waves-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-waves\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text("[backlight.attacks]\nwaves = nothing_of_this_name:CARD\n")
    try:
        done = run(installed, "methods", "--plugins", "--json")
    finally:
        shutil.rmtree(metadata)
    assert done.returncode == 0
    assert {"kind": "attacks", "name": "gratings", "origin": "backlight-gratings 1.0"} in json.loads(done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.startswith("backlight: the plug-in 'waves' (backlight.attacks) of bad-waves 0.1 cannot be used: ")
    assert "nothing_of_this_name" in line


def test_all_of_them_are_proved(installed: Path) -> None:
    code = (
        "from backlight.testing import check_attack, check_check, check_method, check_metric, check_source\n"
        "check_attack('gratings:tries=3'), check_method('local_contrast'), check_metric('gini')\n"
        "check_source('stripes:n=9,size=16'), check_check('sure-mistakes')\n"
    )
    path = os.pathsep.join((str(installed / "site"), str(ROOT)))
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, cwd=installed, check=True)
