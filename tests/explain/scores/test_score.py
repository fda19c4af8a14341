"""The one call for scores: the table, the summary, the model left alone."""

from __future__ import annotations

import pytest
import torch

from backlight.classifier import Classifier
from backlight.core.errors import InputError, UsageError
from backlight.explain.scores import METRICS, score, summarize
from backlight.table import Table
from backlight.testing import small_net, unchanged
from tests.explain.nets import distinct_relu_net, images, wrap


def test_every_metric_beside_both_controls_with_the_model_unchanged() -> None:
    net = small_net()
    classifier = Classifier.from_module(net, size=16)
    masks = torch.zeros(3, 16, 16, dtype=torch.bool)
    masks[:, 4:9, 4:9] = True
    options = {"methods": ["saliency", "gradcam"], "metrics": list(METRICS), "masks": masks, "ids": ["a", "b", "c"]}
    with unchanged(net):
        found = score(classifier, images().float(), 1, **options)
    names = [f"{who}.{metric}" for metric in METRICS for who in ("saliency", "gradcam", "random", "edges")]
    assert found.table.names == ["id", "target", *names]
    assert found.table.ids == ["a", "b", "c"]
    summary = found.summary()
    entry = summary["saliency"]["deletion"]
    mean = {who: float(found.table[f"{who}.deletion"].mean()) for who in ("saliency", "random", "edges")}
    assert entry["mean"] == pytest.approx(mean["saliency"])
    assert entry["edges"]["difference"] == pytest.approx(mean["saliency"] - mean["edges"])
    difference = found.table["saliency.deletion"] - found.table["random.deletion"]
    assert entry["random"]["standard_error"] == pytest.approx(difference.std(ddof=1) / 3**0.5)
    assert (entry["better"], entry["n"]) == ("lower", 3)


def test_maps_that_ignore_the_model_score_1_under_randomization() -> None:
    scores = score(wrap(distinct_relu_net()), images(), 1, methods=["saliency"], metrics=["model_randomization"])
    assert scores.table["edges.model_randomization"] == pytest.approx([1, 1, 1])
    assert scores.table["random.model_randomization"] == pytest.approx([1, 1, 1])
    assert scores.table["saliency.model_randomization"].mean() < 0.8


def test_undefined_scores_are_left_out_and_counted() -> None:
    columns = {f"{who}.mass": [0.5, float("nan"), 0.7] for who in ("m", "random", "edges")}
    entry = summarize(Table.of({"id": ["a", "b", "c"], **columns}))["m"]["mass"]
    assert (entry["mean"], entry["n"]) == (pytest.approx(0.6), 2)
    nothing = {f"{who}.mass": [float("nan")] for who in ("m", "random", "edges")}
    assert summarize(Table.of({"id": ["a"], **nothing}))["m"]["mass"]["mean"] is None


def test_errors() -> None:
    classifier = wrap(distinct_relu_net())
    with pytest.raises(UsageError, match="deletion"):
        score(classifier, images(), metrics=["deletoin"])
    with pytest.raises(InputError, match="no masks"):
        score(classifier, images(), metrics=["mass"])
    with pytest.raises(InputError, match="masks of shape"):
        score(classifier, images(), metrics=["mass"], masks=torch.ones(3, 4, 4, dtype=torch.bool))
    with pytest.raises(UsageError, match="function"):
        score(classifier, images(), lambda logits: logits[:, 0])
