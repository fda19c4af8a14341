"""What stands below the title of a page, and which terms it explains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from backlight import Classifier, load
from backlight.page.glossary import GLOSSARY
from backlight.page.page import Page, write_page
from backlight.page.sections import Section, render, term
from backlight.report.about import about


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")


def test_it_names_weights_pictures_date_and_command() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    classifier = Classifier.from_module(net, size=2, mean=(0.5,) * 3, std=(0.5,) * 3, name="toy")
    found = dict(about(classifier, data="photos (test)", command="backlight evaluate"))
    assert found["model"] == "toy"
    assert found["weights"] == classifier.passport.weights
    assert "mean 0.5" in found["pictures reach it by"]
    assert found["pictures"] == "photos (test)"
    assert found["date"] == "1970-01-01 00:00 UTC"
    assert found["command"] == "backlight evaluate"
    other = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2, name="toy")
    assert dict(about(other))["weights"] != found["weights"]


@pytest.mark.parametrize("clock", ["", "-5", "tomorrow", "1e3"])
def test_a_clock_that_is_none_is_passed_over(clock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", clock)
    assert not dict(about())["date"].startswith("1970")


def test_a_classifier_is_titled_by_its_file_of_weights(tmp_path: Path) -> None:
    net = load("classic_cnn", random=True).module
    torch.save(net.state_dict(), tmp_path / "best-of-may.pth")
    classifier = load("classic_cnn", weights=tmp_path / "best-of-may.pth", device="cpu")
    assert classifier.title == "best-of-may.pth (classic_cnn)"
    assert classifier.name == "classic_cnn"
    assert classifier.fast().title == classifier.title
    assert load("classic_cnn", random=True).title == "classic_cnn"


def test_what_a_page_is_of_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(path, [], title="T", seconds=1.0, about=[("command", "<script>x</script>"), ("pictures", "<i>")])
    assert "<script>x" not in path.read_text("utf-8")
    assert "&lt;script&gt;x" in path.read_text("utf-8")


def test_a_page_explains_the_terms_that_it_uses_and_no_others() -> None:
    html = render("skipped.html", {"failed": [('data-term="gradient"', "no picture")]}) + term("logit", "logits")
    page = Page("", None, (), (Section("one", "One", html),), (), 0, 1.0, "T").html()
    assert GLOSSARY["logit"].split(".")[0] in page[page.index('id="terms"') :]
    assert page.count("<dt>") == 1
    assert 'id="terms"' not in Page("", None, (), (), (), 0, 1.0, "T").html()
