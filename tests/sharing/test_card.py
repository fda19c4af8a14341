from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from backlight.sharing import CardFacts, model_card
from backlight.sharing.metrics import metrics_of, size_text
from backlight.sharing.yaml_text import yaml_lines

PASSPORT = {"name": "net", "labels": ["cat", "dog"], "size": [32, 32], "sources": {"size": "given"}, "weights": "abc"}
DATA = {"name": "photos", "split": "test", "n": 200}
EVALUATION = {
    "n": 200,
    "accuracy": 0.81,
    "accuracy_interval": [0.75, 0.86],
    "top5": None,
    "ece": 0.05,
    "per_class": {},
    "model": PASSPORT,
    "data": DATA,
}
ROBUSTNESS = {"n": 100, "attack": "pgd:steps=20", "norm": "linf", "eps": 8 / 255, "robust_accuracy": 0.3, "data": DATA}


def front(text: str) -> dict[str, Any]:
    _, head, _ = text.split("---\n", 2)
    return yaml.safe_load(head)


def test_hubs_read_the_metrics() -> None:
    facts = CardFacts(PASSPORT, ("net.onnx",), "mit", version="1.0")
    head = front(model_card(facts, [("evaluate", EVALUATION), ("robustness", ROBUSTNESS)]))
    assert (head["license"], head["pipeline_tag"]) == ("mit", "image-classification")
    (model,) = head["model-index"]
    assert model["name"] == "net"
    first, second = model["results"]
    assert first["task"]["type"] == "image-classification"
    assert first["dataset"] == {"name": "photos", "type": "photos", "split": "test"}
    assert first["metrics"] == [
        {"type": "accuracy", "value": 0.81, "name": "Accuracy"},
        {"type": "expected_calibration_error", "value": 0.05, "name": "Expected calibration error"},
    ]
    assert second["metrics"][0]["name"] == "Robust accuracy (pgd:steps=20, linf 8/255)"


def test_the_body_says_what_was_measured_and_what_was_not() -> None:
    text = model_card(CardFacts(PASSPORT, doubts=("the mean was assumed",)), [("evaluate", EVALUATION)])
    assert "| Accuracy | 81.0% | 75.0 to 86.0% | 200 | photos test |" in text
    assert "the mean was assumed" in text
    missing = text.split("## What was not measured")[1]
    assert "`backlight robustness`" in missing
    assert "`backlight evaluate`" not in missing
    assert "| size | 32, 32 | given |" in text


def test_a_card_without_results_says_so() -> None:
    text = model_card(CardFacts(PASSPORT), [])
    assert "model-index" not in front(text)
    assert "Nothing: no results were given." in text


def test_a_stand_in_is_called_so() -> None:
    (metric,) = metrics_of(ROBUSTNESS | {"stands_in_for": "autoattack"})
    assert metric.name.endswith("stands in for autoattack)")


def test_sizes_are_written_as_people_do() -> None:
    assert [size_text("linf", 2.21 / 255), size_text("l2", 0.5)] == ["linf 2.21/255", "l2 0.5"]


@given(st.text(), st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_no_text_is_read_as_anything_else(name: str, label: str, value: float) -> None:
    document = {"name": name, "values": [{"label": label, "value": value, "none": []}], "on": {"n": True}}
    expected = {"name": name, "values": [{"label": label, "value": value, "none": []}], "on": {"n": True}}
    assert yaml.safe_load("\n".join(yaml_lines(document))) == {
        True if key == "on" else key: one for key, one in expected.items()
    }


@given(st.text(), st.text())
def test_hostile_names_stay_texts(name: str, label: str) -> None:
    data = {"name": name, "split": "test"}
    text = model_card(CardFacts({"name": name, "labels": [label]}), [("evaluate", EVALUATION | {"data": data})])
    head = front(text)
    expected = name or "model"
    assert head["model-index"][0]["name"] == expected
    assert "<script" not in text.split("---\n", 2)[2]
