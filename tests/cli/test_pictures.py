"""The verbs visualize, fool, style and denoise: what they print and write."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import CommandLine


def test_visualize_class_and_feature(backlight: CommandLine, small_model: str, tmp_path: Path) -> None:
    common = ("--model", small_model, "--steps", 2, "--out", tmp_path, "--json")
    ran = backlight("visualize", "class", "all", "--frames", 1, *common)
    assert ran.status == 0
    assert [set(one) >= {"png", "objective", "steps", "stopped", "seconds"} for one in ran.json] == [True] * 3
    assert all(Path(one["png"]).parent == tmp_path and Path(one["png"]).is_file() for one in ran.json)
    assert Path(ran.json[0]["sheet"]).is_file()
    assert Path(ran.json[0]["iterations_png"]).is_file()
    ran = backlight("visualize", "feature", "2:1", "2:3", *common)
    assert [one["name"] for one in ran.json] == ["2:1", "2:3"]
    assert backlight("visualize", "feature", "2:1", "2:3", *common).status == 2  # nothing is overwritten


@pytest.mark.parametrize("what", ["invert", "dream"])
def test_visualize_pictures(
    backlight: CommandLine, small_model: str, photographs: Path, tmp_path: Path, what: str
) -> None:
    (tmp_path / "broken.png").write_text("no picture")
    words = ("visualize", what, photographs / "chelsea.png", tmp_path / "broken.png", "--layer", "2", "--longest", 48)
    ran = backlight(*words, "--model", small_model, "--steps", 2, "--out", tmp_path / "out", "--json")
    assert ran.status == 1
    assert Path(ran.json[0]["png"]).is_file()
    assert ran.json[1]["path"].endswith("broken.png")
    assert ran.json[0]["losses"]


def test_fool(backlight: CommandLine, small_model: str, photographs: Path, tmp_path: Path) -> None:
    ran = backlight("fool", photographs, "--target", "second", "--model", small_model, "--out", tmp_path, "--json")
    assert ran.status == 0
    assert {"png", "objective", "steps", "stopped", "seconds", "distance", "success"} <= set(ran.json[0])
    with Image.open(ran.json[0]["sheet"]) as sheet:
        assert sheet.width > 4 * 32


def test_style(backlight: CommandLine, small_model: str, photographs: Path, tmp_path: Path) -> None:
    words = ("style", photographs / "chelsea.png", photographs / "coffee.jpg", "--longest", 40, "--steps", 2)
    ran = backlight(*words, "--model", small_model, "--out", tmp_path, "--keep-colors", "--json")
    assert ran.status == 0
    assert ran.json[0]["losses"]
    with Image.open(ran.json[0]["png"]) as painting:
        assert painting.width == 40


def test_denoise(backlight: CommandLine, photographs: Path, tmp_path: Path) -> None:
    with Image.open(photographs / "chelsea.png") as picture:
        clean = np.asarray(picture)[:64, :80]
    noise = np.random.default_rng(0).normal(0, 25, clean.shape)
    Image.fromarray(clean).save(tmp_path / "clean.png")
    Image.fromarray((clean + noise).clip(0, 255).astype(np.uint8)).save(tmp_path / "noisy.png")
    words = ("denoise", tmp_path / "noisy.png", "--reference", tmp_path / "clean.png", "--out", tmp_path / "out")
    ran = backlight(*words, "--json")
    assert ran.status == 0
    assert ran.json[0]["psnr"] > 22
    assert 0 < ran.json[0]["ssim"] <= 1
    assert backlight(*words, "--force", "--solver", "gradient", "--lr", "0.9/255", "--alpha", "1.5").status == 0
    assert backlight(*words, "--force", "--alpha", "-1").status == 2


@pytest.mark.parametrize(
    "words",
    [
        ("visualize", "clas", "0"),
        ("visualize", "dream", "x.png"),
        ("visualize", "feature", "2"),
        ("denoise", "nowhere.png"),
    ],
)
def test_wrong_use(backlight: CommandLine, small_model: str, tmp_path: Path, words: tuple[str, ...]) -> None:
    model = () if words[0] == "denoise" else ("--model", small_model)
    ran = backlight(*words, *model, "--out", tmp_path)
    assert ran.status in (1, 2)
    assert ran.err
    assert "Traceback" not in ran.err
