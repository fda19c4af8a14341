import pytest
import torch
from torch import nn

from backlight import Classifier
from backlight.report.attacks import EPS, LEVELS, study_attacks
from backlight.testing import unchanged
from tests.kernels import all_convolution
from tests.report.conftest import small_classifier


def linear(weight: torch.Tensor, bias: torch.Tensor) -> Classifier:
    layer = nn.Linear(weight.shape[1], 2)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return Classifier.from_module(nn.Sequential(nn.Flatten(), layer), size=4, labels=["cat", "dog"])


@pytest.mark.parametrize("need", [0.015, 0.2, 0.9, 3.0, 7.9, 20.0])
def test_the_smallest_bound_is_that_of_the_closed_form(need: float) -> None:
    # For a linear model the nearest other answer in linf is margin / |difference of the weights|_1 away.
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(2, 48, generator=generator)
    image = torch.full((1, 3, 4, 4), 128 / 255)
    reach = float((weight[1] - weight[0]).abs().sum())
    scores = weight @ image.flatten()
    bias = torch.tensor([need / 255 * reach - float(scores[0] - scores[1]), 0.0])
    model = linear(weight, bias)
    study = study_attacks(model, model, image, ["a"])[0]
    expected = next((level for level in LEVELS if level > need), None)
    assert (study.smallest.levels if study.smallest else None) == expected
    assert [one.levels for one in study.tried] == [level for level in LEVELS if expected is None or level <= expected]
    assert [one.answer for one in study.tried[:-1]] == ["cat"] * (len(study.tried) - 1)


def test_fgsm_moves_every_value_by_one_level_along_the_gradients_sign() -> None:
    weight = torch.randn(2, 48, generator=torch.Generator().manual_seed(2))
    model = linear(weight, torch.tensor([5.0, 0.0]))
    study = study_attacks(model, model, torch.full((1, 3, 4, 4), 100 / 255), ["a"])[0]
    # 0.007 is 1.785 levels, and a file holds whole ones.
    expected = (weight[1] - weight[0]).sign().view(3, 4, 4)
    assert torch.allclose(study.one_step.perturbation * 255, expected, atol=1e-4)
    assert torch.allclose(study.one_step.noise, expected, atol=1e-4)


def test_attacks_stay_within_bounds_on_whole_levels() -> None:
    classifier = small_classifier()
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(3)) / 255
    for study in study_attacks(classifier, classifier, images, ["a", "b"]):
        for one in study.shown:
            levels = one.image * 255
            assert float((levels - levels.round()).abs().max()) < 1e-3
            assert float(one.image.min()) >= 0
            assert float(one.image.max()) <= 1
        for one in (study.one_step, study.many_steps):
            assert one.distance <= EPS
        assert study.targeted.target is not None
        assert study.targeted.target.index != study.targeted.first.index


def test_what_is_said_is_what_the_model_answers() -> None:
    classifier = small_classifier()
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(4)) / 255
    for row, study in enumerate(study_attacks(classifier, classifier, images, ["a", "b"])):
        for one in study.shown:
            before = classifier.probabilities(images[row : row + 1])[0]
            after = classifier.probabilities(one.image[None])[0]
            assert int(after.argmax()) == one.now.index
            assert one.success == (
                one.now.index == one.target.index if one.target else one.now.index != one.first.index
            )
            for change in one.changes:
                assert change.before == pytest.approx(float(before[change.index]), abs=1e-5)
                assert change.after == pytest.approx(float(after[change.index]), abs=1e-5)
            assert len({change.index for change in one.changes}) == len(one.changes)


@pytest.mark.promises
def test_a_picture_is_attacked_alike_alone_and_among_others() -> None:
    classifier = small_classifier()
    classifier = Classifier.from_module(
        all_convolution(classifier.module.double()), size=32, mean=(0.0,) * 3, std=(1.0,) * 3, labels=classifier.labels
    )
    images = torch.randint(0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(5)) / 255
    together = study_attacks(classifier, classifier, images, ["a", "b", "c"], seed=7)
    alone = study_attacks(classifier, classifier, images[1:2], ["b"], seed=7)[0]
    assert together[1].tried == alone.tried
    for one, other in zip(together[1].shown, alone.shown, strict=True):
        assert torch.equal(one.image, other.image)
        assert one.now.label == other.now.label


def test_the_model_is_left_as_it_was() -> None:
    classifier = small_classifier()
    with unchanged(classifier.module):
        study_attacks(classifier, classifier.fast(), torch.full((1, 3, 32, 32), 100 / 255), ["a"])
