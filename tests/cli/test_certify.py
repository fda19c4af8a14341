"""The verb `certify` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import CommandLine

DATA = "shapes:n=60,size=16,classes=3"
ASKED = ("--data", DATA, "--split", "all", "--limit", 5)


def test_smoothing_resumes_and_writes_its_page(backlight: CommandLine, shapes_model: str, tmp_path: Path) -> None:
    words = ("certify", "--model", shapes_model, *ASKED, "--method", "smoothing:n=30,n0=5", "--out", tmp_path)
    ran = backlight(*words, "--json")
    assert ran.status == 0
    document = json.loads(ran.out)
    assert (document["n"], document["method"], document["norm"]) == (5, "smoothing", "l2")
    assert {"share", "interval"} <= set(document["certified_accuracy"]["0"])
    assert "What can be proved?" in Path(document["html"]).read_text()
    assert (tmp_path / "certify-tables" / "summary.csv").is_file()
    assert backlight(*words).status == 2
    resumed = json.loads(backlight(*words, "--resume", "--json").out)
    assert resumed["certified_accuracy"] == document["certified_accuracy"]


def test_what_cannot_be_asked_is_one_sentence(backlight: CommandLine, shapes_model: str, tmp_path: Path) -> None:
    for words, status, told in (
        (("--method", "guess"), 2, "smoothing, ibp or crown"),
        (("--method", "smoothing:sigma=0"), 2, "sigma 0"),
        (("--method", "crown", "--eps", "8"), 2, "8/255"),
    ):
        ran = backlight("certify", "--model", shapes_model, *ASKED, *words, "--out", tmp_path)
        assert ran.status == status, words
        assert told in ran.err
