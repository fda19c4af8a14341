"""train and evaluate on what people have: files of every kind, broken ones among them, and hostile names."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backlight.data import load_splits
from tests.cli.running import CommandLine
from tests.data.samples import write_folder
from tests.report.reading import read

HOSTILE = "<script>alert(1)<"
SETTINGS = (
    "--epochs",
    1,
    "--set",
    "batch_size=8",
    "--quiet",
    "--precision",
    "float32",
    "--memory-format",
    "contiguous",
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give class folders with grey, color, transparent, palette and 16-bit files, and one that is broken."""
    folder, numbers = tmp_path_factory.mktemp("mixed"), np.random.default_rng(0)
    for name in (HOSTILE, "dog"):
        (folder / name).mkdir()
        for row in range(20):
            level = int(numbers.integers(0, 100)) + (120 if name == "dog" else 0)
            values = (numbers.integers(0, 30, (20, 24, 4)) + level).astype(np.uint8)
            kinds = {
                "L": Image.fromarray(values[..., 0]),
                "RGB": Image.fromarray(values[..., :3]),
                "RGBA": Image.fromarray(values),
                "LA": Image.fromarray(values[..., :2], "LA"),
                "P": Image.fromarray(values[..., :3]).quantize(16),
                "I;16": Image.fromarray(values[..., 0].astype(np.uint16) * 257),
            }
            list(kinds.values())[row % len(kinds)].save(folder / name / f"{row}.png")
    (folder / "dog" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "run"


def test_grey_transparent_and_broken_files_train_and_are_evaluated(
    backlight: CommandLine, mixed: Path, run: Path, tmp_path: Path
) -> None:
    ran = backlight("train", "--data", mixed, *SETTINGS, "--out", run, "--json")
    info = json.loads((run / "run.json").read_text())
    assert set(info["labels"]) == {HOSTILE, "dog"}
    parts = load_splits(str(mixed)).parts
    holder = next(name for name, part in parts.items() if "dog/broken.png" in part.ids)
    assert info["size"] == [20, 24]
    assert ("broken.png" in json.dumps(info["data"]["failed"])) == (holder in ("train", "val"))
    assert ("broken.png" in ran.err) == (holder in ("train", "val"))
    assert ran.status == int(holder in ("train", "val")), ran.err
    for part in ("train", "val"):
        assert info["data"][f"{part}_pictures"] == len(parts[part]) - (part == holder)

    done = backlight("evaluate", "--model", run, "--data", mixed, "--split", "all", "--out", tmp_path, "--json")
    assert done.status == 1  # one picture of 41 failed
    assert "broken.png" in done.err
    assert done.json["n"] == 40
    assert done.json["labels"] == info["labels"]
    for page in (read(run / "report.html"), read(tmp_path / "report.html")):
        assert len(page.all("script")) == 1
    assert HOSTILE in read(tmp_path / "report.html").text


def test_links_that_lead_out_of_the_folder_are_named_by_every_verb(backlight: CommandLine, tmp_path: Path) -> None:
    write_folder(tmp_path, {"outside": 1, "data/cat": 10, "data/dog": 10})
    os.symlink(tmp_path / "outside", tmp_path / "data" / "owl")
    os.symlink(tmp_path / "outside" / "0.png", tmp_path / "data" / "cat" / "x.png")
    data, run = tmp_path / "data", tmp_path / "a run"
    lost = backlight("train", "--data", data, *SETTINGS, "--out", run)
    assert lost.status == 2
    assert "'owl' is a link that leads out of the folder" in lost.err
    assert "--follow-links" in lost.err
    seen = backlight("data", "inspect", data, "--follow-links", "--out", tmp_path / "all")
    assert "22 pictures, 3 classes" in seen.out
    (data / "owl").unlink()
    for words in (
        ("data", "inspect", data, "--out", tmp_path / "seen"),
        ("train", "--data", data, *SETTINGS, "--out", run),
        ("evaluate", "--model", run, "--data", data, "--out", tmp_path / "page"),
        ("data", "convert", data, tmp_path / "data.npz"),
    ):
        ran = backlight(*words)
        assert ran.status == 1, words
        if words[0] == "train":
            assert shlex.join(["backlight", "evaluate", "--model", str(run), "--data", str(data)]) in ran.out
        assert ran.err.count("cat/x.png: a link that leads out of the folder\n") == 1, words
    assert "data.npz: 20 pictures" in ran.out


def test_what_is_one_is_told_as_one(backlight: CommandLine, tmp_path: Path) -> None:
    write_folder(tmp_path, {"data/dog": 2})
    (tmp_path / "data" / "dog" / "0.png").write_bytes(b"junk")
    seen = backlight("data", "inspect", tmp_path / "data", "--out", tmp_path / "seen")
    assert "all: 1 picture, 1 class\n" in seen.out
    assert "0 groups of equal pictures" in seen.out
    assert seen.err.count("0.png") == 1


def test_names_command_no_terminal(backlight: CommandLine, tmp_path: Path) -> None:
    hostile = "größe\x1b[31m\nred\u202e"
    write_folder(tmp_path, {f"data/{hostile}": 3, "data/dog": 3})
    (tmp_path / "data" / hostile / "1.png").write_bytes(b"junk")
    text = backlight("data", "inspect", tmp_path / "data", "--out", tmp_path / "seen")
    for found in (text.out, text.err):
        assert r"größe\x1b[31m\nred\u202e" in found
        assert all(one.isprintable() or one == "\n" for one in found)
    document = backlight("data", "inspect", tmp_path / "data", "--out", tmp_path / "again", "--json").json
    assert hostile in document["counts"]["all"]


def test_an_array_file_with_objects_inside_is_refused_and_nothing_is_begun(
    backlight: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "evil.npz"
    np.savez(path, X=np.array([{"a": 1}] * 4, dtype=object), y=np.zeros(4, dtype=np.int64))
    for verb, more in (("train", SETTINGS), ("evaluate", ())):
        ran = backlight(verb, "--data", path, *more, "--out", tmp_path / "out")
        assert ran.status == 2
        assert "evil.npz" in ran.err
        assert not (tmp_path / "out").exists()


def test_one_picture_and_labels_that_are_not_whole(backlight: CommandLine, tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "half.npz", X=pixels, y=np.array([0, 1, 0.5, 1]))
    ran = backlight("train", "--data", tmp_path / "half.npz", *SETTINGS, "--out", tmp_path / "out")
    assert ran.status == 2
    np.savez(tmp_path / "one.npz", X=pixels[:1], y=np.array([0]))
    ran = backlight("train", "--data", tmp_path / "one.npz", *SETTINGS, "--out", tmp_path / "out")
    assert ran.status == 2
    assert "val" in ran.err
    assert not (tmp_path / "out").exists()


def test_unmarked_data_is_one_set_for_all_but_the_run_that_trained_on_it(
    backlight: CommandLine, tmp_path: Path
) -> None:
    write_folder(tmp_path, {"data/cat": 20, "data/dog": 20, "other/cat": 10, "other/dog": 10})
    run = tmp_path / "run"
    assert backlight("train", "--data", tmp_path / "data", *SETTINGS, "--out", run).status == 0
    (tmp_path / "data").rename(tmp_path / "moved")

    def evaluated(data: Path, *more: object) -> tuple[int, str, str]:
        words = ("evaluate", "--model", run, "--data", data, "--json", "--out", tmp_path / "page", "--force")
        ran = backlight(*words, *more)
        return ran.json["n"], ran.json["split"], ran.err

    count, split, told = evaluated(tmp_path / "moved")
    assert (count, split) == (4, "test")
    assert "moved: test, 4 pictures (the run was trained on the rest, drawn by split seed 0" in told
    count, split, told = evaluated(tmp_path / "other")
    assert (count, split) == (20, "all")
    assert "other: all, 20 pictures (the data has no parts of its own)" in told
    count, split, told = evaluated(tmp_path / "other", "--sample", 6)
    assert (count, split) == (6, "all")
    assert "a sample of 6 of 20 pictures" in told
    assert evaluated(tmp_path / "moved", "--split", "all")[:2] == (40, "all")
