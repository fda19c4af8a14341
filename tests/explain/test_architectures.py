"""Every method on the architectures people use: with random weights, small and rectangular inputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from backlight.classifier import Classifier
from backlight.core.errors import LayerError, ModelError
from backlight.explain import explain
from backlight.testing import CALLERS, caller, unchanged
from tests.explain.nets import distinct_relu_net, images, wrap

SHARED = ("saliency", "gradient_x_input", "gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigencam")
RECTIFIED = ("guided_backprop", "deconvnet", "guided_gradcam")
ATTENTION = ("rollout", "gradient_attention", "legrad")
FEW = ("integrated_gradients:points=2", "smoothgrad:samples=2", "occlusion:window=32,stride=32", "rise:samples=2")

CONVOLUTIONAL: list[tuple[str, Any, int]] = [
    ("resnet50", (64, 96), 49),
    ("densenet121", (64, 64), 121),
    ("mobilenetv2_100", (64, 96), 35),
    ("inception_v3", (96, 96), 94),
    ("tf_efficientnet_lite0", (64, 64), 33),
    ("vgg11", (64, 64), 10),
]
SMOOTH: list[tuple[str, Any, dict[str, Any]]] = [
    ("efficientnet_b0", (64, 64), {}),
    ("convnext_atto", (64, 96), {}),
    ("swin_tiny_patch4_window7_224", (64, 64), {"img_size": 64, "window_size": 2}),
]
TRANSFORMERS: list[tuple[str, Any, int]] = [
    ("vit_tiny_patch16_224", (64, 96), 1),
    ("deit_tiny_distilled_patch16_224", (96, 64), 2),
    ("vit_small_patch16_dinov3", (64, 64), 5),
]


def build(name: str, size: tuple[int, int], channels: int = 3, **options: Any) -> Classifier:
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = timm.create_model(name, num_classes=6, in_chans=channels, **options)
    mean = (0.5,) * channels
    return Classifier.from_module(net, mean=mean, std=mean, size=size)


def check(classifier: Classifier, methods: tuple[str, ...], count: int) -> None:
    height, width = classifier.size or (0, 0)
    x = images(count, (height, width), channels=classifier.channels).float()
    with unchanged(classifier.module):
        found = explain(classifier, x, 2, methods=methods)
    for name, one in found.items():
        assert one.heatmap().shape == (count, height, width), name
        assert bool(one.finite.all()), name


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size", "rectifiers"), CONVOLUTIONAL)
def test_convolutional_networks(name: str, size: tuple[int, int], rectifiers: int) -> None:
    classifier = build(name, size)
    count = 7 if name == "mobilenetv2_100" else 2
    check(classifier, (*SHARED, *RECTIFIED, *FEW, "fullgrad", "scorecam:channels=3", "ablationcam:channels=3"), count)
    found = explain(classifier, images(1, size).float(), methods=["guided_backprop"])["guided_backprop"]
    assert found.notes[0] == f"{rectifiers} rectifier calls overridden"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size", "options"), SMOOTH)
def test_networks_without_rectifiers_say_why_they_cannot_be_guided(name: str, size: Any, options: Any) -> None:
    classifier = build(name, size, **options)
    check(classifier, (*SHARED, *FEW), 1)
    with pytest.raises(ModelError, match="no ReLU to override"):
        explain(classifier, images(1, size).float(), methods=["guided_backprop"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size", "prefix"), TRANSFORMERS)
def test_transformers_with_any_number_of_prefix_tokens(name: str, size: tuple[int, int], prefix: int) -> None:
    classifier = build(name, size, img_size=size, depth=3)
    check(classifier, (*SHARED, *ATTENTION, *FEW), 7)
    found = explain(classifier, images(1, size).float(), methods=["gradcam"])["gradcam"]
    grid = f"{size[0] // 16},{size[1] // 16}"
    assert found.layer is not None
    assert found.layer.startswith("blocks.2.norm1 (")
    assert found.layer.endswith(f",{grid}) from tokens after {prefix} prefix")


@pytest.mark.slow
def test_torchvision_networks() -> None:
    import torchvision

    with torch.random.fork_rng():
        nets = {
            "features": torchvision.models.mobilenet_v2(num_classes=6),
            "layer4": torchvision.models.resnet18(num_classes=6),
            "permute": torchvision.models.swin_t(num_classes=6),
            "encoder.layers.encoder_layer_11.ln_1": torchvision.models.vit_b_32(num_classes=6),
        }
    for layer, net in nets.items():
        size = 224 if "encoder" in layer else 64
        classifier = Classifier.from_module(net, size=size)
        found = explain(classifier, images(1, size).float(), 1, methods=["gradcam", "saliency"])["gradcam"]
        assert found.layer is not None
        assert found.layer.split()[0] == layer


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("count", [1, 7])
def test_any_number_of_channels(channels: int, count: int) -> None:
    net = distinct_relu_net(channels=channels)
    mean = tuple(0.1 * place + 0.3 for place in range(channels))
    classifier = Classifier.from_module(net, mean=mean, std=mean, size=16)
    everything = (*SHARED, *RECTIFIED, "integrated_gradients", "smoothgrad:samples=2", "occlusion:window=8,stride=8")
    check(classifier, everything, count)
    found = explain(classifier, images(1, channels=channels).float(), methods=["saliency"])
    assert "data:image/png" in found._repr_html_()


@pytest.mark.parametrize("state", CALLERS)
def test_methods_of_many_passes_leave_the_model_alone_from_every_caller(state: str) -> None:
    net = distinct_relu_net().float()
    classifier = Classifier.from_module(net, size=16)
    methods = ("integrated_gradients", "smoothgrad:samples=2", "scorecam", "ablationcam", "fullgrad", "rise:samples=3")
    x = images().float()
    expected = explain(classifier, x, 1, methods=methods)
    with caller(net, state), unchanged(net):
        found = explain(classifier, x, 1, methods=methods)
    for name in methods:
        assert torch.allclose(found[name].attributions, expected[name].attributions, atol=1e-6), name


def test_a_compiled_network_is_explained_as_it_was_before() -> None:
    net = distinct_relu_net().float()
    expected = explain(
        Classifier.from_module(net, size=16), images().float(), 1, methods=["guided_backprop", "gradcam"]
    )
    compiled = torch.compile(distinct_relu_net().float(), backend="eager")
    found = explain(
        Classifier.from_module(compiled, size=16), images().float(), 1, methods=["guided_backprop", "gradcam"]
    )
    for name in found:
        assert torch.allclose(found[name].attributions, expected[name].attributions, atol=1e-6)


def test_bfloat16_maps_are_float32_and_close() -> None:
    expected = explain(wrap(distinct_relu_net(), double=False), images().float(), 1, methods=["gradcam", "saliency"])
    found = explain(
        wrap(distinct_relu_net().bfloat16(), double=False), images().float(), 1, methods=["gradcam", "saliency"]
    )
    for name in found:
        assert found[name].attributions.dtype == torch.float32
        scale = float(expected[name].attributions.abs().max())
        assert float((found[name].attributions - expected[name].attributions).abs().mean()) < 0.05 * scale


def test_a_network_whose_maps_are_all_one_place_says_so() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4, 2))
    with pytest.raises(LayerError, match="no layer of Sequential holds a map"):
        explain(Classifier.from_module(net, size=8), images(1, 8).float(), methods=["gradcam"])
