"""Where no gradient leads from the logits to the images, whatever needs one says so; the rest works."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import attack
from backlight.classifier import Classifier
from backlight.classifier.gradients import depends_on, differentiate, differentiate_one
from backlight.core.errors import ModelError
from backlight.explain import explain
from backlight.visualize import class_image

IMAGES = torch.linspace(0, 1, 3 * 3 * 8 * 8).view(3, 3, 8, 8)


class Then(nn.Module):
    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4)).eval()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(self.net, images)


def int8(layers: set[type[nn.Module]]) -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(Then(lambda net, x: net(x)).net, layers, dtype=torch.qint8)


BLIND: dict[str, Callable[[], nn.Module]] = {
    "int8": lambda: int8({nn.Linear}),
    "detached": lambda: Then(lambda net, x: net(x).detach()),
    "detached images": lambda: Then(lambda net, x: net(x.detach())),
    "no_grad": lambda: Then(lambda net, x: torch.no_grad()(net)(x)),
    "votes": lambda: Then(lambda net, x: nn.functional.one_hot(net(x).argmax(1), 4).float()),
    "numpy": lambda: Then(lambda net, x: torch.from_numpy(net(x).detach().numpy())),
    "integers": lambda: Then(lambda net, x: net((x * 255).to(torch.uint8) / 255)),
}


@pytest.mark.filterwarnings("ignore:.*(torch.ao|quantiz|derivative)")
@pytest.mark.parametrize("kind", BLIND)
def test_what_needs_a_gradient_refuses_and_the_rest_works(kind: str) -> None:
    classifier = Classifier.from_module(BLIND[kind](), size=8)
    for method in ("saliency", "guided_backprop", "deconvnet", "integrated_gradients", "smoothgrad", "gradcam"):
        with pytest.raises(ModelError, match="do not depend on the images|found no ReLU|does not depend on"):
            explain(classifier, IMAGES, 1, methods=[method])
    for method in ("fgsm", "pgd", "apgd-ce", "fab-t", "ddn", "fmn", "cw", "deepfool"):
        with pytest.raises(ModelError, match="do not depend on the images.*square"):
            attack(classifier, IMAGES, method=method)
    with pytest.raises(ModelError, match="do not depend on the images"):
        class_image(classifier, [0], steps=2)
    assert explain(classifier, IMAGES, 1, methods=["occlusion"])["occlusion"].attributions.shape[0] == 3
    assert attack(classifier, IMAGES, method="square", steps=3).backwards.sum() == 0


def test_gradients_that_are_zero_all_over_are_said() -> None:
    classifier = Classifier.from_module(Then(lambda net, x: net((x * 255).round() / 255)), size=8)
    found = explain(classifier, IMAGES, 1, methods=["saliency"])["saliency"]
    assert not found.attributions.any()
    assert any("zero everywhere" in note for note in found.notes)
    levels = (IMAGES * 255).round() / 255
    result = attack(classifier, levels, eps="0.1/255", steps=2)
    assert result.blind.all()
    assert "gradients of 3 others were zero all over" in repr(result)
    seeing = attack(Classifier.from_module(Then(lambda net, x: net(x)), size=8), levels, eps="0.1/255", steps=2)
    assert not seeing.blind.any()


def test_a_gradient_is_that_of_autograd_and_parts_without_one_are_none() -> None:
    x, y, z = (torch.linspace(1, 2, 4, dtype=torch.float64).requires_grad_(True) for _ in range(3))
    value = (x.square() * 3 + y).sum()
    first, second, third = differentiate(value, [x, y, z])
    assert torch.equal(first, 6 * x)
    assert torch.equal(second, torch.ones_like(y))
    assert third is None
    with torch.no_grad(), pytest.raises(ModelError):
        differentiate_one(x * 2, x)


def test_dependence_is_seen_through_views_hidden_layers_and_checkpoints() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    hidden = x * 2
    assert depends_on(hidden.view(6)[1:].sum(), [x])
    assert depends_on(hidden.exp(), [hidden])
    assert depends_on(x, [x])
    assert not depends_on(x * 2, [hidden])
    again = torch.utils.checkpoint.checkpoint(torch.exp, x, use_reentrant=False)
    assert depends_on(again, [x])
    assert not depends_on(torch.ones(2), [x])
