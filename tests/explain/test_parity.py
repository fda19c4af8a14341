"""The same maps as captum and pytorch-grad-cam, on real architectures and on the embedded model."""

from __future__ import annotations

import types
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.explain import explain
from backlight.explain.attribution import upsample
from backlight.models import load
from tests.explain.nets import distinct_relu_net, images, wrap
from tests.explain.peers import captum


def distinct_resnet18() -> nn.Module:
    """Build a resnet18 whose ReLUs are all distinct and not in place, as captum's hooks need."""
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = timm.create_model("resnet18", num_classes=7)
        for part in net.modules():
            if isinstance(part, nn.ReLU):
                part.inplace = False
            if isinstance(part, nn.BatchNorm2d):
                nn.init.uniform_(part.running_var, 0.5, 1.5)
                nn.init.normal_(part.running_mean, std=0.2)
                nn.init.uniform_(part.weight, 0.5, 1.5)
    return net.double().eval()


def test_resnet18_equals_captum_in_float64() -> None:
    net, x = distinct_resnet18(), images(2, 64)
    classifier = wrap(net, size=64)
    inputs = classifier.normalize(x)
    found = explain(classifier, x, 3, methods=["saliency", "guided_backprop", "deconvnet", "gradcam"], space="input")
    peers = {"saliency": "Saliency", "guided_backprop": "GuidedBackprop", "deconvnet": "Deconvolution"}
    for method, peer in peers.items():
        options = {"abs": False} if method == "saliency" else {}
        expected = captum(peer, net, inputs, target=3, **options)
        assert torch.allclose(found[method].attributions, expected, atol=1e-6 * float(expected.detach().abs().max())), (
            method
        )
    expected = captum("LayerGradCam", net, inputs, net.layer4, target=3, relu_attributions=True)
    assert torch.allclose(found["gradcam"].attributions.relu(), expected, rtol=1e-6, atol=1e-12)
    assert found["guided_backprop"].notes[0] == "17 rectifier calls overridden"


def test_the_embedded_model_equals_captum_but_for_guided_backprop_which_captum_misses() -> None:
    classifier = load("efficientnet_lite0")
    net, x = classifier.module, images(1, 224).float()
    target = int(classifier.logits(x).argmax())
    inputs = classifier.normalize(x)
    methods = ["saliency", "gradcam", "guided_backprop"]
    found = explain(classifier, x, target, methods=methods, space="input")
    saliency = captum("Saliency", net.eval(), inputs, target=target, abs=False)
    assert torch.allclose(found["saliency"].attributions, saliency, atol=1e-4 * float(saliency.abs().max()))
    expected = captum("LayerGradCam", net, inputs, net.bn2, target=target, relu_attributions=True).detach()
    assert torch.allclose(found["gradcam"].attributions.relu(), expected, atol=1e-5 * float(expected.max()))
    guided = captum("GuidedBackprop", net, inputs, target=target)
    assert torch.allclose(guided, saliency, atol=1e-4 * float(saliency.abs().max()))  # ReLU6 has no hook there
    change = (found["guided_backprop"].attributions - saliency).norm() / saliency.norm()
    assert float(change) > 0.5
    assert found["guided_backprop"].notes[0] == "33 rectifier calls overridden"


@pytest.fixture(scope="module")
def grad_cam() -> types.ModuleType:
    """Import pytorch-grad-cam, whose top level needs OpenCV only for what is not used here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("pytorch_grad_cam", exc_type=ImportError)


def unit(maps: Tensor) -> Tensor:
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low)


def positive_target(classifier: Classifier, x: Tensor) -> int:
    """Find a class whose maps are not empty after their ReLU, for every image and formula."""
    for target in range(classifier.classes):
        found = explain(classifier, x, target, methods=["gradcam", "hirescam", "xgradcam"])
        if not any(bool(one.flat.any()) for one in found.values()):
            return target
    raise AssertionError("every class has an empty map")


FAMILY = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "xgradcam": "XGradCAM",
    "eigencam": "EigenCAM",
    "ablationcam": "AblationCAM",
    "fullgrad": "FullGrad",
}


@pytest.mark.parametrize("method", FAMILY)
def test_the_family_equals_pytorch_grad_cam_after_scaling(method: str, grad_cam: types.ModuleType) -> None:
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net, x = distinct_relu_net(), images(2)
    classifier = wrap(net)
    target = positive_target(classifier, x)
    ours = explain(classifier, x, target, methods=[method])[method]
    with warnings.catch_warnings(), getattr(grad_cam, FAMILY[method])(net, [net[6]]) as peer:
        warnings.simplefilter("ignore")
        expected = peer(input_tensor=classifier.normalize(x), targets=[ClassifierOutputTarget(target)] * 2)
    for row in range(2):
        heats = [ours.heatmap()[row]]
        if method == "eigencam":  # the peer's sign is arbitrary
            heats.append(upsample((-ours.attributions).relu(), (16, 16))[row, 0])
        close = [np.abs(unit(heat[None])[0].numpy() - expected[row]).max() for heat in heats]
        assert min(close) < 2e-6
