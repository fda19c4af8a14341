"""Flows, maps of colors, bounds by the model's own features: held, stronger than chance, told as what they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from backlight.attack import (
    ATTACKS,
    Challenge,
    RobustnessRequest,
    ThreatModel,
    attack,
    choose_attack,
    evaluate_robustness,
    save_adversarial,
)
from backlight.attack.gradient import pgd
from backlight.attack.rules.lagrange import Lagrange
from backlight.classifier import Classifier
from backlight.core.errors import InputError, UsageError
from backlight.core.random import Random
from backlight.data import Dataset
from backlight.images import round_to_8bit
from backlight.pixels import Measure, Pixels, optimize
from backlight.pixels.bounded import Bounded
from backlight.pixels.color_map import ColorMap
from backlight.pixels.flow import Flow
from backlight.testing import check_attack
from tests.attack.nets import pictures, sharp_net

SIDE, CLASSES = 16, 4
OWN = ("stadv", "recolor", "perceptual")
SHORT = {"stadv": "stadv:steps=10", "recolor": "recolor:steps=10,points=5", "perceptual": "perceptual:steps=6"}


def gratings(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw 8-bit pictures of stripes: what class they are of, their direction and their tint say."""
    ids = torch.arange(count)
    draw, labels = Random(("gratings", seed), ids), ids % CLASSES
    down, across = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    angle = labels * torch.pi / CLASSES + 0.3 * (draw.uniform(1, stream="turn")[:, 0] - 0.5)
    along = across * angle.cos().view(-1, 1, 1) + down * angle.sin().view(-1, 1, 1)
    waves = torch.sin(1.2 * along + 6.3 * draw.uniform(1, 1, stream="phase"))[:, None]
    tint = 0.1 * torch.eye(CLASSES)[labels][:, :3, None, None]
    return round_to_8bit((0.45 + 0.2 * waves + tint + 0.1 * draw.normal(3, SIDE, SIDE)).clamp(0, 1)), labels


@lru_cache(1)
def trained() -> Classifier:
    """Train a small net on gratings, in a second."""
    images, labels = gratings(256, 0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 12, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 16, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, CLASSES),
        )
        optimizer = torch.optim.Adam(net.parameters(), 0.01)
        for _ in range(60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(2 * images - 1), labels).backward()
            optimizer.step()
    return Classifier.from_module(net, size=SIDE, mean=(0.5,) * 3, std=(0.5,) * 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SHORT.values(), "stadv:steps=4,restarts=2,smoothness=0"])
def test_it_holds_what_every_attack_holds(name: str) -> None:
    check_attack(name)


@pytest.mark.parametrize("name", OWN)
def test_it_gives_the_same_bits_for_any_batch(name: str) -> None:
    net, images = sharp_net(classes=3).double(), pictures(5).double()
    classifier = Classifier.from_module(net, size=16)
    whole = attack(classifier, images, method=SHORT[name], ids=list("abcde"), lattice=True)
    order = [4, 2, 0]
    some = attack(classifier, images[order], method=SHORT[name], ids=list("eca"), lattice=True)
    assert torch.equal(whole.images[order], some.images)
    assert torch.equal(whole.distance[order], some.distance)
    assert whole.success.any()


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(OWN), st.floats(0.005, 0.4), st.booleans(), st.integers(0, 99))
def test_no_picture_ever_leaves_the_bound(name: str, eps: float, lattice: bool, seed: int) -> None:
    classifier, images = Classifier.from_module(sharp_net(seed=seed % 5), size=16), pictures(3, seed=seed)
    found = attack(classifier, images, method=SHORT[name], eps=eps, lattice=lattice, seed=seed)
    assert (found.distance <= eps * (1 + 1e-5) + 1e-6).all()
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert torch.equal(found.threat.distance(found.images, images), found.distance)
    if lattice:
        assert torch.equal(round_to_8bit(found.images), found.images)


def fooled_by_chance(moved: Bounded, classifier: Classifier, labels: Tensor) -> float:
    """Return what share of pictures fields fool that lie anywhere in the bound."""
    rows = torch.arange(len(labels))
    params = 3 * Random("chance", rows).normal(*moved.shape())
    return float((classifier.logits(moved.images(params, rows)).argmax(1) != labels).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "eps"), [("stadv", 0.3), ("recolor", 0.1)])
def test_it_fools_a_trained_net_more_often_than_chance(name: str, eps: float) -> None:
    classifier, (images, labels) = trained(), gratings(24, 1)
    assert (classifier.logits(images).argmax(1) == labels).float().mean() > 0.9
    moved = Flow(images, eps) if name == "stadv" else ColorMap(images, eps)
    chance = fooled_by_chance(moved, classifier, labels)
    found = attack(classifier, images, labels, method=name, eps=eps, steps=15, lattice=True)
    assert float(found.success.float().mean()) >= chance + 0.3
    aimed = attack(classifier, images, labels, method=name, eps=eps, steps=15, target="random")
    assert torch.equal(aimed.label_after[aimed.success], aimed.targets[aimed.success])
    assert aimed.success.any()


@pytest.mark.slow
def test_perceptual_fools_a_trained_net_more_often_than_noise_of_the_same_distance() -> None:
    classifier, (images, labels), eps = trained(), gratings(24, 1), 0.6
    found = attack(classifier, images, labels, method="perceptual", eps=eps, lattice=True)
    noise, best = Random("noise", torch.arange(24)).normal(3, SIDE, SIDE), images
    for size in torch.linspace(0.005, 0.5, 10):  # for each picture the most noise that the bound allows
        noisy = round_to_8bit((images + size * noise).clamp(0, 1))
        inside = found.threat.distance(noisy, images) <= eps
        best = torch.where(inside.view(-1, 1, 1, 1), noisy, best)
    chance = float((classifier.logits(best).argmax(1) != labels).float().mean())
    assert float(found.success.float().mean()) >= chance + 0.3


def test_perceptual_uses_nearly_all_of_the_bound_where_it_fails() -> None:
    classifier, (images, labels) = trained(), gratings(8, 1)
    found = attack(classifier, images, labels, method="perceptual:steps=10", eps=0.01)
    assert (~found.success).sum() > 4
    assert (found.distance[~found.success] > 0.005).all()
    assert (found.forwards <= 10 + 17).all()
    assert (found.backwards <= 10).all()


@pytest.mark.parametrize("name", ["stadv", "recolor"])
def test_outside_of_a_mask_nothing_changes(name: str) -> None:
    images = pictures(2)
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[:8] = True
    threat = ThreatModel(ATTACKS[name].norms[0], 0.3, mask=mask)
    challenge = Challenge.of(Classifier.from_module(sharp_net(), size=16), images, threat=threat)
    found = ATTACKS[name].run(challenge, steps=5)
    assert torch.equal(found.images[:, :, 8:], images[:, :, 8:])


def test_a_rule_learns_how_far_the_measure_lets_it_go() -> None:
    rule, weight = Lagrange(bound=0.3, climbs=4, probes=12), 0.07
    images = torch.full((2, 1, 4, 4), 0.5, dtype=torch.float64)

    def far(view: object) -> Tensor:
        return weight * (view.images - 0.5).flatten(1).norm(dim=1)

    def value(view: object) -> Tensor:
        return far(view) if rule.probing(view.t) else view.images.flatten(1).sum(1)

    found = optimize(None, Measure(value, "value", layers=()), Pixels(images), rule, steps=rule.looks, keep="last")
    lengths = (found.images - 0.5).flatten(1).norm(dim=1)
    torch.testing.assert_close(weight * lengths, torch.full((2,), 0.3, dtype=torch.float64), atol=0.002, rtol=0)


def test_specifications_name_the_bound() -> None:
    chosen = choose_attack("stadv:flow=0.02,steps=5")
    assert (chosen.threat.norm, chosen.threat.size, dict(chosen.options)) == ("flow", 0.02, {"steps": 5})
    assert choose_attack("recolor:color=15/255").threat.size == 15 / 255
    assert [choose_attack(name).threat.size for name in OWN] == [0.05, 0.06, 0.5]
    assert choose_attack("recolor:color=8/255", eps="8/255").threat.size == 8 / 255


def boundless(name: str) -> object:
    threat = ThreatModel(ATTACKS[name].norms[0], None)
    return ATTACKS[name].run(Challenge.of(Classifier.from_module(sharp_net(), size=16), pictures(1), threat=threat))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: choose_attack("stadv:flow=0.02", eps=0.05), "stadv: the bound is given twice, flow=0.02 and eps=0.05"),
        (lambda: choose_attack("stadv", norm="linf"), "stadv in linf; expected flow"),
        (lambda: choose_attack("pgd", norm="flow"), "pgd in flow; expected linf or l2 or l1"),
        (lambda: choose_attack("pgd:flow=0.1"), "pgd has no option 'flow'"),
        (lambda: choose_attack("recolor", eps=8), "color 8; expected at most 1, where a channel from black to white"),
        (lambda: choose_attack("stadv", eps=-1), "epsilon -1 is negative"),
        (lambda: boundless("stadv"), "stadv without an eps"),
        (lambda: boundless("perceptual"), "perceptual without an eps"),
        (lambda: RobustnessRequest("stadv", curve=True).stages(), "a curve over flow; expected a norm of pixels"),
        (lambda: ThreatModel("features").distance(pictures(1), pictures(1)), "features of no model"),
        (lambda: ThreatModel("hue"), "norm 'hue'; try: one of linf, l2, l1, l0, flow, color, features"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(made: Callable[[], object], words: str) -> None:
    with pytest.raises((UsageError, InputError), match=words):
        made()


def test_a_foreign_change_counts_only_where_a_flow_or_a_map_of_colors_makes_it() -> None:
    images = pictures(3)
    classifier = Classifier.from_module(sharp_net(), size=16)
    noisy = pgd(Challenge.of(classifier, images, threat=ThreatModel("linf", 0.2)), steps=5)
    assert noisy.success.all()
    bent, recolored = (Challenge.of(classifier, images, threat=ThreatModel(n, 0.2)) for n in ("flow", "color"))
    constant = images.mean((2, 3), keepdim=True).expand_as(images) + 0 * images
    flat = Challenge.of(classifier, constant, threat=ThreatModel("color", 0.2))
    assert not flat.referee.judge(constant + 0.01 * torch.rand_like(constant)).inside.any()
    assert recolored.referee.judge(noisy.images).inside.all()  # every pixel has a color of its own
    assert not bent.referee.judge((images + 0.9).clamp(0, 1)).inside.any()


def test_files_tell_the_bound_in_its_own_measure_and_the_change_of_pixels(tmp_path: Path) -> None:
    images = pictures(2)
    found = attack(Classifier.from_module(sharp_net(), size=16), images, method="stadv:flow=0.3", lattice=True)
    for row, one in enumerate(save_adversarial(found, [tmp_path / "a.png", tmp_path / "b.png"])):
        assert one.distance <= 0.3 + 1e-6
        assert one.distance == found.distance[row]
        assert one.linf == pytest.approx(float(found.perturbation[row].abs().max()), abs=1e-6)
        assert one.l2 == pytest.approx(float(found.perturbation[row].norm()), rel=1e-5)
    assert found.summary_table().rows()[0]["norm"] == "flow"
    assert "flow 0.3" in repr(found)


@pytest.mark.parametrize("name", OWN)
def test_robustness_is_told_in_the_measure_and_in_pixels(name: str) -> None:
    images, labels = gratings(12, 2)
    data = Dataset.of((images * 255).round().byte(), labels.tolist(), list("abcd"))
    classifier = Classifier.from_module(
        trained().module, size=SIDE, labels=list("abcd"), mean=(0.5,) * 3, std=(0.5,) * 3
    )
    found = evaluate_robustness(classifier, data, RobustnessRequest(SHORT[name], eps=0.4))
    document, broken = found.to_json(), ~found.table["robust"].astype(bool)
    assert document["norm"] == ATTACKS[name].norms[0]
    assert (found.table["distance"] <= 0.4 + 1e-5).all()
    assert set(document["median_lengths"]) == {"l2", "linf"}
    assert document["median_lengths"]["linf"] == pytest.approx(float(np.median(found.table["linf"][broken])))
    by_pgd = evaluate_robustness(classifier, data, RobustnessRequest("pgd", eps=0.1))
    assert by_pgd.to_json()["median_lengths"] is None
    assert "linf" not in by_pgd.table.names


def test_without_a_name_the_measure_chooses_its_attack() -> None:
    asked = [RobustnessRequest(norm=name).card.name for name in ("flow", "color", "features")]
    assert asked == list(OWN)
