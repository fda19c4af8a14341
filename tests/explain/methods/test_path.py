"""Integrated gradients against captum, closed forms and themselves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import InputError, UsageError
from backlight.explain import explain, method
from backlight.explain.methods.path import PARTS, relative_gap
from backlight.testing import unchanged
from tests.explain.nets import MEAN, STD, distinct_relu_net, images, wrap
from tests.explain.peers import captum


def integrate(classifier, x, target=2, spec="integrated_gradients", **options):
    chosen = method(spec, **options)
    return explain(classifier, x, target, methods=[chosen])[chosen.label]


def test_fixed_points_equal_captum_at_zero_input_which_is_the_mean_image() -> None:
    net, x = distinct_relu_net(), images()
    classifier = wrap(net)
    found = integrate(classifier, x, spec="integrated_gradients:points=50,baseline=mean")
    options = {"target": 2, "n_steps": 50, "return_convergence_delta": True}
    expected, delta = captum("IntegratedGradients", net, classifier.normalize(x), **options)
    assert torch.allclose(found.attributions, expected, atol=1e-12)
    change = expected.flatten(1).sum(1) - delta
    assert torch.allclose(found.gap.double(), (delta / change).abs(), atol=1e-6)
    assert (found.forwards, found.backwards) == (52, 50)


@pytest.mark.parametrize("baseline", ["black", "white", "mean", "noise", "blur"])
def test_completeness_within_the_tolerance_for_every_baseline(baseline: str) -> None:
    found = integrate(
        wrap(distinct_relu_net()), images(), spec=f"integrated_gradients:baseline={baseline},max_points=300"
    )
    assert float(found.gap.max()) <= 0.01


def test_adaptive_points_agree_with_a_very_fine_rule() -> None:
    classifier, x = wrap(distinct_relu_net()), images()
    fine = integrate(classifier, x, spec="integrated_gradients:points=600")
    found = integrate(classifier, x, spec="integrated_gradients:tolerance=0.0005,max_points=600")
    assert float(found.gap.max()) <= 5e-4
    difference = (found.attributions - fine.attributions).flatten(1).norm(dim=1) / fine.attributions.flatten(1).norm(
        dim=1
    )
    assert float(difference.max()) < 0.02


def test_points_go_where_the_score_changes() -> None:
    class Step(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            brightness = x.mean((1, 2, 3))
            return torch.stack([torch.sigmoid(200 * (brightness - 0.31)), brightness], 1)

    x = torch.ones(1, 3, 4, 4, dtype=torch.float64)
    classifier = Classifier.from_module(Step().double(), size=4)
    adaptive = integrate(classifier, x, 0)
    fixed = integrate(classifier, x, 0, spec=f"integrated_gradients:points={int(adaptive.backwards)}")
    assert float(adaptive.gap) <= 0.01 < float(fixed.gap)
    assert adaptive.backwards <= 100


def test_an_image_does_not_depend_on_the_others_in_the_pool() -> None:
    classifier, x = wrap(distinct_relu_net()), images(5)
    whole = integrate(classifier, x)
    for chunk in (1, 3):
        parts = explain(classifier, x, 2, methods=["integrated_gradients"], chunk=chunk)["integrated_gradients"]
        assert torch.allclose(parts.attributions, whole.attributions, atol=1e-12)
    assert torch.allclose(integrate(classifier, x[3:4]).attributions, whole.attributions[3:4], atol=1e-12)


def test_max_points_is_kept_and_said() -> None:
    found = integrate(wrap(distinct_relu_net()), images(), spec="integrated_gradients:tolerance=1e-9,max_points=20")
    assert found.backwards <= 20
    assert found.notes[0].startswith("stopped at 20 points above a gap of 1e-07%")
    assert not integrate(wrap(distinct_relu_net()), images()).notes


def test_a_baseline_tensor_and_its_errors() -> None:
    classifier, x = wrap(distinct_relu_net()), images()
    grey = torch.full((3, 1, 1), 0.5, dtype=torch.float64)
    found = integrate(classifier, x, baseline=grey)
    assert float(found.gap.max()) <= 0.01
    with pytest.raises(InputError, match="broadcasts"):
        integrate(classifier, x, baseline=torch.zeros(2, 5))
    with pytest.raises(UsageError, match="black"):
        integrate(classifier, x, spec="integrated_gradients:baseline=blak")
    with pytest.raises(UsageError, match="tolerance"):
        integrate(classifier, x, spec="integrated_gradients:tolerance=0")
    with pytest.raises(UsageError, match=str(PARTS)):
        integrate(classifier, x, spec="integrated_gradients:max_points=3")


def test_an_image_equal_to_its_baseline_has_a_zero_map_and_no_gap() -> None:
    found = integrate(wrap(distinct_relu_net()), torch.zeros(1, 3, 16, 16, dtype=torch.float64))
    assert not found.attributions.any()
    assert float(found.gap) == 0
    assert bool(found.flat.all())


def test_relative_gap_is_infinite_where_nothing_changed_but_something_was_attributed() -> None:
    assert relative_gap(torch.tensor([0.5]), torch.tensor([0.0])).item() == float("inf")


def test_the_same_map_in_both_spaces_and_the_model_unchanged() -> None:
    net = distinct_relu_net()
    classifier, x = wrap(net), images()
    with unchanged(net):
        pixel = integrate(classifier, x)
    inner = explain(classifier, x, 2, methods=["integrated_gradients"], space="input")["integrated_gradients"]
    assert torch.allclose(pixel.attributions, inner.attributions, atol=1e-12)
    assert MEAN != STD  # normalization is not the identity here
