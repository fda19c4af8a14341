"""Features found by what layers do: linear heads of every form, and networks without one."""

import pytest
import torch
from torch import Tensor, nn

from backlight import Classifier, load
from backlight.classifier.last_layer import find_last_layer
from backlight.testing import unchanged

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def trunk(width: int = 6) -> list[nn.Module]:
    return [nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]


class Functional(nn.Module):
    """Registers its head first and pools by a function, as people write networks."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.features = nn.Conv2d(3, 6, 3)
        self.unused = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).relu().mean((2, 3)))


class Tuple(Functional):
    """Returns features beside its logits."""

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images).relu().mean((2, 3))
        return features, self.head(features)  # type: ignore[return-value]


class Cosine(nn.Module):
    """Compares directions: no linear layer makes its logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(*trunk(), nn.Flatten())
        self.vectors = nn.Parameter(torch.randn(3, 6, generator=torch.Generator().manual_seed(1)))

    def forward(self, images: Tensor) -> Tensor:
        return 20 * nn.functional.normalize(self.body(images), dim=1) @ nn.functional.normalize(self.vectors, dim=1).T


def networks() -> dict[str, tuple[nn.Module, str, dict[str, object]]]:
    flat = nn.Flatten()
    return {
        "linear": (nn.Sequential(*trunk(), flat, nn.Linear(6, 3)), "4", {}),
        "no bias": (nn.Sequential(*trunk(), flat, nn.Linear(6, 3, bias=False)), "4", {}),
        "convolution": (nn.Sequential(*trunk(), nn.Conv2d(6, 3, 1), flat), "3", {}),
        "binary": (nn.Sequential(*trunk(), flat, nn.Linear(6, 1)), "4", {"outputs": "binary"}),
        "softmax": (nn.Sequential(*trunk(), flat, nn.Linear(6, 3), nn.Softmax(1)), "4", {"outputs": "probabilities"}),
        "dropout after": (nn.Sequential(*trunk(), flat, nn.Linear(6, 3), nn.Dropout()), "4", {}),
        "functional": (Functional(), "head", {}),
        "tuple": (Tuple(), "head", {"labels": ["a", "b", "c"]}),
    }


@pytest.mark.parametrize("name", networks())
def test_features_and_head_make_the_logits(name: str) -> None:
    module, layer, options = networks()[name]
    classifier = Classifier.from_module(module, size=8, **options)  # type: ignore[arg-type]
    with unchanged(module):
        found = find_last_layer(classifier, IMAGES)
        assert found is not None
        assert found.name == layer
        logits, features = found.read(classifier, IMAGES)
    assert features.shape == (4, 6)
    torch.testing.assert_close(logits, classifier.logits(IMAGES))
    assert found.weight is not None
    assert found.bias is not None
    made = features @ found.weight.T + found.bias
    torch.testing.assert_close(made.softmax(1), logits.softmax(1))


def test_without_a_linear_layer_the_last_one_shown_is_taken() -> None:
    classifier = Classifier.from_module(Cosine(), size=8)
    found = find_last_layer(classifier, IMAGES)
    assert found is not None
    assert (found.after, found.weight) == (True, None)
    logits, features = found.read(classifier, IMAGES)
    torch.testing.assert_close(features, classifier.module.body(IMAGES).detach())
    torch.testing.assert_close(logits, classifier.logits(IMAGES))


def test_a_head_over_places_is_not_taken_for_a_linear_one() -> None:
    layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    found = find_last_layer(Classifier.from_module(nn.Sequential(*layers), size=8), IMAGES)
    assert found is not None
    assert found.weight is None
    assert found.name == "2" or found.after


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_program_shows_no_features() -> None:
    net = torch.jit.trace(nn.Sequential(*trunk(), nn.Flatten(), nn.Linear(6, 3)).eval(), IMAGES)
    assert find_last_layer(Classifier.from_module(net, size=8), IMAGES) is None


@pytest.mark.parametrize("name", ["vit", "cct", "residual_cnn"])
def test_own_networks_have_a_linear_head(name: str) -> None:
    classifier = load(name, random=True)
    assert classifier.size is not None
    found = find_last_layer(classifier, torch.rand(2, 3, *classifier.size))
    assert found is not None
    assert found.weight is not None
