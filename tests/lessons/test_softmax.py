"""Softmax, its Jacobian and the three explained quantities, against autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backlight.core.errors import InputError
from backlight.lessons import input_gradients, logit_gradients, softmax, softmax_jacobian
from backlight.testing import small_net, unchanged

LOGITS = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3
TARGETS = torch.tensor([0, 4, 2, 2])


@settings(deadline=None)
@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=6), st.floats(-100, 100))
def test_softmax_equals_torch_and_ignores_a_shift(values, shift):
    logits = torch.tensor(values, dtype=torch.float64)
    torch.testing.assert_close(softmax(logits), logits.softmax(-1))
    torch.testing.assert_close(softmax(logits + shift), softmax(logits), atol=1e-10, rtol=1e-10)


def test_jacobian_equals_autograd_is_symmetric_and_sums_to_zero():
    found = softmax_jacobian(LOGITS)
    for row, jacobian in zip(LOGITS, found):
        torch.testing.assert_close(jacobian, torch.autograd.functional.jacobian(lambda z: z.softmax(0), row))
    torch.testing.assert_close(found, found.transpose(-1, -2))
    torch.testing.assert_close(found.sum(-1), torch.zeros(4, 5, dtype=torch.float64))


def quantities(logits):
    chosen = logits.gather(1, TARGETS[:, None]).sum()
    log_probabilities = logits.log_softmax(1).gather(1, TARGETS[:, None])
    return {"logit": chosen, "probability": log_probabilities.exp().sum(), "loss": -log_probabilities.sum()}


@pytest.mark.parametrize("name", ["logit", "probability", "loss"])
def test_closed_forms_equal_autograd(name):
    logits = LOGITS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(quantities(logits)[name], logits)
    torch.testing.assert_close(getattr(logit_gradients(LOGITS, TARGETS), name), expected)


@pytest.mark.parametrize("name", ["logit", "probability", "loss"])
def test_image_gradients_equal_autograd(name):
    network = small_net(classes=5).double().eval()
    images = torch.rand(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    point = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad(quantities(network(point))[name], point)
    with unchanged(network), torch.inference_mode():
        found = input_gradients(network, images, TARGETS)
    torch.testing.assert_close(getattr(found, name), expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_why_the_logit_is_explained(sign):
    """A sure model's probability has no gradient left in float32, its logit still has."""
    weights = torch.linspace(-1, 1, 12)

    def sure(images):
        first = images.flatten(1) @ weights + sign * 200
        return torch.stack([first, torch.zeros_like(first)], 1)

    sizes = input_gradients(sure, torch.rand(1, 3, 2, 2), torch.tensor([0])).sizes()
    assert sizes["logit"].item() == pytest.approx(weights.norm().item())
    assert sizes["probability"].item() == 0
    assert (sizes["loss"].item() == 0) == (sign > 0)


def test_messages():
    with pytest.raises(InputError, match=r"logits have shape \[4, 5\] and targets \[3\]"):
        logit_gradients(LOGITS, TARGETS[:3])
    with pytest.raises(InputError, match="targets are torch.float32"):
        logit_gradients(LOGITS, TARGETS.float())
    with pytest.raises(InputError, match="targets reach from 0 to 5; expected classes 0 to 4"):
        logit_gradients(LOGITS, torch.tensor([0, 5, 2, 1]))
