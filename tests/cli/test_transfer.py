"""The verb `transfer` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import CommandLine

DATA, FEW = "shapes:n=60,size=16,classes=3", "shapes:n=6,size=16,classes=3"
ASKED = ("--attack", "mi+dim:steps=1", "--eps", "8/255", "--limit", 6, "--split", "all")


def test_three_models_and_their_ensembles(backlight: CommandLine, shapes_model: str, tmp_path: Path) -> None:
    models = (*("--model", shapes_model) * 3, "--ensemble")
    ran = backlight("transfer", "--data", DATA, *models, *ASKED, "--out", tmp_path / "out", "--json")
    assert ran.status == 0
    document = json.loads(ran.out)
    assert document["n"] == 6
    assert document["eps"] == 8 / 255
    assert len(document["rates"]) == 9 + 3
    assert {"attack", "surrogate", "victim", "success", "interval"} <= set(document["rates"][0])
    assert Path(document["html"]).is_file()
    assert (tmp_path / "out" / "transfer-tables" / "summary.csv").is_file()
    again = backlight("transfer", "--data", DATA, *models, *ASKED, "--out", tmp_path / "out")
    assert again.status == 2
    resumed = backlight("transfer", "--data", DATA, *models, *ASKED, "--out", tmp_path / "out", "--resume", "--json")
    assert json.loads(resumed.out)["rates"] == document["rates"]


def test_wrong_use_is_told_before_any_work(backlight: CommandLine, tmp_path: Path) -> None:
    for words, told in (
        (("--model", "classic_cnn"), "2 or more"),
        (("--model", "classic_cnn", "--model", "simple_net", "--ensemble"), "3 or more"),
        (("--model", "classic_cnn", "--model", "simple_net", "--attack", "mi+ni"), "the rules mi and ni"),
        (("--model", "classic_cnn", "--model", "simple_net", "--eps", "16"), "16"),
        (
            ("--model", "classic_cnn", "--model", "simple_net", "--weights", "a", "--weights", "b", "--weights", "c"),
            "files of",
        ),
    ):
        ran = backlight("transfer", "--data", FEW, "--random", *words, "--out", tmp_path)
        assert ran.status == 2, words
        assert told in ran.err
