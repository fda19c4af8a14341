"""Films of pictures on the way are bounded, begin where the work began and end where it ended."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image, ImageSequence

from backlight.core.errors import InputError
from backlight.images import to_tensor
from backlight.visualize.film import LONGEST, MOST_FRAMES, Film, animation
from backlight.visualize.pictures import Frame


def _filmed(steps: int, side: int = 4, count: int = 1, **limits: int) -> Film:
    film = Film(**limits)
    for step in range(steps):
        film(Frame(step, steps - 1, torch.full((count, 3, side, side), step / max(steps - 1, 1))))
    return film


@pytest.mark.parametrize("steps", [1, 2, 3, 47, 48, 49, 97, 1000])
def test_a_film_is_bounded_and_has_both_ends(steps: int) -> None:
    times = [frame.t for frame in _filmed(steps).frames]
    assert len(times) <= MOST_FRAMES
    assert len(times) >= min(steps, MOST_FRAMES // 2)
    assert (times[0], times[-1]) == (0, steps - 1)
    assert times == sorted(set(times))
    gaps = {second - first for first, second in zip(times[:-2], times[1:-1])}
    assert len(gaps) <= 1, "evenly spaced but for the last"


def test_a_film_holds_at_most_so_many_bytes_while_it_is_taken() -> None:
    most = 20 * 3 * 8 * 8
    film = Film(most_bytes=most)
    for step in range(200):
        film(Frame(step, 199, torch.zeros(1, 3, 8, 8)))
        assert sum(levels.numel() for _, _, levels in film.kept) <= most
    large = _filmed(5, side=64, most_bytes=10)
    assert [frame.t for frame in large.frames] == [0, 4]


def test_frames_are_the_pictures_to_the_level() -> None:
    film = Film()
    picture = torch.rand(2, 3, 5, 7)
    film(Frame(0, 1, picture))
    assert (film.frames[0].images - picture).abs().max() <= 0.5 / 255 + 1e-6


def test_an_animation_shows_every_picture_once_and_rests_on_the_last() -> None:
    shades = [0.0, 0.5, 1.0]
    data = animation([torch.full((3, 16, 24), shade) for shade in shades])
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.size == (24, 16)
        one_by_one = ImageSequence.Iterator(opened)
        frames = [(to_tensor(one.convert("RGB")).mean().item(), one.info["duration"]) for one in one_by_one]
    assert [shade for shade, _ in frames] == pytest.approx(shades, abs=0.03)
    assert frames[-1][1] > 5 * frames[0][1]
    assert b"EXIF" not in data


def test_an_animation_is_reduced_and_needs_pictures() -> None:
    with Image.open(io.BytesIO(animation([torch.zeros(1, 30, 2000)]))) as opened:
        assert max(opened.size) == LONGEST
    with pytest.raises(InputError):
        animation([])
    with pytest.raises(InputError):
        Film(most=1)
