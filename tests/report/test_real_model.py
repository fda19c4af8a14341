"""The page as people first see it: the embedded model on the sample photographs."""

from __future__ import annotations

from pathlib import Path

import pytest

import backlight
from backlight.evaluate import predict
from backlight.images import write_png
from backlight.report import sample_pictures, write_report
from tests.report.reading import read, stored

MOST_BYTES = 1_500_000


@pytest.mark.slow
def test_the_samples_make_a_page_that_can_be_sent_on(tmp_path: Path) -> None:
    classifier = backlight.load()
    made = write_report(classifier, sample_pictures(), tmp_path / "report.html")
    assert made.pictures == 4
    assert made.html.stat().st_size < 4 * MOST_BYTES
    page = read(made.html)
    text = " ".join(page.text.split())
    assert "With random weights" in text
    for place, method in ((1, "fgsm"), (2, "pgd"), (3, "pgd"), (4, "targeted_l2")):
        file = tmp_path / f"{place}.png"
        write_png(file, stored(page, f"picture-{place}-{method}"))
        answer = predict(classifier, [file]).done[0].best.label
        said = f"steps it says {answer}," if method == "targeted_l2" else f"It now says {answer} instead of"
        assert said in text
