import pytest
import torch
from torch import nn
from torchvision import models

from backlight.classifier import Classifier
from backlight.classifier.multiply_adds import count_multiply_adds
from backlight.core.errors import ModelError, UsageError
from backlight.models import compare_random, inspect_model, load
from backlight.testing import CALLERS, caller, small_net, unchanged


def test_the_head_of_a_resnet50_has_2048_inputs() -> None:
    summary = inspect_model(load("timm:resnet50", random=True))
    assert summary.head is not None
    assert (summary.head.in_features, summary.head.classes) == (2048, 1000)
    assert summary.parameters == 25_557_032
    assert summary.multiply_adds == 4_089_184_256
    assert summary.input == (3, 224, 224)
    json = summary.to_json()
    assert list(json) == ["model", "parameters", "multiply_adds", "input", "head", "layers"]
    assert json["layers"][0] == {"name": "conv1", "type": "Conv2d", "output": [1, 64, 112, 112]}


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x0_5", pytest.param("swin_t", marks=pytest.mark.slow)])
def test_counts_equal_those_that_torchvision_publishes(name: str) -> None:
    published = models.get_model_weights(name).DEFAULT.meta
    summary = inspect_model(load(f"torchvision:{name}", random=True))
    assert summary.parameters == published["num_params"]
    assert summary.multiply_adds / 1e9 == pytest.approx(published["_ops"], abs=6e-4)


class Attention(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.stem, self.head = kind, nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 5)
        if kind == "module":
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.stem(images).flatten(2).transpose(1, 2)
        if self.kind == "module":
            tokens = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        elif self.kind == "fused":
            tokens = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
        else:
            tokens = (tokens @ tokens.transpose(1, 2)).softmax(-1) @ tokens
        return self.head(tokens.mean(1))


@pytest.mark.parametrize(("kind", "projections"), [("module", 4), ("fused", 0), ("written out", 0)])
def test_attention_is_counted_however_it_is_computed(kind: str, projections: int) -> None:
    classifier = Classifier.from_module(Attention(kind), size=16)
    tokens, width = 16, 8
    stem, head = tokens * width * 3 * 16, width * 5
    products = 2 * tokens * tokens * width + projections * tokens * width * width
    assert count_multiply_adds(classifier, (3, 16, 16)) == stem + products + head


@pytest.mark.parametrize("state", CALLERS)
def test_inspecting_leaves_the_model_as_it_was(state: str) -> None:
    net = small_net()
    classifier = Classifier.from_module(net, size=8)
    with caller(net, state), unchanged(net):
        summary = inspect_model(classifier)
    assert summary.head is not None
    assert (summary.head.name, summary.head.in_features, summary.head.classes) == ("10", 48, 4)
    assert summary.multiply_adds == 64 * 8 * 27 + 16 * 12 * 72 + 48 * 4


def test_an_unknown_input_size_is_said() -> None:
    with pytest.raises(ModelError, match="--size"):
        inspect_model(Classifier.from_module(small_net()))


def test_random_weights_are_compared_on_one_image() -> None:
    trained = load("timm:test_resnet", random=True, size=32, seed=9)
    image = torch.rand(3, 32, 32)
    with unchanged(trained.module):
        found = compare_random(trained, image, seed=4, top=3)
    with torch.no_grad():
        for rows, seed in ((found.trained, 9), (found.random, 4)):
            logits = load("timm:test_resnet", random=True, size=32, seed=seed).logits(image[None])[0]
            values, indices = logits.topk(3)
            assert [row.index for row in rows] == indices.tolist()
            assert [row.logit for row in rows] == values.tolist()
            assert [row.probability for row in rows] == logits.softmax(0)[indices].tolist()
    assert found.to_json()["seed"] == 4
    assert compare_random(trained, image[None], seed=9, top=3).random == found.trained


def test_a_trained_network_is_surer_than_a_random_one() -> None:
    ramp = torch.linspace(0, 1, 224).expand(3, 224, 224)
    found = compare_random("efficientnet_lite0", ramp)
    assert len(found.trained) == len(found.random) == 5
    assert found.trained[0].label in load().labels


def test_a_classifier_without_a_specification_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="no model 'Sequential'"):
        compare_random(Classifier.from_module(small_net(), size=8), torch.rand(3, 8, 8))
