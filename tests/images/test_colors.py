import numpy as np
import pytest
import torch

from backlight.core.errors import InputError
from backlight.images.colors import COLOR_TABLES, _lab_to_rgb, _rgb_to_lab, color_table, colorize


def lab(name: str) -> np.ndarray:
    from skimage.color import rgb2lab

    return rgb2lab(color_table(name).double().numpy()[None])[0]


def test_colors_convert_as_scikit_image_does() -> None:
    from skimage.color import rgb2lab

    colors = np.random.default_rng(0).random((200, 3))
    assert np.abs(_rgb_to_lab(colors) - rgb2lab(colors[None])[0]).max() < 0.02
    assert np.abs(_lab_to_rgb(_rgb_to_lab(colors)) - colors).max() < 1e-5


@pytest.mark.parametrize("name", COLOR_TABLES)
def test_a_table_has_256_colors_at_even_steps(name: str) -> None:
    table = color_table(name)
    assert table.shape == (256, 3)
    assert table.dtype == torch.float32
    assert table.min() >= 0
    assert table.max() <= 1
    steps = np.linalg.norm(np.diff(lab(name), axis=0), axis=1)
    halves = [steps[:127], steps[128:]] if name == "signed" else [steps]  # each half is even in itself
    for part in halves:
        low, high = np.quantile(part, [0.05, 0.95])
        assert high / low < 1.1
        assert part.max() / part.min() < 1.35  # at an anchor the path turns and one step cuts the corner


@pytest.mark.parametrize(("name", "direction"), [("gray", 1), ("heat", 1), ("sequential", 1), ("reds", -1)])
def test_lightness_changes_in_one_direction_only(name: str, direction: int) -> None:
    assert (np.diff(lab(name)[:, 0]) * direction > 0).all()


def test_the_signed_table_is_white_in_the_middle_and_as_dark_on_either_side() -> None:
    table = color_table("signed")
    assert torch.equal(table[127:129], torch.ones(2, 3))
    assert table[0, 2] > table[0, 0]
    assert table[255, 0] > table[255, 2]
    lightness = lab("signed")[:, 0]
    assert (np.diff(lightness[:128]) > 0).all()
    assert np.abs(lightness - lightness[::-1]).max() < 8


def test_the_ends_are_the_anchors() -> None:
    assert color_table("heat")[[0, -1]].tolist() == [[0, 0, 0], [1, 1, 1]]
    assert (color_table("reds")[-1] * 255).round().tolist() == [0x5C, 0x05, 0x12]


def test_a_caller_cannot_change_the_table_of_others() -> None:
    color_table("gray").zero_()
    assert color_table("gray")[255, 0] == 1


def test_colorize_looks_colors_up() -> None:
    values = torch.tensor([[0.0, 1.0, 100 / 255, -3.0, 7.0]])
    table = color_table("sequential")
    expected = table[[0, 255, 100, 0, 255]]
    assert torch.equal(colorize(values, "sequential"), expected.T[:, None])
    assert torch.equal(colorize(values[None].repeat(2, 1, 1), "sequential")[1], expected.T[:, None])
    assert (colorize(torch.tensor([[0.5]]), "signed") == 1).all()


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="unknown color table 'red'; try: reds"):
        color_table("red")
    with pytest.raises(InputError, match="not finite; try: normalize_map"):
        colorize(torch.tensor([[torch.nan]]))


def test_a_value_takes_the_nearest_entry() -> None:
    table = color_table("gray")
    values = torch.tensor([[0.4, 0.6], [100.4, 100.6]]) / 255
    assert torch.equal(colorize(values, "gray"), table[torch.tensor([[0, 1], [100, 101]])].movedim(-1, 0))
