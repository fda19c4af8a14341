"""The layer and its layout are chosen, reported and right."""

from __future__ import annotations

import pytest
import torch

from backlight.classifier import Classifier
from backlight.core.errors import LayerError
from backlight.explain import explain
from backlight.explain.layout import Layout, choose_layer, find_layout
from backlight.testing import unchanged
from tests.explain.nets import distinct_relu_net, images, wrap

timm = pytest.importorskip("timm")


def build(name: str, size: int | tuple[int, int], **options: object) -> Classifier:
    with torch.random.fork_rng():
        net = timm.create_model(name, num_classes=5, **options)
    return Classifier.from_module(net, size=size)


@pytest.mark.parametrize(
    ("name", "size", "options", "layer"),
    [
        ("resnet18", 64, {}, "layer4 (512,2,2)"),
        (
            "vit_tiny_patch16_224",
            (32, 64),
            {"img_size": (32, 64), "depth": 2},
            "blocks.1.norm1 (192,2,4) from tokens after 1 prefix",
        ),
        (
            "deit_tiny_distilled_patch16_224",
            (48, 32),
            {"img_size": (48, 32), "depth": 2},
            "blocks.1.norm1 (192,3,2) from tokens after 2 prefix",
        ),
        (
            "swin_tiny_patch4_window7_224",
            64,
            {"img_size": 64, "window_size": 2, "depths": (1, 1), "num_heads": (3, 6)},
            "norm (192,8,8) from NHWC",
        ),
    ],
)
def test_the_layer_is_chosen_and_reported(name: str, size: object, options: dict, layer: str) -> None:
    classifier = build(name, size, **options)
    x = images(2, size).float()
    with unchanged(classifier.module):
        found = explain(classifier, x, methods=["gradcam"])["gradcam"]
    assert found.layer == layer
    assert found.heatmap().shape == (2, *x.shape[2:])
    assert float(found.attributions.abs().max()) > 0


def test_torchvision_transformers_need_no_reshape_function() -> None:
    from torchvision.models import VisionTransformer

    with torch.random.fork_rng():
        net = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)
        torch.nn.init.normal_(net.heads.head.weight)
    found = explain(Classifier.from_module(net, size=32), images(2, 32).float(), methods=["gradcam"])["gradcam"]
    assert found.layer == "encoder.layers.encoder_layer_1.ln_1 (16,4,4) from tokens after 1 prefix"
    assert float(found.attributions.abs().max()) > 0


def test_layouts_place_every_value() -> None:
    grid = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    tokens = torch.cat([torch.zeros(2, 2, 3), grid.flatten(2).transpose(1, 2)], 1)
    assert torch.equal(Layout("NCHW", (4, 5)).to_map(grid), grid)
    assert torch.equal(Layout("NHWC", (4, 5)).to_map(grid.permute(0, 2, 3, 1)), grid)
    assert torch.equal(Layout("tokens", (4, 5), 2).to_map(tokens), grid)


def test_the_grid_follows_the_actual_size_not_the_one_declared() -> None:
    classifier = build("vit_tiny_patch16_224", 64, img_size=64, depth=1, dynamic_img_size=True)
    found = explain(classifier, images(1, (96, 32)).float(), methods=["gradcam"])["gradcam"]
    assert found.layer == "blocks.0.norm1 (192,6,2) from tokens after 1 prefix"


def test_a_vector_is_no_map() -> None:
    classifier = wrap(distinct_relu_net())
    with pytest.raises(LayerError, match="expected a map"):
        find_layout(classifier, "9", (1, 5), (16, 16))
    with pytest.raises(LayerError, match="no layer of"):
        choose_layer(wrap(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)), size=2))


def test_a_call_of_a_reused_layer_is_named_by_its_number() -> None:
    from tests.explain.nets import ReusedReLU

    classifier = wrap(ReusedReLU(distinct_relu_net()))
    found = explain(classifier, images(), 2, methods=["gradcam"], layer="relu#2")["gradcam"]
    assert found.layer == "relu#2 (10,8,8)"
    expected = explain(wrap(distinct_relu_net()), images(), 2, methods=["gradcam"])["gradcam"]
    assert torch.allclose(found.attributions, expected.attributions, atol=1e-12)
    with pytest.raises(LayerError, match="3 times"):
        explain(classifier, images(), 2, methods=["gradcam"], layer="relu")
