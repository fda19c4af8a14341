"""What a notebook shows of each result: the sections of its page, in a frame that can reach nothing around it."""

from __future__ import annotations

import html
import sys
import tempfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight import Classifier
from backlight.attack import (
    PatchRequest,
    RobustnessRequest,
    TransferRequest,
    attack,
    evaluate_robustness,
    evaluate_transfer,
    evaluate_universal,
)
from backlight.audit import audit
from backlight.certify import CertifyRequest, evaluate_certificates
from backlight.core.errors import UsageError
from backlight.corrupt import evaluate_corruptions
from backlight.corrupt.request import CorruptionRequest
from backlight.data import Dataset
from backlight.denoise import denoise
from backlight.evaluate import evaluate
from backlight.explain import explain, explain_data
from backlight.explain.request import Request
from backlight.report.notebook import notebook_html
from backlight.table import Table
from backlight.train import Trained, fit
from backlight.train.recipe import Recipe
from backlight.train.runtime import Runtime
from backlight.visualize import class_image

HOSTILE = "<script>alert(1)</script>"
NAMES = (HOSTILE, "dog")


def classifier() -> Classifier:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    return Classifier.from_module(net, size=8, labels=NAMES)


def pictures() -> Dataset:
    values = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Dataset.of(values, [0, 1, 1, 0], NAMES)


def named_rightly() -> Dataset:
    shown = pictures()
    return Dataset.of(shown.read(range(4)), classifier().logits(floats()).argmax(1), NAMES)


def floats() -> torch.Tensor:
    return pictures()[:].images


def trained() -> Trained:
    runtime, folder = Runtime(tensorboard=False), Path(tempfile.mkdtemp()) / "run"
    return fit(classifier(), pictures(), pictures(), folder, recipe=Recipe(epochs=1), runtime=runtime)


RESULTS: dict[str, tuple[Callable[[], object], str]] = {
    "classifier": (classifier, "multiply-adds"),
    "data": (pictures, "Pictures of each class"),
    "attack": (lambda: attack(classifier(), floats(), eps="8/255", steps=3), "fooled by pgd"),
    "robustness": (lambda: evaluate_robustness(classifier(), pictures(), RobustnessRequest("fgsm")), "Under attack"),
    "evaluation": (lambda: evaluate(classifier(), pictures()), "4 pictures"),
    "corruptions": (
        lambda: evaluate_corruptions(classifier(), pictures(), CorruptionRequest.of("fog", severities="1")),
        "fog",
    ),
    "transfer": (
        lambda: evaluate_transfer([classifier(), classifier()], pictures(), TransferRequest.of("mi:steps=2")),
        "Who fools whom",
    ),
    "universal": (
        lambda: evaluate_universal(classifier(), named_rightly(), PatchRequest(steps=2)),
        "How often it fools",
    ),
    "certificates": (
        lambda: evaluate_certificates(classifier(), pictures(), CertifyRequest("ibp")),
        "How far it is proved",
    ),
    "explanations": (lambda: explain_data(classifier(), pictures(), Request(("saliency",))), "saliency"),
    "class image": (lambda: class_image(classifier(), 1, steps=2), "dog"),
    "audit": (lambda: audit(classifier(), pictures(), depth="quick"), "At a glance"),
    "training": (trained, "Training"),
    "denoised": (lambda: denoise(floats(), alpha=1.0), "alpha"),
}


class Frames(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_shows_its_page_in_a_sandbox(name: str) -> None:
    make, words = RESULTS[name]
    shown = make()._repr_html_()  # type: ignore[attr-defined]
    ((tag, attributes),) = Frames(shown).tags
    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-scripts"
    page = attributes["srcdoc"] or ""
    assert words in page
    assert HOSTILE not in page
    assert "Content-Security-Policy" in page
    assert [one for one, _ in Frames(page).tags].count("script") == 1


def test_names_of_classes_stand_beside_an_attack() -> None:
    page = html.unescape(attack(classifier(), floats(), eps="8/255", steps=3)._repr_html_())
    assert html.escape(HOSTILE) in page
    assert "<dd>dog</dd>" in page


def test_what_has_no_page_is_refused() -> None:
    with pytest.raises(TypeError, match="no page shows a int"):
        notebook_html(3)


def test_a_figure_shows_itself_without_pyplot() -> None:
    figure = explain(classifier(), floats(), methods=["saliency"]).figure()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_table_goes_into_pandas_with_its_lists() -> None:
    frame = Table.of(id=["a", "b"], label=[0, 1], logits=[[0.1, 0.9], [0.2, 0.8]]).to_pandas()
    assert list(frame.columns) == ["id", "label", "logits"]
    assert [list(one) for one in frame["logits"]] == [[0.1, 0.9], [0.2, 0.8]]


def test_without_pandas_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install pandas"):
        Table.of(id=["a"]).to_pandas()
