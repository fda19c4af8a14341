"""Class activation maps against captum, slow loops and closed forms."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from backlight.core.errors import LayerError
from backlight.explain import explain
from backlight.explain.attribution import upsample
from backlight.explain.methods import cam
from tests.explain.nets import distinct_relu_net, images, wrap
from tests.explain.peers import captum

FAMILY = ("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigencam")


def recorded(target: int, layer: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    net = distinct_relu_net().double()
    hidden = net[: layer + 1](wrap(net).normalize(images())).detach().requires_grad_(True)
    return hidden.detach(), torch.autograd.grad(net[layer + 1 :](hidden)[:, target].sum(), hidden)[0]


def test_gradcam_weighs_by_the_mean_where_gradients_differ_from_place_to_place() -> None:
    activations, gradients = torch.rand(2, 3, 4, 5).double(), torch.randn(2, 3, 4, 5).double()
    expected = torch.zeros(2, 1, 4, 5).double()
    for row in range(2):
        for channel in range(3):
            expected[row, 0] += gradients[row, channel].sum() / 20 * activations[row, channel]
    assert torch.allclose(cam.gradcam(activations, gradients), expected, atol=1e-12)


def test_gradcam_equals_captum() -> None:
    net, x = distinct_relu_net(), images()
    classifier = wrap(net)
    found = explain(classifier, x, 2, methods=["gradcam"])["gradcam"]
    assert found.layer == "6 (10,8,8)"
    options = {"target": 2, "relu_attributions": True}
    expected = captum("LayerGradCam", net, classifier.normalize(x), net[6], **options)
    assert torch.allclose(found.attributions.relu(), expected, atol=1e-12)
    upsampled = F.interpolate(expected, (16, 16), mode="bilinear", align_corners=False)[:, 0]
    assert torch.allclose(found.heatmap(), upsampled, atol=1e-12)


def test_formulas_equal_explicit_loops() -> None:
    A, G = recorded(1)
    found = explain(wrap(distinct_relu_net()), images(), 1, methods=FAMILY)
    for image in range(len(A)):
        wanted = {name: torch.zeros(8, 8, dtype=torch.float64) for name in FAMILY}
        for a, g in zip(A[image], G[image]):
            alpha = torch.zeros(8, 8, dtype=torch.float64)
            for i in range(8):
                for j in range(8):
                    if g[i, j] != 0:
                        alpha[i, j] = g[i, j] ** 2 / (2 * g[i, j] ** 2 + a.sum() * g[i, j] ** 3 + 1e-6)
            wanted["gradcam"] += g.sum() / 64 * a
            wanted["gradcam++"] += (alpha * g.clamp(min=0)).sum() * a
            wanted["hirescam"] += g * a
            wanted["layercam"] += g.clamp(min=0) * a
            wanted["xgradcam"] += (g * a).sum() / (a.sum() + 1e-7) * a
        places = A[image].flatten(1).T
        places = places - places.mean(0)
        projected = places @ torch.linalg.svd(places).Vh[0]
        wanted["eigencam"] = (projected * torch.sign(projected @ places.sum(1))).view(8, 8)
        for name in FAMILY:
            assert torch.allclose(found[name].attributions[image, 0], wanted[name], atol=1e-10), name


def test_eigencam_takes_the_smaller_product_and_both_agree() -> None:
    A = recorded(0)[0]
    wide = A.repeat(1, 9, 1, 1)  # more channels than places: the same component, three times as long
    assert torch.allclose(cam.eigencam(wide, A), 3 * cam.eigencam(A, A), atol=1e-9)


def test_several_layers_are_fused_by_the_mean_of_scaled_maps() -> None:
    classifier = wrap(distinct_relu_net())
    options = {"methods": ["layercam"], "target": 2}
    fused = explain(classifier, images(), layer=["4", "6"], **options)["layercam"]
    single = [explain(classifier, images(), layer=one, **options)["layercam"].heatmap() for one in ("4", "6")]
    assert all(bool((heat.amax((1, 2)) > 0).all()) for heat in single)
    expected = sum(heat / heat.amax((1, 2), keepdim=True) for heat in single) / 2
    assert torch.allclose(fused.attributions[:, 0], expected, atol=1e-9)
    assert fused.layer == "4 (12,8,8) + 6 (10,8,8)"


def test_guided_gradcam_is_the_product() -> None:
    found = explain(wrap(distinct_relu_net()), images(), 3, methods=["guided_gradcam", "gradcam", "guided_backprop"])
    expected = found["guided_backprop"].attributions * upsample(found["gradcam"].attributions.relu(), (16, 16))
    assert torch.equal(found["guided_gradcam"].attributions, expected)


def test_a_map_of_one_place_is_refused_and_another_layer_suggested() -> None:
    with pytest.raises(LayerError, match=r"'7' is a 1x1 map.*try: 6"):
        explain(wrap(distinct_relu_net()), images(), methods=["gradcam"], layer="7")


def test_an_all_negative_map_is_flagged() -> None:
    net = distinct_relu_net()
    with torch.no_grad():
        net[9].weight.fill_(-1.0)
    found = explain(wrap(net), images(), 0, methods=["gradcam"])["gradcam"]
    assert bool(found.flat.all())
    assert "nowhere positive" in found.notes[0]
