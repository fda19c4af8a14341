"""Names of produced files: one for each input, short enough for any file system."""

from __future__ import annotations

import os

from backlight.images.intake import unique_stems


def test_long_names_are_shortened_and_stay_apart() -> None:
    long = ["x" * 251 + end for end in ("a.jpg", "b.jpg")] + ["\u00e9" * 125 + ".jpg", "ok.jpg"]
    stems = unique_stems(long)
    assert len(set(stems)) == 4
    assert stems[3] == "ok"
    assert all(len(os.fsencode(stem)) <= 150 for stem in stems)
    assert unique_stems(long) == stems


def test_names_that_are_not_utf8_are_shortened_too() -> None:
    stem = unique_stems([os.fsdecode(b"\xff" * 200 + b".png")])[0]
    assert 0 < len(os.fsencode(stem)) <= 150
