"""How near the nearest answers were after so many queries: as a table, as a document, on the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from backlight.attack import Challenge, ThreatModel
from backlight.attack.black_box.queries import ask
from backlight.attack.evaluation import evaluate_robustness
from backlight.attack.request import RobustnessRequest
from backlight.attack.trail import COLUMN, QUERIES, Trail, quantiles
from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.report.robustness import robustness_section
from tests.attack.nets import pictures, sharp_net

ASKED = RobustnessRequest("rays:queries=60", checks=False)


def classifier_of() -> Classifier:
    return Classifier.from_module(sharp_net(), size=16, labels=[str(number) for number in range(5)])


def data(count: int = 12) -> Dataset:
    """Pictures of which every fourth is misclassified."""
    images = (pictures(count) * 255).round().to(torch.uint8)
    labels = classifier_of().logits(images.float() / 255).argmax(1)
    labels[::4] = (labels[::4] + 1) % 5
    return Dataset.of(images, labels, [str(number) for number in range(5)])


def test_a_trail_notes_what_each_query_found() -> None:
    class Bright(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            level = images.mean((1, 2, 3))
            return torch.stack([torch.zeros_like(level), level - 0.55], 1)

    def steps(place):
        for far in (0.01, 0.4, 0.3, 0.35, 0.1, 0.02):
            yield (place.original + far)[None]

    classifier = Classifier.from_module(Bright(), size=2, mean=(0.0,) * 3, std=(1.0,) * 3)
    images = torch.full((2, 3, 2, 2), 0.5, dtype=torch.float64)
    challenge = Challenge.of(classifier, images, threat=ThreatModel("linf", None))
    trail = Trail(2)
    ask(replace(challenge, watch=trail), "steps", steps, queries=9, nearest=True)
    expected = [torch.inf, 0.4, *[0.1] * (len(QUERIES) - 1)]
    assert torch.allclose(trail.near, torch.tensor(expected).double().expand(2, -1), atol=1e-6)


def test_quantiles_are_those_of_numpy_where_all_were_fooled() -> None:
    near = np.sort(np.random.default_rng(0).random((7, len(QUERIES) + 1)))[:, ::-1]
    found = quantiles(near, 150)
    assert list(found) == [1, 2, 5, 10, 20, 50, 100, 150]
    for name, share in {"10%": 0.1, "median": 0.5, "90%": 0.9}.items():
        assert found[10][name] == pytest.approx(np.quantile(near[:, QUERIES.index(10)], share))
        assert found[150][name] == pytest.approx(np.quantile(near[:, -1], share))
    near = np.array([[0.1], [0.2], [np.inf], [np.inf]]) + np.zeros(len(QUERIES) + 1)
    assert quantiles(near, 1)[1] == {"10%": pytest.approx(0.13), "median": np.inf, "90%": np.inf}


def test_distances_over_queries_end_at_the_smallest_changes() -> None:
    found = evaluate_robustness(classifier_of(), data(), ASKED)
    right = found.table["broken_by"] != "clean"
    near = found.table[COLUMN][right]
    assert (np.diff(near, axis=1) <= 0).all()
    assert near[:, -1].tolist() == found.table["distance"][right].tolist()
    known = found.distance_over_queries
    assert known is not None
    assert known[60]["median"] == found.median_smallest < known[20]["median"]
    assert all(one["10%"] <= one["median"] <= one["90%"] for one in known.values())
    assert json.loads(json.dumps(found.to_json()))["distance_by_queries"]["60"]["median"] == known[60]["median"]
    assert "Nearer with more queries" in str(robustness_section(found).html)


@pytest.mark.promises
def test_distances_over_queries_are_the_same_in_any_block_and_after_a_stop(tmp_path: Path) -> None:
    whole = evaluate_robustness(classifier_of(), data(), ASKED, cache=tmp_path, block=5)
    again = evaluate_robustness(classifier_of(), data(), ASKED, cache=tmp_path, block=5)
    alone = evaluate_robustness(classifier_of(), data(), ASKED)
    assert again.distance_over_queries == whole.distance_over_queries
    assert np.allclose(alone.table[COLUMN], whole.table[COLUMN], atol=1e-6)


def test_with_an_eps_there_are_shares_and_no_distances() -> None:
    found = evaluate_robustness(classifier_of(), data(), replace(ASKED, eps="8/255"))
    assert found.over_queries is not None
    assert found.distance_over_queries is None
    assert COLUMN not in found.table.names
