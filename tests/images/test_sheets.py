import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from backlight.core.errors import InputError
from backlight.images.sheets import _fit, grid, side_by_side

COLORS = ["red", "lime", "blue", "black"]


def test_every_image_stands_in_its_cell() -> None:
    pictures = [Image.new("RGB", (10, 6), color) for color in COLORS[:3]]
    sheet = np.asarray(grid(pictures, columns=2, padding=3))
    assert sheet.shape == (3 + 6 + 3 + 6 + 3, 3 + 10 + 3 + 10 + 3, 3)
    expected = np.full_like(sheet, 255)
    expected[3:9, 3:13] = (255, 0, 0)
    expected[3:9, 16:26] = (0, 255, 0)
    expected[12:18, 3:13] = (0, 0, 255)
    assert np.array_equal(sheet, expected)


def test_tensors_and_pictures_of_other_sizes_share_a_sheet() -> None:
    sheet = grid([torch.zeros(3, 10, 20), torch.ones(1, 4, 4), Image.new("L", (6, 30))], columns=2, padding=0)
    assert sheet.mode == "RGB"
    assert sheet.size == (20 + 4, 10 + 30)
    values = np.asarray(sheet)[..., 0]
    assert values[:10, :20].max() == 0
    assert values[10:, 7:13].max() == 0
    assert values[10:, :7].min() == 255


def dark(sheet: Image.Image) -> np.ndarray:
    return np.asarray(sheet.convert("L")) < 128


def test_labels_are_drawn_below_their_images_and_nowhere_else() -> None:
    white = [torch.ones(3, 40, 60)] * 4
    sheet = dark(grid(white, 2, ["cat", "", "", "tabby"], padding=4))
    height = (sheet.shape[0] - 4) // 2
    quarters = [sheet[row : row + height, column : column + 64] for row in (0, height) for column in (2, 66)]
    assert [bool(quarter.any()) for quarter in quarters] == [True, False, False, True]
    assert not quarters[0][:44].any()


def test_long_labels_stay_within_their_column() -> None:
    white = [torch.ones(3, 30, 80)] * 3
    label = "a label that is far too long for its column and goes on " + "x" * 400
    sheet = dark(grid(white, 3, ["", label, ""], padding=6))
    columns = np.flatnonzero(sheet.any(0))
    assert columns.min() >= 6 + 80 + 6 - 1
    assert columns.max() <= 6 + 80 + 6 + 80 + 1


def test_labels_are_broken_and_cut() -> None:
    font = ImageFont.load_default(12)
    text = _fit("the quick brown fox jumps over the lazy dog again and again", font, 80)
    lines = text.split("\n")
    assert len(lines) == 3
    assert lines[-1].endswith("...")
    assert max(map(font.getlength, lines)) <= 80
    assert _fit("two\nwords", font, 500) == "two words"
    assert "".join(_fit("x" * 30, font, 80).split("\n")) == "x" * 30
    assert _fit("", font, 80) == ""


def test_side_by_side_scales_to_the_first_height() -> None:
    sheet = side_by_side([torch.zeros(3, 30, 20), torch.zeros(3, 10, 40), Image.new("L", (5, 60))])
    assert sheet.size == (4 + 20 + 4 + 120 + 4 + 2 + 4, 38)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grid([], 2), "0 images in 2 columns"),
        (lambda: grid([torch.zeros(3, 2, 2)], 0), "1 images in 0 columns"),
        (lambda: grid([torch.zeros(3, 2, 2)], 1, ["a", "b"]), "2 labels for 1 images"),
        (lambda: side_by_side([]), "0 images"),
    ],
)
def test_impossible_sheets_are_refused(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
