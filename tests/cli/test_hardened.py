"""Before and after hardening by `evaluate --hardened`: two models, a run and what it went on from, resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backlight.data import load_data
from backlight.train import Recipe, fit, start_classifier
from tests.cli.running import CommandLine
from tests.report.reading import read
from tests.train.nets import QUIET

DATA = "shapes:n=40,size=16,classes=3"
ATTACKS = "--attacks", "fgsm,pgd:steps=2"


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train for one epoch."""
    train, val = (load_data(DATA, split=part) for part in ("train", "val"))
    folder = tmp_path_factory.mktemp("runs") / "before"
    fit(start_classifier("classic_cnn", train), train, val, folder, recipe=Recipe(epochs=1), runtime=QUIET)
    return folder


def test_a_run_is_compared_with_what_it_went_on_from(backlight: CommandLine, before: Path, tmp_path: Path) -> None:
    after, out = tmp_path / "after", tmp_path / "out"
    assert backlight("train", "--data", DATA, "--model", before, "--epochs", "1", "--out", after).status == 0
    words = "evaluate", "--data", DATA, "--split", "all", "--limit", "12", "--hardened", *ATTACKS, "--out", out
    alone = backlight(*words, "--model", after, "--json")
    assert alone.status == 0
    found = alone.json["hardening"]
    assert found["attacks"] == ["fgsm", "pgd:steps=2"]
    assert list(found["gains"]) == ["clean", "fgsm", "pgd:steps=2", "corruptions", "calibration_error"]
    assert found["gains"]["clean"]["before"] == alone.json["accuracy"]
    assert found["gains"]["clean"]["after"] == alone.json["second"]["accuracy"]
    page = read(out / "report.html")
    assert "what hardening gained and what it cost" in str(page) + (out / "report.html").read_text()
    assert "Who pays" in (out / "report.html").read_text()
    assert (out / "evaluate-tables" / "hardening.csv").is_file()
    both = backlight(*words, "--model", before, "--model", after, "--json", "--resume", "--force")
    assert both.json["hardening"] == found


def test_what_a_model_was_before_has_to_be_known(backlight: CommandLine, before: Path, tmp_path: Path) -> None:
    words = "evaluate", "--data", DATA, "--hardened", *ATTACKS, "--out", tmp_path / "out"
    alone = backlight(*words, "--model", before)
    assert alone.status == 2
    assert "which went on from no other model" in alone.err
    after = tmp_path / "after"
    backlight("train", "--data", DATA, "--model", before, "--epochs", "1", "--out", after)
    info = json.loads((after / "run.json").read_text())
    (after / "run.json").write_text(json.dumps(info | {"origin": "0" * 16}))
    changed = backlight(*words, "--model", after)
    assert changed.status == 2
    assert "has other weights now" in changed.err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--attacks", "fgsm"), "--attacks or --eps without --hardened"),
        (("--hardened", "--tta"), "--hardened with --tta"),
        (("--hardened", "--attacks", "fmn"), "without an eps"),
    ],
)
def test_options_that_do_not_go_together(
    backlight: CommandLine, before: Path, tmp_path: Path, more: tuple[str, ...], told: str
) -> None:
    ran = backlight("evaluate", "--model", before, "--data", DATA, "--out", tmp_path, *more)
    assert ran.status == 2
    assert told in ran.err
