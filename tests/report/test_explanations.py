"""The section about a data set's explanations: what it says follows from the table, and it stays one safe page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.explain import explain_data
from backlight.explain.request import Request
from backlight.explain.scores import describe_scores
from backlight.explain.scores.verdict import verdict
from backlight.explain.study import DataExplanations
from backlight.page.charts import interval_chart
from backlight.report import write_report
from backlight.report.explanations import explanations_section
from backlight.table.statistics import mean_interval
from tests.report.conftest import SCRIPT
from tests.report.reading import Document

METHODS = ("saliency", "occlusion:window=4,stride=4")


class Corner(nn.Module):
    """Say class 0 by the upper left corner alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = 6 * x[:, :, :4, :4].mean((1, 2, 3)) - 3
        return torch.stack([seen, -seen], 1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, DataExplanations]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(60, 256, (16, 3, 16, 16), generator=generator, dtype=torch.uint8)
    pixels[:, :, :4, :4] = 255
    labels = [SCRIPT, "dog"]
    data = Dataset.of(pixels, [0] * 12 + [1] * 4, labels, [f"{SCRIPT}{row}" for row in range(16)])
    classifier = Classifier.from_module(Corner(), size=16, labels=labels)
    out = tmp_path_factory.mktemp("study")
    return classifier, explain_data(classifier, data, Request(METHODS), metrics=["deletion", "insertion"], out=out)


@pytest.fixture(scope="module")
def page(study: tuple[Classifier, DataExplanations], tmp_path_factory: pytest.TempPathFactory) -> Path:
    classifier, found = study
    out = tmp_path_factory.mktemp("page") / "report.html"
    write_report(classifier, (), out, sections=[explanations_section(found)])
    return out


def test_the_words_and_numbers_are_those_of_the_table(study: tuple[Classifier, DataExplanations], page: Path) -> None:
    _, found = study
    document = Document(page.read_text())
    for sentence in describe_scores(found.summary()):
        assert sentence in document.text
    assert "saliency: better than a random map by deletion" in " ".join(describe_scores(found.summary()))
    entry = found.summary()["saliency"]["deletion"]
    assert f"{entry['mean']:.3g}" in document.text
    assert f"{entry['random']['difference']:+.3g}" in document.text
    assert document.text.count("Most convincing") == 2
    assert "12 pictures" in document.text


def test_the_matrix_has_a_cell_for_every_method_and_metric_colored_by_its_words(
    study: tuple[Classifier, DataExplanations], page: Path
) -> None:
    _, found = study
    summary = found.summary()
    document = Document(page.read_text())
    cells = [one["class"] for one in document.all("td") if one.get("class") in ("good", "some", "none", "bad")]
    assert len(cells) == len(summary) * 2
    expected = []
    for metrics in summary.values():
        for entry in (metrics["deletion"], metrics["insertion"]):
            words = [verdict(entry, control) for control in ("random", "edges")]
            better = words.count("better")
            expected.append("bad" if "worse" in words else ("none", "some", "good")[better])
    assert cells == expected
    assert set(cells) - {"none"}, "something is to be seen"


def test_the_most_convincing_picture_has_the_largest_advantage(
    study: tuple[Classifier, DataExplanations], page: Path
) -> None:
    _, found = study
    better = found.table["saliency.insertion"] - found.table["random.insertion"]
    document = Document(page.read_text())
    first = document.text.index("Most convincing")
    last = document.text.index("Least convincing")
    assert f"{np.nanmax(better):+.3g}" in document.text[first:last]
    assert f"{np.nanmin(better):+.3g}" in document.text[last : last + 400]


def test_names_from_outside_are_escaped_and_nothing_is_fetched(page: Path) -> None:
    text = page.read_text()
    assert SCRIPT not in text
    assert "&lt;script&gt;" in text
    sources = [attributes["src"] for tag, attributes in Document(text).elements if tag == "img"]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert all(attributes["alt"] for tag, attributes in Document(text).elements if tag == "img")


def test_without_scores_the_page_says_how_to_get_them(study: tuple[Classifier, DataExplanations]) -> None:
    classifier, found = study
    unscored = explain_data(classifier, found.data, Request(("saliency",)), metrics=())
    html = str(explanations_section(unscored).html)
    assert "--score" in html
    assert "Most convincing" not in html
    assert "of its mass" in html


def test_the_sender_s_folders_are_not_on_the_page(study: tuple[Classifier, DataExplanations]) -> None:
    _, found = study
    section = explanations_section(replace(found, data=replace(found.data, name="/home/somebody/pets/")))
    assert section.title == "Explanations of pets"
    assert "pets (" in section.html
    assert "somebody" not in section.html


def test_intervals_are_student_s_and_wilson_s() -> None:
    mean, (low, high) = mean_interval(np.array([1.0, 2.0, 4.0, 5.0]))
    half = 3.182446 * np.std([1, 2, 4, 5], ddof=1) / 2
    assert (mean, low, high) == pytest.approx((3, 3 - half, 3 + half), abs=1e-5)
    mean, (low, high) = mean_interval(np.array([0.0, 0.0, 0.0, np.nan]))
    assert (mean, low) == (0, 0)
    assert 0.5 < high < 0.6
    assert np.isnan(mean_interval(np.array([np.nan]))[0])


def test_intervals_are_drawn_to_scale() -> None:
    rows = [("a", 0.5, 0.0, 1.0, False), ("<b>", 1.0, 0.5, 2.0, True), ("gone", float("nan"), 0.0, 1.0, False)]
    drawn = Document(f"<div>{interval_chart(rows, alt='scores')}</div>")
    circles = [float(attributes["cx"]) for tag, attributes in drawn.elements if tag == "circle"]
    lines = [a for tag, a in drawn.elements if tag == "line" and "axis" not in a["class"]]
    assert len(circles) == 2
    left, right = float(lines[0]["x1"]), float(lines[1]["x2"])
    assert circles == pytest.approx([left + 0.25 * (right - left), left + 0.5 * (right - left)], abs=0.1)
    assert "<b>" in drawn.text


@pytest.mark.parametrize("width", [375, 1200])
def test_nothing_sticks_out(browser: Any, page: Path, width: int) -> None:
    shown = browser.new_context(viewport={"width": width, "height": 800}, offline=True).new_page()
    complaints: list[str] = []
    shown.on("console", lambda message: complaints.append(message.text))
    shown.goto(page.as_uri())
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.evaluate("[...document.images].filter(image => !image.naturalWidth).length") == 0
    assert complaints == []
