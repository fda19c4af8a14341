"""What decoding takes in memory is known from the header, and all threads together keep within one budget."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from backlight.core.errors import FileError
from backlight.images import budget, flatten
from backlight.images.budget import Budget
from backlight.images.decode import decode_picture
from backlight.images.flatten import as_rgb, bands, require_room


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_threads_together_hold_no_more_than_the_budget():
    shared, seen = Budget(100), []

    def work(count):
        with shared.shared():
            shared.take(count)
            seen.append(shared.held)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [60, 30, 90, 10, 100, 5, 45] * 30))
    assert max(seen) <= 100
    assert shared.held == 0


def test_a_thread_that_holds_some_takes_more_without_waiting():
    shared = Budget(100)
    with shared.shared(), shared.shared():
        shared.take(90)
        shared.take(90)
        assert shared.held == 180
    assert shared.held == 0


def test_what_was_taken_is_given_back_after_an_error():
    shared = Budget(100)

    @shared.shared()
    def fail():
        shared.take(90)
        raise FileError("a.png", "is broken")

    with pytest.raises(FileError):
        fail()
    assert shared.held == 0


def test_a_picture_above_the_limit_is_one_sentence(monkeypatch):
    monkeypatch.setattr(flatten, "DECODED_LIMIT", 2**20)
    data = encoded(Image.new("RGBA", (400, 400)))
    with pytest.raises(FileError, match=r"cat: has 400 x 400 pixels, which take 1 MiB decoded; expected at most 1 MiB"):
        decode_picture(data, "cat")
    rgb = encoded(Image.new("RGB", (400, 400)))
    assert decode_picture(rgb, "cat").size == (400, 400)
    with pytest.raises(FileError, match="decoded"):
        decode_picture(rgb, "cat", keep=3)


def test_a_turned_picture_counts_twice(monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    monkeypatch.setattr(flatten, "DECODED_LIMIT", 2**20)
    for kind in ("JPEG", "PNG"):
        with pytest.raises(FileError, match="decoded"):
            decode_picture(encoded(Image.new("RGB", (400, 400)), kind, exif=exif), "cat")


def test_the_largest_picture_is_within_the_limit_as_plain_rgb_and_not_with_alpha():
    side = 13377  # as large as PIL allows
    assert require_room("a", _unread("RGB", side)) < budget.DECODED_LIMIT
    with pytest.raises(FileError, match="decoded"):
        require_room("a", _unread("RGBA", side))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK", "I;16"])
def test_bands_change_no_pixel(monkeypatch, mode):
    values = np.random.default_rng(0).integers(0, 256, (37, 23, 4), dtype=np.uint8)
    picture = Image.fromarray(values)
    picture = Image.fromarray(values[..., 0].astype(np.uint16) * 257) if mode == "I;16" else picture.convert(mode)
    if mode == "P":
        picture.info["transparency"] = 3
    whole = np.asarray(as_rgb(picture, "a"))
    monkeypatch.setattr(flatten, "_BAND", 50)
    assert len(list(bands(picture.size))) == 19
    assert np.array_equal(np.asarray(as_rgb(picture, "a")), whole)


def _unread(mode, side):
    """Stand in for a picture whose header alone was read."""
    picture = Image.new(mode, (1, 1))
    picture._size = (side, side)
    return picture
