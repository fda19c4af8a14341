import json
from pathlib import Path
from typing import Any

import pytest

from backlight.core.errors import FileError
from backlight.page.page import write_page
from backlight.report.training import end_words, gap_words, training_section
from backlight.runs.history import History, read_history
from tests.report.reading import Document

SCRIPT = "<script>alert(1)</script>"


def epoch(number: int, val_loss: float, val_accuracy: float = 0.5) -> dict[str, Any]:
    return {
        "kind": "epoch", "step": 10 * number, "epoch": number, "loss": 1.0 / number, "accuracy": 0.6,
        "val_loss": val_loss, "val_accuracy": val_accuracy,
    }  # fmt: skip


def history(*losses: float, **recipe: Any) -> History:
    return History(SCRIPT, {"recipe": recipe}, tuple(epoch(place, loss) for place, loss in enumerate(losses, 1)))


def test_the_chosen_epoch_is_the_first_best_one() -> None:
    assert history(3.0, 1.0, 2.0, 1.0).chosen["epoch"] == 2
    assert not history(3.0, 1.0, 2.0).improving
    assert history(3.0, 2.0).improving
    assert history(float("nan"), 2.0, 3.0).chosen["epoch"] == 2
    lines = (epoch(1, 0.1, 0.5), epoch(2, 0.9, 0.7), epoch(3, 0.9, 0.7))
    assert History("run", {"recipe": {"select": "accuracy"}}, lines).chosen["epoch"] == 2


def test_how_it_ended_in_words() -> None:
    assert "still improving" in end_words(history(3.0, 2.0, epochs=2))
    assert "still improving" not in end_words(history(2.0, 3.0, epochs=2))
    assert "stopped early, after 2 of 9 epochs" in end_words(history(2.0, 3.0, epochs=9, patience=1))
    assert "So far 2 of 9 epochs" in end_words(history(2.0, 3.0, epochs=9, patience=0))


@pytest.mark.parametrize(
    ("train", "val", "words"),
    [(0.9, 0.6, "by heart"), (0.7, 0.65, "which is usual"), (0.6, 0.61, "about as good"), (0.5, 0.6, "better on new")],
)
def test_the_gap_in_words(train: float, val: float, words: str) -> None:
    assert words in gap_words(train, val)


def test_one_run_marks_its_epoch_and_two_share_the_charts(tmp_path: Path) -> None:
    one = training_section([history(3.0, 1.0, 2.0, epochs=3)])
    assert ">chosen</text>" in one.html
    both = training_section([history(3.0, 1.0, 2.0), history(4.0, 2.0)])
    assert "line-1 dashed" in both.html
    assert ">chosen</text>" not in both.html
    many = training_section([history(3.0)] * 5)
    assert "2 more runs not shown" in many.html
    write_page(tmp_path / "page.html", [both], title="Both", seconds=1.0)
    page = Document((tmp_path / "page.html").read_text())
    assert len(page.all("script")) == 1
    assert SCRIPT in page.text


def test_a_loss_that_is_no_number_leaves_a_page() -> None:
    assert "nan" in training_section([history(float("nan"), float("inf"), 2.0)]).html
    assert "Every epoch" in training_section([history(float("nan"))]).html


def run_folder(folder: Path, lines: list[dict[str, Any]], info: dict[str, Any]) -> Path:
    (folder / "run.json").write_text(json.dumps({"format": 1, **info}))
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_run_folder_is_read(tmp_path: Path) -> None:
    stepped = {"kind": "step", "step": 5, "loss": 1.0}
    found = read_history(run_folder(tmp_path, [stepped, epoch(1, 2.0)], {"model": SCRIPT, "recipe": {"epochs": 1}}))
    assert len(found.epochs) == 1
    assert "&lt;script&gt;" in training_section([found]).html


@pytest.mark.parametrize(
    ("lines", "info", "message"),
    [
        ([], {}, "no finished epoch"),
        ([{"kind": "epoch", "step": 1, "epoch": 1}], {}, "line 1: loss is absent"),
        ([{**epoch(1, 1.0), "loss": "many"}], {}, "line 1: loss is 'many'"),
        ([epoch(1, 1.0)], {"recipe": 3}, "recipe is 3"),
        ([epoch(1, 1.0)], {"format": 9}, "format 9"),
    ],
)
def test_folders_that_are_no_runs(
    tmp_path: Path, lines: list[dict[str, Any]], info: dict[str, Any], message: str
) -> None:
    with pytest.raises(FileError, match=message):
        read_history(run_folder(tmp_path, lines, info))
