import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from backlight import images as module
from backlight.core.errors import FileError, InputError
from backlight.images import (
    CropBox,
    Resize,
    find_pictures,
    open_picture,
    read_image,
    round_to_8bit,
    search_folder,
    to_picture,
    to_tensor,
    write_png,
)
from backlight.images.render import amplify, colorize, grid, normalize_map, overlay, place, side_by_side
from backlight.testing import small_net, unchanged

ALL_LEVELS = torch.arange(256).repeat(3, 1, 1) / 255


def test_to_tensor_divides_by_255_and_keeps_the_order_of_axes() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    image = to_tensor(Image.fromarray(pixels))
    assert image.dtype == torch.float32
    assert image.shape == (3, 2, 4)
    assert np.array_equal((image * 255).round().permute(1, 2, 0).numpy(), pixels)
    assert float(image[1, 1, 2]) == np.float32(pixels[1, 2, 1]) / np.float32(255)


def test_one_channel_is_luminance() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    expected = pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    image = to_tensor(Image.fromarray(pixels), channels=1)
    assert image.shape == (1, 5, 7)
    assert np.abs(image[0].numpy() * 255 - expected).max() <= 1


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    with pytest.raises(InputError, match=f"{channels} channels.*expected 1 .grey. or 3 .RGB."):
        to_tensor(Image.new("RGB", (1, 1)), channels)


def test_to_picture_rounds_half_to_even() -> None:
    values = torch.tensor([0.5, 1.5, 2.5, 254.5], dtype=torch.float64) / 255
    assert np.asarray(to_picture(values.reshape(1, 1, 4))).tolist() == [[0, 2, 2, 254]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_to_picture_takes_every_float_type_and_layout(dtype: torch.dtype) -> None:
    image = torch.zeros(3, 4, 6, dtype=dtype, requires_grad=True)
    assert to_picture(image).size == (6, 4)
    assert to_picture(image[0]).mode == to_picture(image[:1]).mode == "L"
    assert to_picture(image.transpose(1, 2)).size == (4, 6)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(2, 4, 4), r"shape \[2, 4, 4\]"),
        (torch.zeros(1, 3, 4, 4), r"shape \[1, 3, 4, 4\]"),
        (torch.zeros(3, 0, 4), r"shape \[3, 0, 4\]"),
        (torch.full((3, 1, 1), torch.nan), "not finite"),
        (torch.full((3, 1, 1), 255.0), r"lie in 255..255; expected values in \[0,1\]"),
        (torch.full((3, 1, 1), -0.01), r"lie in -0.01"),
    ],
)
def test_to_picture_refuses_what_is_no_picture(image: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_picture(image)


def test_png_keeps_every_level_exactly(tmp_path: Path) -> None:
    write_png(tmp_path / "levels.png", ALL_LEVELS)
    assert torch.equal(to_tensor(open_picture(tmp_path / "levels.png")), ALL_LEVELS)
    write_png(tmp_path / "gray.png", ALL_LEVELS[:1])
    assert torch.equal(to_tensor(open_picture(tmp_path / "gray.png")), ALL_LEVELS)


def test_written_pngs_carry_pixels_only(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[0x0112] = 6
    source = Image.new("RGB", (4, 2), "red")
    source.save(tmp_path / "full.png", exif=exif, icc_profile=b"profile", transparency=(255, 0, 0), dpi=(72, 72))
    loaded = Image.open(tmp_path / "full.png")
    loaded.load()
    assert {"exif", "icc_profile", "transparency", "dpi"} <= set(loaded.info)
    write_png(tmp_path / "clean.png", loaded)
    clean = Image.open(tmp_path / "clean.png")
    clean.load()
    assert clean.info == {}
    assert not clean.getexif()


def test_a_failed_write_keeps_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(tmp_path / "a.png", ALL_LEVELS)
    before = (tmp_path / "a.png").read_bytes()

    def fill_the_disk(self: Image.Image, target: Path, **_: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fill_the_disk)
    with pytest.raises(FileError, match="a.png: cannot be written: No space left on device"):
        write_png(tmp_path / "a.png", ALL_LEVELS)
    assert (tmp_path / "a.png").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_read_image_puts_the_pieces_together(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    rule = Resize(40, (32, 32))
    picture = read_image(path, rule)
    crop, box = rule.resize(Image.fromarray(pixels))
    assert torch.equal(picture.image, to_tensor(crop))
    assert (picture.path, picture.box, picture.full_size) == (path, box, (60, 90))
    assert read_image(path, rule, channels=1).image.shape == (1, 32, 32)
    assert len(repr(picture)) < 300


LEVELS = st.lists(st.integers(0, 255), min_size=1, max_size=20)
SHIFT = st.floats(-1, 1, allow_nan=False)


@settings(deadline=None)
@given(LEVELS, st.integers(1, 40), st.lists(SHIFT, min_size=20, max_size=20), st.booleans())
def test_rounding_towards_the_original_stays_inside_the_ball(
    levels: list[int], eps: int, shifts: list[float], double: bool
) -> None:
    dtype = torch.float64 if double else torch.float32
    original = torch.tensor(levels, dtype=dtype) / 255
    image = (original + torch.tensor(shifts[: len(levels)], dtype=dtype) * eps / 255).clamp(0, 1)
    rounded = round_to_8bit(image, original)
    assert rounded.dtype == dtype
    assert ((rounded - original).abs() <= (image - original).abs() + 1e-6).all()
    assert torch.equal(rounded, (rounded * 255).round() / 255)
    assert ((rounded - image).abs() < 1 / 255).all()
    assert torch.equal(round_to_8bit(rounded, original), rounded)


@settings(deadline=None)
@given(LEVELS, st.lists(SHIFT, min_size=20, max_size=20), st.lists(SHIFT, min_size=20, max_size=20))
def test_rounding_towards_an_original_between_two_levels(
    levels: list[int], offsets: list[float], shifts: list[float]
) -> None:
    count = len(levels)
    original = (torch.tensor(levels) / 255 + torch.tensor(offsets[:count]) / 255).clamp(0, 1)
    image = (original + torch.tensor(shifts[:count]) * 4 / 255).clamp(0, 1)
    distance = (round_to_8bit(image, original) - original).abs()
    assert (distance <= (image - original).abs().clamp(min=0.5 / 255) + 1e-6).all()


def test_the_whole_ball_of_8_levels_is_kept_in_float32() -> None:
    original = torch.arange(256) / 255
    for step in (-8, -1, 0, 1, 8):
        image = (original + torch.tensor(step / 255)).clamp(0, 1)
        expected = (torch.arange(256) + step).clamp(0, 255)
        assert torch.equal((round_to_8bit(image, original) * 255).round().long(), expected)


def test_what_is_rounded_is_what_a_file_gives_back(tmp_path: Path) -> None:
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    for rounded in (round_to_8bit(image), round_to_8bit(image, ALL_LEVELS[:, :, :16].expand(3, 16, 16))):
        write_png(tmp_path / "adversarial.png", rounded)
        assert torch.equal(to_tensor(open_picture(tmp_path / "adversarial.png")), rounded)


def test_round_to_8bit_refuses_another_shape() -> None:
    with pytest.raises(InputError, match="shape"):
        round_to_8bit(torch.zeros(3, 2, 2), torch.zeros(3, 2, 1))


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_find_pictures_searches_folders_and_keeps_the_order_of_arguments(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    found = [folder / "a" / "z.JPEG", folder / "b.png", folder / "c" / "d" / "e.webp", folder / "c.tif"]
    touch(*found, folder / "notes.txt", folder / ".hidden.png", folder / ".cache" / "f.png", tmp_path / "named.dat")
    assert find_pictures([tmp_path / "named.dat", folder]) == [tmp_path / "named.dat", *found]
    assert find_pictures([str(folder / "b.png")]) == [folder / "b.png"]


def test_find_pictures_never_leaves_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    touch(folder / "own.png", tmp_path / "secret.png", tmp_path / "out" / "other.png")
    (folder / "file-link.png").symlink_to(tmp_path / "secret.png")
    (folder / "folder-link").symlink_to(tmp_path / "out")
    (folder / "loop").symlink_to(folder)
    (folder / "dangling.png").symlink_to(folder / "nowhere.png")
    (folder / "within.png").symlink_to(folder / "own.png")
    os.mkfifo(folder / "pipe.png")
    assert find_pictures([folder]) == [folder / "own.png", folder / "within.png"]
    refused = {path.name: why for path, why in search_folder(folder).refused.items()}
    assert refused.pop("dangling.png") == "a link to nothing"
    assert refused == dict.fromkeys(["file-link.png", "folder-link"], "a link that leads out of the folder")
    (tmp_path / "album").symlink_to(folder)
    assert len(find_pictures([tmp_path / "album"])) == 2


def test_find_pictures_says_what_is_missing(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt")
    with pytest.raises(FileError, match=r"holds no pictures; expected files named .avif .bmp .* .webp"):
        find_pictures([tmp_path])
    (tmp_path / "link.png").symlink_to(tmp_path.parent / "secret.png")
    with pytest.raises(FileError, match=r"holds no pictures, but one link that is not followed: link.png"):
        find_pictures([tmp_path])
    with pytest.raises(FileError, match=r"nothing.png: does not exist"):
        find_pictures([tmp_path / "nothing.png"])


def test_all_names_exist() -> None:
    assert all(hasattr(module, name) for name in module.__all__)


def test_pictures_leave_global_state_alone(tmp_path: Path) -> None:
    values = torch.linspace(0, 1, 12).reshape(3, 4)
    image = values.repeat(3, 1, 1)
    kept = image.clone()
    with unchanged(small_net()):
        write_png(tmp_path / "a.png", image)
        (path,) = find_pictures([tmp_path])
        read_image(path, Resize(None, (2, 2)))
        round_to_8bit(image, image)
        normalized = normalize_map(values, signed=True).values
        side_by_side([grid([overlay(image, normalized), colorize(values), amplify(image)], 2, ["a", "b", "c"])])
        place(values, CropBox(0, 0, 2, 2), (5, 5))
    assert torch.equal(image, kept)
