"""Methods and metrics by name, as functions, as cards and out of files; a foreign metric on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.errors import InputError, UsageError
from backlight.data import load_data
from backlight.explain import METHODS, Attribution, Card, choose_methods, explain, explain_data
from backlight.explain.request import Request
from backlight.explain.scores import Metric, choose_metrics, describe_scores, score
from backlight.explain.scores.judge import Judge
from backlight.explain.session import Session
from backlight.report.explanations import explanations_section


def classifier_of(size: int = 8) -> Classifier:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 8))
    for index, parameter in enumerate(net.parameters()):
        parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index))
    return Classifier.from_module(net, size=size)


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def scaled_gradient(session: Session, *, factor: float = 1.0, channel: int | None = None) -> Tensor:
    """Return the gradient times a factor, of all channels added or of one."""
    gradient = factor * session.gradient()
    return gradient if channel is None else gradient[:, channel]


def test_a_function_a_card_and_a_file_are_methods(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from tests.explain.test_choosing import scaled_gradient\n")
    classifier, x = classifier_of(), images()
    gradient = explain(classifier, x, methods=["saliency"])["saliency"].attributions
    card = Card("twice", scaled_gradient)
    spec = f"{tmp_path}/mine.py:scaled_gradient:factor=2,channel=1"
    found = explain(classifier, x, methods=[scaled_gradient, card, spec])
    assert list(found) == ["scaled_gradient", "twice", "scaled_gradient:factor=2,channel=1"]
    assert torch.equal(found["scaled_gradient"].attributions, gradient)
    assert torch.equal(found["scaled_gradient"].heatmap(), gradient.sum(1))
    assert torch.equal(found["scaled_gradient:factor=2,channel=1"].heatmap(), 2 * gradient[:, 1])
    assert found["twice"].forwards == found["twice"].backwards == 1


def test_hyphen_and_underscore_are_one() -> None:
    assert choose_methods(["integrated-gradients"])[0].card is METHODS["integrated_gradients"]
    with pytest.raises(UsageError, match="each once"):
        choose_methods(["integrated-gradients", "integrated_gradients"])


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("smoothgrad:sample=3", "no option 'sample'; expected .*samples"),
        ("saliency:steps=3", "no options"),
        ("smoothgrad:samples=2.5", "a whole number"),
        ("gradcamm", "gradcam"),
        (7, "the name of a method, a Card or a function"),
        ("captum:Saliency:points=3", "no option 'points'"),
    ],
)
def test_what_is_not_understood_is_told_with_what_is(method: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        choose_methods([method])


@pytest.mark.parametrize("wrong", [lambda session: None, lambda session: torch.zeros(3, 4, 4), lambda session: 3.0])
def test_a_method_that_returns_no_map_of_the_images_size_is_told(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"lambda returned .*expected an Attribution, or a map \[3,8,8\]"):
        explain(classifier_of(), images(), methods=[wrong])


def peak(judge: Judge, maps: Tensor) -> Tensor:
    """Return the target's probability where nothing is left but the map's highest pixel."""
    heat = maps.sum(1).flatten(1)
    kept = (heat == heat.amax(1, keepdim=True)).view(len(maps), 1, *judge.size)
    return judge.outputs(lambda rows, _: judge.images[rows] * kept[rows], 1)[:, 0]


def test_a_function_a_card_and_a_file_are_metrics(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from tests.explain.test_choosing import peak\n")
    metrics = [f"{tmp_path}/mine.py:peak", Metric("summit", peak, "higher", asks="How sure it is of one pixel.")]
    found = score(classifier_of(), images(), methods=["saliency"], metrics=[*metrics, "deletion"])
    summary = found.summary()["saliency"]
    assert list(summary) == ["peak", "summit", "deletion"]
    assert summary["peak"]["mean"] == summary["summit"]["mean"]
    assert (summary["peak"]["better"], summary["summit"]["better"]) == ("", "higher")
    assert [entry["judges"] for entry in summary.values()] == [False, True, True]
    assert "peak" not in describe_scores(found.summary())[0]


def test_a_foreign_metric_gets_its_chart_and_question_on_the_page() -> None:
    question = "How sure it is of one pixel <alone>."
    mine = Metric("summit", peak, "higher", asks=question)
    data = load_data("shapes:n=6,size=8", split="all")
    found = explain_data(classifier_of(), data, Request((scaled_gradient, "saliency")), metrics=[mine, peak])
    html = str(explanations_section(found).html)
    assert "How sure it is of one pixel &lt;alone&gt;." in html
    assert found.summary()["scaled_gradient"]["summit"]["better"] == "higher"
    assert found.to_json()["methods"]["saliency"]["peak"]["mean"] is not None


@pytest.mark.parametrize("wrong", [lambda judge, maps: None, lambda judge, maps: maps])
def test_a_metric_that_returns_something_else_is_told(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"the metric lambda returned .*one number per image \[3\]"):
        score(classifier_of(), images(), methods=["saliency"], metrics=[wrong])


def test_a_metric_by_a_wrong_name_is_told() -> None:
    with pytest.raises(UsageError, match="no metric 'deletoin'; try: deletion"):
        choose_metrics(["deletoin"])


def test_an_edited_method_is_run_anew_on_resume(tmp_path: Path) -> None:
    file, data = tmp_path / "mine.py", load_data("shapes:n=3,size=8", split="all")
    request = Request((f"{file}:flat_or_not",))

    def run(code: str) -> float:
        file.write_text(f"def flat_or_not(session): return {code}\n")
        found = explain_data(classifier_of(), data, request, metrics=(), out=tmp_path / "out", resume=True)
        return float(found.summary()["flat_or_not"]["border"]["mean"])

    first, second = run("session.images[:, 0]"), run("session.images[:, 0] ** 8")
    assert first != second
    assert isinstance(explain(classifier_of(), images(), methods=[f"{file}:flat_or_not"])["flat_or_not"], Attribution)
