"""LIME and KernelSHAP against exact cases: linear models, closed forms, Shapley values by brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.explain import explain
from backlight.explain.methods.superpixels import superpixels
from tests.explain.nets import MEAN, distinct_relu_net, images, wrap

SIDE = 16


def linear() -> Classifier:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.arange(6.0 * SIDE * SIDE).view(2, -1).sin())
    return wrap(net)


def coefficients(classifier: Classifier, x: Tensor, regions: Tensor, hidden: Tensor) -> Tensor:
    """Give what showing each superpixel adds to the first logit of a linear model."""
    before = classifier.logits(hidden[None])[0, 0]
    shown = [torch.where(regions == one, x, hidden) for one in range(int(regions.max()) + 1)]
    return torch.stack([classifier.logits(one[None])[0, 0] - before for one in shown]).detach()


def by_region(raw: Tensor, regions: Tensor) -> Tensor:
    """Read one value per superpixel off a map, which must be constant in each."""
    parts = [raw[0][regions == one] for one in range(int(regions.max()) + 1)]
    assert all(bool((part == part[0]).all()) for part in parts)
    return torch.stack([part[0] for part in parts])


@pytest.mark.parametrize("method", ["lime:ridge=1e-9,samples=200", "kernelshap:samples=300"])
def test_a_model_that_is_linear_in_superpixels_gives_its_coefficients(method: str) -> None:
    classifier, x = linear(), images(2)
    spec = f"{method},segments=9"
    raw = explain(classifier, x, 0, methods=[spec])[spec].attributions
    fill = torch.tensor(MEAN, dtype=torch.float64).view(3, 1, 1).expand(3, SIDE, SIDE)
    for row in range(2):
        regions = superpixels(x[row], 9)
        assert int(regions.max()) > 2
        assert torch.allclose(by_region(raw[row], regions), coefficients(classifier, x[row], regions, fill), atol=1e-6)


def test_lime_is_the_weighted_ridge_regression_of_the_paper() -> None:
    classifier, x, random = wrap(distinct_relu_net()), images(1), Random(3, [5])
    spec = "lime:samples=30,segments=6,width=0.4,ridge=0.5,baseline=black"
    found = explain(classifier, x, 1, methods=[spec], random=random, chunk=7)[spec]
    regions = superpixels(x[0], 6)
    count = int(regions.max()) + 1
    rows, scores, weights = [], [], []
    for sample in range(30):
        shown = (random.fork(("lime", sample)).uniform(count, dtype=torch.float64)[0] < 0.5).double()
        shown = torch.ones(count, dtype=torch.float64) if sample == 0 else shown
        cosine = float(shown.sum() / (shown.norm() * count**0.5)) if shown.any() else 0.0
        rows.append(shown)
        weights.append(math.exp(-((1 - cosine) ** 2) / 0.4**2))
        scores.append(classifier.logits(x * shown[regions])[0, 1].detach())
    z, y, w = torch.stack(rows), torch.stack(scores), torch.tensor(weights, dtype=torch.float64)
    z, y = z - (w @ z) / w.sum(), y - (w @ y) / w.sum()  # the intercept is free
    expected = torch.linalg.solve(z.T @ (w[:, None] * z) + 0.5 * torch.eye(count), z.T @ (w * y))
    assert torch.allclose(by_region(found.attributions[0], regions), expected, atol=1e-8)
    assert found.forwards == 31


def shapley(value: Callable[[set[int]], float], count: int) -> list[float]:
    """Average what each player adds over all orders of joining."""
    total = [0.0] * count
    for order in itertools.permutations(range(count)):
        joined: set[int] = set()
        for one in order:
            total[one] += value(joined | {one}) - value(joined)
            joined = joined | {one}
    return [one / math.factorial(count) for one in total]


def test_kernelshap_is_the_shapley_value_by_brute_force() -> None:
    classifier, x = wrap(distinct_relu_net()), images(1, seed=4)
    spec = "kernelshap:segments=5,baseline=white"
    found = explain(classifier, x, 2, methods=[spec], quantity="probability", chunk=5)[spec]
    regions = superpixels(x[0], 5)
    count = int(regions.max()) + 1
    assert 3 <= count <= 6
    known: dict[frozenset[int], float] = {}

    def value(shown: set[int]) -> float:
        key = frozenset(shown)
        if key not in known:
            mask = torch.tensor([float(one in key) for one in range(count)], dtype=torch.float64)[regions]
            known[key] = float(classifier.probabilities(x * mask + 1 - mask)[0, 2])
        return known[key]

    assert by_region(found.attributions[0], regions).tolist() == pytest.approx(shapley(value, count), abs=1e-10)
    assert found.forwards == 1 + 2 + 2**count - 2


@pytest.mark.parametrize("samples", [8, 100, 4000])
def test_kernelshap_values_sum_to_the_change_of_the_score(samples: int) -> None:
    classifier, x = wrap(distinct_relu_net()), images(2)
    spec = f"kernelshap:segments=10,samples={samples},baseline=black"
    raw = explain(classifier, x, 1, methods=[spec])[spec].attributions
    change = (classifier.logits(x) - classifier.logits(0 * x))[:, 1].detach()
    for row in range(2):
        assert float(by_region(raw[row], superpixels(x[row], 10)).sum()) == pytest.approx(float(change[row]), abs=1e-9)


def test_drawn_subsets_come_near_the_exact_values() -> None:
    classifier, x = wrap(distinct_relu_net()), images(1)
    exact, drawn = (
        explain(classifier, x, 1, methods=[spec])[spec].attributions
        for spec in ("kernelshap:segments=9,samples=2000", "kernelshap:segments=9,samples=240")
    )
    assert float((exact - drawn).norm() / exact.norm()) < 0.25
    assert not torch.equal(exact, drawn)


@pytest.mark.parametrize("spec", ["lime:samples=20,segments=6", "kernelshap:samples=12,segments=9"])
def test_neither_the_chunk_nor_other_images_change_anything(spec: str) -> None:
    classifier, x, random = wrap(distinct_relu_net()), images(3), Random(0, [7, 8, 9])
    whole = explain(classifier, x, 1, methods=[spec], random=random)[spec].attributions
    for chunk in (1, 5):
        found = explain(classifier, x, 1, methods=[spec], random=random, chunk=chunk)[spec].attributions
        assert torch.allclose(found, whole, atol=1e-10)
    alone = explain(classifier, x[1:2], 1, methods=[spec], random=random.take(slice(1, 2)))[spec].attributions
    assert torch.allclose(alone, whole[1:2], atol=1e-10)


@pytest.mark.parametrize("channels", [1, 4])
def test_any_number_of_channels_and_a_single_superpixel(channels: int) -> None:
    net = distinct_relu_net(channels=channels).double()
    classifier = Classifier.from_module(net, mean=(0.5,) * channels, std=(1.0,) * channels, size=SIDE)
    x = images(1, channels=channels)
    found = explain(classifier, x, 1, methods=["lime:samples=5", "kernelshap:samples=5,segments=1"])
    change = float((classifier.logits(x) - classifier.logits(0 * x + 0.5))[0, 1])
    assert found["kernelshap:samples=5,segments=1"].attributions.unique().tolist() == pytest.approx([change])
    assert found["lime:samples=5"].attributions.shape == (1, 1, SIDE, SIDE)


@pytest.mark.parametrize("spec", ["lime:samples=1", "lime:width=0", "lime:ridge=-1", "kernelshap:segments=0"])
def test_options_that_make_no_sense(spec: str) -> None:
    with pytest.raises(UsageError):
        explain(wrap(distinct_relu_net()), images(1), methods=[spec])


@pytest.mark.parametrize("spec", ["lime:samples=20", "kernelshap:samples=20"])
def test_a_score_that_is_no_number_makes_a_map_of_none_and_leaves_the_others_alone(spec: str) -> None:
    class Bright(nn.Module):
        def forward(self, shown: Tensor) -> Tensor:
            mean = shown.mean((1, 2, 3))
            return torch.stack([mean, -mean], 1).where(mean[:, None] < 0.6, torch.nan)

    classifier = Classifier.from_module(Bright(), size=SIDE)
    x = torch.stack([torch.full((3, SIDE, SIDE), 0.9), images(1)[0].float() * 0.5])
    x[0, :, :, :8] = 0.8  # regions to hide
    both = explain(classifier, x, 0, methods=[spec])[spec]
    alone = explain(classifier, x[1:], 0, methods=[spec], random=Random(0, [1]))[spec]
    assert both.attributions[0].isnan().all()
    assert "some maps hold NaN or infinite values" in both.notes
    assert torch.allclose(both.attributions[1], alone.attributions[0], atol=1e-6)
