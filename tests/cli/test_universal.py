"""The verb `universal` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from backlight.attack import read_change
from tests.cli.running import CommandLine

DATA = "shapes:n=60,size=16,classes=3"


def test_a_patch_to_print_measured_on_other_data(backlight: CommandLine, shapes_model: str, tmp_path: Path) -> None:
    words = ("universal", "--data", DATA, "--model", shapes_model, "--patch", "circle", "--steps", 2)
    more = ("--on", "shapes:n=12,size=16,classes=3,seed=1", "--print-size", "4in", "--out", tmp_path / "out")
    ran = backlight(*words, *more, "--json")
    assert ran.status == 0
    document = json.loads(ran.out)
    assert document["kind"] == "patch"
    assert document["on"]["n"] == document["fooling"]["others"]["pictures"] == 12
    with Image.open(document["files"]["print"]) as printed:
        assert round(printed.width / printed.info["dpi"][0], 2) == 4
    assert read_change(document["files"]["exact"]).kind == "patch"
    assert backlight(*words, *more).status == 2
    resumed = backlight(*words, *more, "--resume", "--json")
    assert json.loads(resumed.out)["fooling"] == document["fooling"]


def test_a_perturbation_towards_a_class(backlight: CommandLine, shapes_model: str, tmp_path: Path) -> None:
    asked = ("--target", "square", "--epochs", 1, "--norm", "l2", "--eps", "4")
    ran = backlight("universal", "--data", DATA, "--model", shapes_model, *asked, "--out", tmp_path)
    assert ran.status == 0
    assert "perturbation, square" in ran.out
    assert (tmp_path / "perturbation.png").is_file()
    assert (tmp_path / "universal-tables" / "summary.csv").is_file()


def test_wrong_use_is_told_before_any_work(backlight: CommandLine, tmp_path: Path) -> None:
    for words, told in (
        (("--eps", "0"), "eps 0"),
        (("--eps", "10"), "write '10/255'"),
        (("--steps", 5), "steps of a perturbation"),
        (("--patch", "circle", "--eps", "8/255"), "eps of a patch"),
        (("--patch", "star"), "circle"),
        (("--patch", "circle", "--patch-size", "1.5"), "larger than the picture"),
        (("--patch", "circle", "--print-size", "10"), "10cm"),
        (("--share", "1.5"), "a share of 1.5"),
    ):
        ran = backlight("universal", "--data", DATA, "--model", "classic_cnn", "--random", *words, "--out", tmp_path)
        assert ran.status == 2, words
        assert told in ran.err
    assert not list(tmp_path.iterdir())
