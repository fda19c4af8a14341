"""A change as files: what is read back is what was learned, and what is printed has the size that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backlight.attack import Patch, Perturbation, read_change, save_change
from backlight.attack.universal.files import magnification, parse_length
from backlight.core.errors import FileError, UsageError
from backlight.images import open_picture, to_tensor


def patch(shape: str, side: int = 23, channels: int = 3) -> Patch:
    found = Patch(torch.zeros(channels, side, side), shape, (0.2, 0.5), 22.5)
    return found.settled(torch.rand(channels, side, side))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", ["circle", "square"])
def test_a_patch_reads_back_as_it_is(shape: str, channels: int, tmp_path: Path) -> None:
    change = patch(shape, channels=channels)
    files = save_change(change, tmp_path)
    assert to_tensor(open_picture(files["picture"]), channels).equal(change.values)
    again = read_change(files["exact"])
    assert isinstance(again, Patch)
    assert again.values.equal(change.values)
    assert (again.shape, again.size, again.degrees) == (shape, (0.2, 0.5), 22.5)
    images = torch.rand(2, channels, 32, 32)
    assert again.applied(images, ["a", "b"]).equal(change.applied(images, ["a", "b"]))


@pytest.mark.parametrize(("text", "inches"), [("10cm", 10 / 2.54), ("80mm", 8 / 2.54), ("2in", 2.0)])
def test_it_prints_at_the_size_that_was_asked_for(text: str, inches: float, tmp_path: Path) -> None:
    change = patch("circle")
    files = save_change(change, tmp_path, print_size=text)
    with Image.open(files["print"]) as printed:
        assert printed.width / printed.info["dpi"][0] == pytest.approx(inches, rel=1e-3)
        assert printed.info["dpi"][0] >= 300 - 0.1
        times = printed.width // 23
        pixels = np.asarray(printed)
    alpha = pixels[..., 3]
    assert set(np.unique(alpha)) == {0, 255}
    assert alpha[0, 0] == alpha[-1, -1] == 0
    assert alpha[len(alpha) // 2].min() == 255
    assert (pixels[::times, ::times, :3] == (change.values * 255).round().byte().permute(1, 2, 0).numpy()).all()


def test_a_square_one_is_opaque_and_a_large_one_is_no_endless_picture(tmp_path: Path) -> None:
    files = save_change(patch("square"), tmp_path, print_size="900cm")
    with Image.open(files["print"]) as printed:
        assert printed.mode == "RGB"
        assert printed.width <= 4096
        # Whole dots per meter are all that a PNG can say.
        assert printed.width / printed.info["dpi"][0] == pytest.approx(900 / 2.54, rel=2e-3)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_perturbation_reads_back_as_it_is(norm: str, tmp_path: Path) -> None:
    change = Perturbation(torch.zeros(3, 8, 8), norm, {"linf": 10 / 255, "l2": 2.0}[norm]).control(0)
    files = save_change(change, tmp_path)
    assert set(files) == {"exact", "picture"}
    again = read_change(files["exact"])
    assert isinstance(again, Perturbation)
    assert again.values.equal(change.values)
    assert (again.norm, again.eps) == (norm, change.eps)
    # The picture holds it too, so many times stronger around 128.
    levels = to_tensor(open_picture(files["picture"])) * 255 - 128
    assert (levels / magnification(change.values) - change.values * 255).abs().max() < 1e-3


def test_a_file_that_changes_on_the_way_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backlight.attack.universal.files.open_picture", lambda path: Image.new("RGB", (23, 23)))
    with pytest.raises(FileError, match="reads back as something else"):
        save_change(patch("square"), tmp_path)


def test_other_files_and_sizes_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, tmp_path / "net.safetensors")
    with pytest.raises(FileError, match="holds weight; expected a perturbation or a patch"):
        read_change(tmp_path / "net.safetensors")
    for text in ("10", "0cm", "wide", "-3cm", "10 km"):
        with pytest.raises(UsageError, match="is no printed size"):
            parse_length(text)
