"""Each metric on an exact case."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.chunks import Chunk
from backlight.core.random import Random
from backlight.explain import explain
from backlight.explain.scores import METRICS, score_maps
from backlight.explain.scores.controls import edge_map, random_map
from backlight.explain.scores.curves import STEPS
from backlight.explain.scores.judge import Judge, ranks
from backlight.explain.scores.randomization import randomize, spearman
from backlight.explain.scores.road import DIAGONAL, DIRECT, impute
from tests.explain.nets import distinct_relu_net, images, wrap

SIDE = 12


class Corner(nn.Module):
    """Class 0 is how bright the 4x4 upper left corner is; nothing else counts."""

    def forward(self, x: Tensor) -> Tensor:
        seen = 40 * x[:, :, :4, :4].mean((1, 2, 3)) - 20
        return torch.stack([seen, -seen], 1)


def judge(count: int = 3, *, net: nn.Module | None = None, chunk: int = 32, ones: bool = True) -> Judge:
    classifier = Classifier.from_module(net or Corner(), size=SIDE)
    pixels = torch.ones(count, 3, SIDE, SIDE, dtype=torch.float64) if ones else images(count, SIDE)
    masks = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    masks[:, :4, :4] = True
    target = torch.zeros(count, dtype=torch.long)
    return Judge(classifier, pixels, target, Random(0, list(range(count))), Chunk(chunk), masks)


def corner_map(count: int = 3) -> Tensor:
    maps = torch.zeros(count, 1, SIDE, SIDE, dtype=torch.float64)
    maps[:, :, :4, :4] = 1
    return maps


def scores(name: str, maps: Tensor, **options: object) -> np.ndarray:
    return score_maps(judge(len(maps), **options), {"map": maps}, [name])[f"map.{name}"]


def test_a_map_equal_to_the_mask_has_mass_1_and_hits() -> None:
    assert scores("mass", corner_map()).tolist() == [1, 1, 1]
    assert scores("pointing_game", corner_map()).tolist() == [1, 1, 1]
    assert scores("mass", torch.ones_like(corner_map()) + 1e-9 * corner_map())[0] == pytest.approx(16 / 144)
    assert scores("mass", 1 - corner_map()).tolist() == [0, 0, 0]
    assert scores("pointing_game", 1 - corner_map()).tolist() == [1, 1, 1]  # within 1 pixel, as 15 in 224


def test_pointing_game_tolerates_15_pixels_in_224_and_no_more() -> None:
    for place, hit in ((3, 1), (4, 1), (5, 0)):
        maps = torch.zeros(1, 1, SIDE, SIDE)
        maps[:, :, place, 0] = 1
        assert scores("pointing_game", maps).tolist() == [hit]


@pytest.mark.parametrize("name", ["mass", "pointing_game"])
def test_an_empty_mask_is_not_a_hit_but_undefined(name: str) -> None:
    one = judge(2)
    one.masks[1] = False
    found = score_maps(one, {"map": corner_map(2)}, [name])[f"map.{name}"]
    assert found[0] == 1
    assert math.isnan(found[1])


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.needs != "again"])
def test_flat_and_broken_maps_have_no_score(name: str) -> None:
    broken = corner_map()
    broken[0], broken[1, 0, 0, 0] = 0.5, float("nan")
    found = scores(name, broken, ones=False)
    assert np.isnan(found[:2]).all()
    assert np.isfinite(found[2])


def test_deletion_and_insertion_of_the_exact_map_are_the_best_of_all() -> None:
    best = scores("deletion", corner_map())
    worst = scores("deletion", 1 - corner_map())
    # The mean color is black here: half of the corner's 16 pixels gone turns the probability from 1 to 0.
    curve = [
        1 / (1 + math.exp(-2 * (40 * max(0, 16 - round(144 * step / STEPS)) / 16 - 20))) for step in range(STEPS + 1)
    ]
    assert best == pytest.approx((sum(curve) - (curve[0] + curve[-1]) / 2) / STEPS)
    assert (worst > 0.85).all()
    pixels = judge(3).images
    pixels[:, :, 4:] = 0
    one = judge(3)
    one.images = pixels
    found = score_maps(one, {"map": corner_map(), "wrong": 1 - corner_map()}, ["insertion"])
    assert (found["map.insertion"] >= found["wrong.insertion"]).all()


def test_average_drop_and_increase_by_hand() -> None:
    lit = corner_map()
    assert scores("average_drop", lit) == pytest.approx(0, abs=1e-12)
    dark = scores("average_drop", 1 - lit)
    assert dark == pytest.approx(1, abs=1e-12)
    assert scores("average_increase", 1 - lit).tolist() == [0, 0, 0]

    class Distracted(Corner):
        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x) / 20
            return logits - torch.stack([x[:, :, 4:].mean((1, 2, 3)), 0 * logits[:, 0]], 1)

    assert scores("average_increase", lit, net=Distracted()).tolist() == [1, 1, 1]


def test_infidelity_is_0_on_a_linear_model_whatever_the_unit() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 4)).double()
    one = judge(net=net, ones=False)
    weight = net[1].weight[0].detach().view(1, 3, SIDE, SIDE).expand(3, -1, -1, -1)
    found = score_maps(one, {"map": weight, "scaled": -7 * weight, "edges alone": edge_map(one.images)}, ["infidelity"])
    assert found["map.infidelity"] == pytest.approx(0, abs=1e-12)
    assert found["scaled.infidelity"] == pytest.approx(0, abs=1e-12)
    assert (found["edges alone.infidelity"] > 0.3).all()


def test_max_sensitivity_of_a_linear_model_is_0_and_equals_the_loop_elsewhere() -> None:
    from backlight.explain.scores.faithful import RADIUS, SAMPLES, max_sensitivity

    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 4)).double()
    one = judge(net=linear, ones=False)

    def again(classifier: Classifier, pixels: Tensor, _turn: int) -> Tensor:
        return explain(classifier, pixels, 0, methods=["saliency"])["saliency"].attributions

    assert max_sensitivity(one, again(one.classifier, one.images, 0), again).tolist() == pytest.approx(
        [0, 0, 0], abs=1e-12
    )
    classifier = wrap(distinct_relu_net(), size=SIDE)
    curved = Judge(classifier, images(2, SIDE), torch.zeros(2, dtype=torch.long), Random(0, [0, 1]))
    maps = again(classifier, curved.images, 0)
    expected = torch.zeros(2, dtype=torch.float64)
    for sample in range(SAMPLES):
        drawn = Random(0, [0, 1]).fork(("max_sensitivity", sample)).uniform(3, SIDE, SIDE, dtype=torch.float64)
        moved = (curved.images + RADIUS * (2 * drawn - 1)).clamp(0, 1)
        assert float((moved - curved.images).abs().max()) <= RADIUS
        change = (again(classifier, moved, 0) - maps).flatten(1).norm(dim=1) / maps.flatten(1).norm(dim=1)
        expected = torch.maximum(expected, change)
    assert torch.allclose(max_sensitivity(curved, maps, again), expected)


def test_imputation_solves_the_linear_system() -> None:
    hole = torch.zeros(2, 1, 9, 7, dtype=torch.bool)
    hole[0, :, 2:6, 1:5], hole[1, :, :, :5] = True, True
    pixels = images(2, (9, 7))
    found = impute(pixels, hole)
    assert torch.equal(found[~hole.expand_as(found)], pixels[~hole.expand_as(found)])
    for image in range(2):
        for i, j in hole[image, 0].nonzero().tolist():
            total, weights = torch.zeros(3, dtype=torch.float64), 0.0
            for di in (-1, 0, 1):
                for dj in (-1, 0, 1):
                    if (di or dj) and 0 <= i + di < 9 and 0 <= j + dj < 7:
                        weight = DIRECT if 0 in (di, dj) else DIAGONAL
                        total += weight * found[image, :, i + di, j + dj]
                        weights += weight
            assert torch.allclose(found[image, :, i, j], total / weights, atol=1e-3)


def test_road_prefers_the_map_that_marks_what_matters() -> None:
    pixels = judge(3).images
    pixels[:, :, 4:] = pixels[:, :, :, 4:] = 0
    one = judge(3)
    one.images = pixels
    found = score_maps(one, {"map": corner_map(), "wrong": 1 - corner_map()}, ["road"])
    assert (found["map.road"] > 0.1).all()
    assert found["wrong.road"] == pytest.approx(-found["map.road"], abs=0.15)


def test_ties_are_broken_by_chance_not_by_place() -> None:
    place = ranks(judge(1), torch.zeros(1, 1, SIDE, SIDE))
    assert place.sort().values[0].tolist() == list(range(SIDE * SIDE))
    assert abs(float(place[0, : SIDE * SIDE // 2].double().mean()) - 71.5) < 15
    ordered = ranks(judge(1), torch.arange(144.0).view(1, 1, 12, 12))
    assert ordered[0].tolist() == list(range(143, -1, -1))


@pytest.mark.parametrize("name", ["deletion", "insertion", "road", "infidelity"])
def test_a_random_map_equals_its_control_within_two_standard_errors(name: str) -> None:
    classifier = wrap(distinct_relu_net(), size=SIDE)
    pixels = images(24, SIDE)
    target = classifier.logits(pixels).argmax(1)
    one = Judge(classifier, pixels, target, Random(3, list(range(24))))
    found = score_maps(one, {"map": random_map(pixels, Random(13, list(range(24))))}, [name])
    difference = found[f"map.{name}"] - found[f"random.{name}"]
    assert abs(difference.mean()) <= 2 * difference.std(ddof=1) / 24**0.5


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.needs != "again"])
def test_scores_do_not_depend_on_the_chunk_or_on_other_images(name: str) -> None:
    maps = random_map(images(3, SIDE), Random(5, [0, 1, 2]))
    whole = scores(name, maps, ones=False)
    assert scores(name, maps, ones=False, chunk=5) == pytest.approx(whole, abs=1e-12)
    alone = judge(3, ones=False)
    one = Judge(
        alone.classifier,
        alone.images[1:2],
        alone.target[1:2],
        alone.random.take(slice(1, 2)),
        Chunk(7),
        alone.masks[1:2],
    )
    assert score_maps(one, {"map": maps[1:2]}, [name])[f"map.{name}"] == pytest.approx(whole[1:2], abs=1e-12)


def test_spearman_equals_scipy_and_ranks_ties_fairly() -> None:
    from scipy.stats import spearmanr

    left, right = images(2, 5, channels=1)[:, 0].mul(4).round(), images(2, 5, channels=1, seed=2)[:, 0]
    for row in range(2):
        expected = spearmanr(left[row].flatten(), right[row].flatten()).statistic
        assert float(spearman(left, right)[row]) == pytest.approx(expected)


def test_randomization_goes_from_the_top_and_is_keyed() -> None:
    net = distinct_relu_net()
    classifier = wrap(net)
    third = randomize(classifier, 1 / 3)
    assert torch.equal(third.module[0].weight, net[0].weight)
    assert not torch.equal(third.module[9].weight, net[9].weight)
    full, twice = randomize(classifier, 1.0), randomize(classifier, 1.0)
    assert not torch.equal(full.module[0].weight, net[0].weight)
    assert torch.equal(full.module[0].weight, twice.module[0].weight)
    spread = [float(one[0].weight.detach().std()) for one in (full.module, net)]
    assert spread[0] == pytest.approx(spread[1], rel=0.3)
