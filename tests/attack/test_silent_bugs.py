"""Silent bugs of other libraries, each a regression test here (what they are is said in each name)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import Challenge, ThreatModel, attack, save_adversarial
from backlight.attack.auto import apgd, fab_t
from backlight.attack.evaluation import evaluate_robustness
from backlight.attack.gradient import pgd
from backlight.attack.minimum_norm import carlini_wagner, fmn
from backlight.attack.registry import ATTACKS
from backlight.attack.request import RobustnessRequest
from backlight.attack.rules.apgd import checkpoints
from backlight.attack.rules.minimum_norm import FMN
from backlight.attack.stages import PLANS
from backlight.classifier import Classifier
from backlight.core.random import Random
from backlight.data.dataset import Dataset
from backlight.images import open_picture, to_tensor
from backlight.pixels.geometry import length
from backlight.pixels.rule import Observation
from backlight.testing import small_net, unchanged
from tests.attack.nets import pictures, sharp_net


def classifier_of(net: nn.Module | None = None) -> Classifier:
    return Classifier.from_module(net or sharp_net(), size=16)


def test_fmn_projects_instead_of_returning_its_input() -> None:
    # norms / norms made the projection the identity.
    rule, original = FMN(torch.full((2, 3, 4, 4), 0.5), "l2"), torch.full((2, 3, 4, 4), 0.5)
    state = rule.init(original, torch.arange(2)) | {"radius": torch.tensor([0.1, 0.2]), "found": torch.ones(2) > 0}
    state["nearest"] = torch.tensor([0.1, 0.2])
    seen = Observation(
        0, 10, original + 0.3, torch.ones(2), torch.ones(2, 3, 4, 4), torch.ones(2) > 0, Random(0, [0, 1]), None
    )
    move = rule.step(state, seen)
    assert (length(move.params - original, "l2") <= torch.tensor([0.1, 0.2])).all()


def test_restarts_are_united_not_replaced_by_the_last() -> None:
    challenge = Challenge.of(classifier_of(), pictures(40), threat=ThreatModel("linf", 0.05))
    single, many = (pgd(challenge, steps=0, restarts=restarts) for restarts in (1, 8))
    assert (many.success | ~single.success).all()
    assert many.success.sum() > single.success.sum()
    assert torch.equal(many.images[single.success], single.images[single.success])


def test_every_attack_runs_in_every_norm_that_it_names() -> None:
    # Undefined names and removed functions stood in code that nobody had called.
    classifier, x = classifier_of(), pictures(2)
    for card in ATTACKS.values():
        if card.name.startswith("autoattack"):
            continue
        for norm in card.norms:
            options = {name: 4 for name in ("steps", "queries") if name in card.options}
            target = "random" if card.targeted == "always" else None
            assert len(attack(classifier, x, method=card.name, norm=norm, target=target, **options)) == 2


def test_no_improvement_is_judged_by_values_not_by_an_alias() -> None:
    # A list that aliased the best values made APGD halve its step too often; see also the authors' trace.
    from tests.attack.rules import test_apgd

    test_apgd.test_step_sizes_equal_those_of_the_authors_code(test_apgd.dlr, test_apgd._DLR, "linf", 0.3)


def test_a_point_inside_the_ball_is_not_rescaled() -> None:
    from backlight.pixels.constraints import Ball

    center = torch.full((1, 3, 4, 4), 0.5)
    inside = center + 0.01
    assert torch.equal(Ball("l2", center, 1.0).project(inside, torch.tensor([0]), 0), inside)


def test_autoattack_has_the_published_parameters() -> None:
    # Elsewhere 10 steps were called AutoAttack.
    standard = PLANS["autoattack"]
    assert [stage.name for stage in standard] == ["apgd-ce", "apgd-t", "fab-t", "square"]
    defaults = [stage.function.__kwdefaults__ for stage in standard]
    assert [one["steps"] for one in defaults] == [100, 100, 100, 5000]
    assert [one.get("targets") for one in defaults] == [None, 9, 9, None]
    assert checkpoints(100)[-1] == 99
    assert [stage.name for stage in PLANS["autoattack-rand"]] == ["apgd-ce", "apgd-dlr"]
    plus = {stage.name: stage.function for stage in PLANS["autoattack-plus"]}
    assert list(plus) == ["apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"]
    assert [plus[name].keywords["restarts"] for name in ("apgd-ce", "apgd-dlr", "fab")] == [5, 5, 5]


def test_saving_does_not_shift_pixels_down(tmp_path: Path) -> None:
    # (x * 255) as uint8 truncates.
    classifier, x = classifier_of(), pictures(3)
    result = attack(classifier, x, lattice=True)
    for one, image in zip(save_adversarial(result, [tmp_path / f"{row}.png" for row in range(3)]), result.images):
        assert torch.equal(to_tensor(open_picture(one.path)), image)


def test_carlini_wagner_moves_exactly_black_and_white_pixels() -> None:
    # atanh(1) is infinite and froze them.
    x = (pictures(4) > 0.5).float()
    classifier = classifier_of()
    challenge = Challenge.of(classifier, x, threat=ThreatModel("l2", None))
    result = carlini_wagner(challenge, steps=150)
    assert result.success.all()
    assert ((result.images - x).abs() > 0.01).flatten(1).any(1).all()


def test_carlini_wagner_masks_the_label_even_when_all_logits_are_negative() -> None:
    # max((1 - onehot) * logits) used 0 for the masked entry.
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = sharp_net()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) - 1000

    shifted, plain = (
        carlini_wagner(Challenge.of(classifier_of(net), pictures(3), threat=ThreatModel("l2", None)), steps=15)
        for net in (Shifted(), sharp_net())
    )
    assert torch.equal(shifted.success, plain.success)
    assert torch.allclose(shifted.images, plain.images, atol=1e-2)


def test_images_that_stop_early_do_not_stop_the_batch() -> None:
    classifier, x = classifier_of(), pictures(6)
    together = carlini_wagner(Challenge.of(classifier, x, threat=ThreatModel("l2", None)), steps=30)
    alone = carlini_wagner(Challenge.of(classifier, x[3:4], threat=ThreatModel("l2", None), ids=[3]), steps=30)
    assert torch.allclose(together.images[3:4], alone.images, atol=1e-4)


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).sum(1, keepdim=True) * 0 + torch.tensor([[1.0, 0.0, 0.0, 0.0]])


def one_by_one() -> list[object]:
    """List the attacks that are no plan of others; the stages of the fast plan are among them, itself is long."""
    names = sorted(set(ATTACKS) - {"autoattack", "autoattack-plus", "autoattack-rand"})
    return [pytest.param(name, marks=[pytest.mark.slow] if name == "autoattack-fast" else []) for name in names]


@pytest.mark.parametrize("method", one_by_one())
def test_constant_logits_are_no_success_and_no_nan(method: str) -> None:
    # Division by a mean gradient of zero gave NaN images that counted as successes.
    card, x = ATTACKS[method], pictures(2)
    target = "random" if card.targeted == "always" else None
    options = {name: count for name, count in (("steps", 5), ("queries", 120)) if name in card.options}
    # A layer that can be seen, for attacks that measure by the model's own features.
    classifier = Classifier.from_module(nn.Sequential(nn.Conv2d(x.shape[1], 3, 1), Constant()), size=x.shape[-1])
    result = attack(classifier, x, method=method, target=target, **options)
    assert not result.success.any()
    assert result.images.isfinite().all()


def test_momentum_survives_a_zero_gradient() -> None:
    result = pgd(Challenge.of(Classifier.from_module(Constant()), pictures(2)), steps=3, momentum=1.0)
    assert result.images.isfinite().all()
    assert not result.success.any()
    assert (result.zero_grads == 3).all()


class Poisoned(nn.Module):
    """Returns NaN as soon as the image moved by a hair."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.net, self.register = sharp_net(), x.clone()

    def forward(self, x: Tensor) -> Tensor:
        logits = self.net(x)
        levels = x * 255
        moved = ((levels - levels.round()).abs() > 1e-3).flatten(1).any(1)
        return torch.where(moved[:, None], logits * torch.nan, logits)


def test_nan_logits_are_never_a_success() -> None:
    x = pictures(4)
    result = attack(Classifier.from_module(Poisoned(x)), x, eps=0.1, steps=10)
    assert not result.success.any()
    assert set(result.stopped) == {"undefined"}


def test_success_flags_have_a_mean_after_resume(tmp_path: Path) -> None:
    # bool.mean() raised after hours, only when a state file was used.
    data = shapes()
    runs = [evaluate_robustness(classifier_of(), data, RobustnessRequest("fgsm"), cache=tmp_path) for _ in range(2)]
    assert runs[0].robust_accuracy == runs[1].robust_accuracy
    assert isinstance(runs[1].to_json()["robust_accuracy"], float)


def shapes(count: int = 12) -> Dataset:
    images = (pictures(count) * 255).round().to(torch.uint8)
    labels = classifier_of().logits(images.float() / 255).argmax(1)
    labels[::4] = (labels[::4] + 1) % 5
    return Dataset.of(images, labels, [str(number) for number in range(5)])


def test_the_lattice_has_256_levels() -> None:
    # 255 levels elsewhere.
    result = attack(classifier_of(), pictures(3), lattice=True, eps="9/255")
    levels = result.images * 255
    assert (levels - levels.round()).abs().max() < 1e-3
    assert result.threat.inside(torch.ones(1, 3, 2, 2), torch.ones(1, 3, 2, 2)).all()


def test_an_attack_in_train_mode_leaves_batchnorm_statistics_alone() -> None:
    net = small_net()
    with unchanged(net):
        attack(classifier_of(net), pictures(3), steps=5)
    assert net.training


def test_fab_inside_a_linf_evaluation_works_in_linf() -> None:
    # An l2 DeepFool stood in for FAB.
    challenge = Challenge.of(classifier_of(), pictures(6), threat=ThreatModel("linf", 3 / 255))
    result = fab_t(challenge, steps=10)
    assert result.success.any()
    moved = (result.images - challenge.images).abs().amax((1, 2, 3))
    assert (moved[result.success] <= 3 / 255 + 1e-6).all()


def test_apgd_starts_with_a_step_of_two_eps() -> None:
    from backlight.attack.rules.apgd import APGD

    state = APGD("linf", 0.1).init(torch.zeros(1, 3, 2, 2), torch.arange(1))
    assert state["size"].item() == pytest.approx(0.2)


def test_dlr_of_equal_logits_is_finite() -> None:
    challenge = Challenge.of(Classifier.from_module(Constant()), pictures(1))
    assert apgd(challenge, steps=3, objective="dlr").value.isfinite().all()


def test_no_attack_fills_parameter_gradients() -> None:
    net = sharp_net()
    for method in ("fgsm", "apgd-t", "fab-t", "cw", "deepfool", "fmn", "ddn"):
        options = {"steps": 3} if "steps" in ATTACKS[method].options else {}
        attack(classifier_of(net), pictures(2), method=method, **options)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_small_gradients_are_not_zero() -> None:
    # A floor on the squared norm made an l2 PGD report 26% robust where 2% was true.
    class Scaled(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.net, self.scale = sharp_net().double(), scale

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) * self.scale

    x = pictures(8).double()
    found = []
    for scale in (1e-6, 1.0, 1e6):
        challenge = Challenge.of(classifier_of(Scaled(scale)), x, threat=ThreatModel("l2", 0.3))
        found.append(pgd(challenge, steps=10, objective="margin").images)
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert torch.allclose(found[2], found[1], atol=1e-6)


def test_a_success_at_step_seven_counts_though_the_last_step_undoes_it() -> None:
    challenge = Challenge.of(classifier_of(), pictures(20), threat=ThreatModel("linf", 4 / 255))
    kept = pgd(challenge, steps=15, stop=False)
    early = pgd(challenge, steps=15)
    assert (kept.success | ~early.success).all()


def test_failures_return_an_allowed_picture_not_zeros() -> None:
    challenge = Challenge.of(classifier_of(), pictures(10), threat=ThreatModel("l2", 1e-3))
    result = fmn(challenge, steps=20)
    assert not result.success.any()
    assert (result.images - challenge.images).abs().max() < 0.5
    assert result.images.flatten(1).any(1).all()
