"""Faults found in other tools, each as a test that it is not one of ours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.explain import explain, method
from backlight.explain.figures import draw
from backlight.explain.methods import cam
from backlight.explain.scores import score, score_maps
from backlight.explain.scores.judge import Judge
from backlight.testing import unchanged
from tests.explain.nets import distinct_relu_net, images, wrap


def linear(classes: int = 3) -> tuple[Classifier, Tensor]:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, classes)).double()
    with torch.no_grad():
        net[1].weight.copy_(torch.arange(48.0 * classes).view(classes, 48).sin())
    return Classifier.from_module(net, size=4), net[1].weight.detach()


def test_torchcam_maps_of_eight_bits_do_not_wrap_around() -> None:
    image, ramp = torch.zeros(3, 1, 256), torch.arange(256.0).view(1, 256)
    assert torch.allclose(draw(image, ramp.to(torch.uint8)), draw(image, ramp / 255), atol=1e-6)
    brightness = draw(image, ramp.to(torch.uint8)).sum(0)[0]
    assert bool((brightness.diff() >= -1e-3).all())


def test_torchcam_gradcam_plus_plus_sums_the_activations_not_their_product_with_the_gradient() -> None:
    A = torch.tensor([[[[1.0, 0.0], [0.0, 3.0]]]])
    G = torch.tensor([[[[0.5, -1.0], [2.0, 0.0]]]])
    alpha = torch.where(G != 0, G**2 / (2 * G**2 + A.sum() * G**3 + 1e-6), 0.0)
    expected = (alpha * G.relu()).sum() * A
    wrong = (torch.where(G != 0, G**2 / (2 * G**2 + (A * G**3).sum() + 1e-6), 0.0) * G.relu()).sum() * A
    assert torch.allclose(cam.gradcam_plus_plus(A, G), expected)
    assert not torch.allclose(expected, wrong)


def test_torchcam_smoothgrad_uses_every_noisy_copy_not_the_last() -> None:
    classifier, x = wrap(distinct_relu_net()), images(1)
    one, two, four = (
        explain(classifier, x, 1, methods=[f"smoothgrad:samples={count}"])[f"smoothgrad:samples={count}"].attributions
        for count in (1, 2, 4)
    )
    assert not torch.allclose(one, two)
    assert not torch.allclose(2 * two - one, four)


@pytest.mark.parametrize("points", [1, 2, 10, 50])
def test_captum_trapezoid_weights_sum_to_one(points: int) -> None:
    classifier, weight = linear()
    x = images(1, 4)
    spec = f"integrated_gradients:points={points}"
    found = explain(classifier, x, 1, methods=[spec])[spec]
    assert torch.allclose(found.attributions.flatten(), weight[1] * x.flatten(), atol=1e-12)
    assert float(found.gap) < 1e-6


def test_captum_hooks_are_gone_after_success_and_after_an_exception() -> None:
    net = distinct_relu_net()
    classifier = wrap(net)

    def fail(_logits: Tensor) -> Tensor:
        raise RuntimeError("in the middle")

    for _ in range(2):
        with unchanged(net):
            explain(classifier, images(1), methods=["guided_backprop", "ablationcam"])
            with pytest.raises(RuntimeError, match="in the middle"):
                explain(classifier, images(1), fail, methods=["guided_backprop", "ablationcam"])


def test_pytorch_grad_cam_swallows_an_index_error_and_we_do_not() -> None:
    with pytest.raises(IndexError):
        explain(wrap(distinct_relu_net()), images(1), lambda logits: logits[:, 99], methods=["gradcam"])


def test_pytorch_grad_cam_overlays_keep_the_brightness_of_the_picture() -> None:
    image, spot = images(1)[0].float(), torch.zeros(16, 16)
    spot[8, 8] = 1
    untouched = torch.ones(16, 16, dtype=torch.bool)
    untouched[8, 8] = False
    gray = image.mean(0).expand(3, -1, -1)
    assert torch.allclose(draw(image, spot)[:, untouched], gray[:, untouched], atol=1e-6)


def test_pytorch_grad_cam_eigencam_has_a_sign() -> None:
    A = images(4, 8, channels=6)
    found = cam.eigencam(A, A)
    centered = A.sum(1, keepdim=True) - A.sum(1, keepdim=True).mean((2, 3), keepdim=True)
    assert bool(((found * centered).sum((1, 2, 3)) > 0).all())


def test_quantus_an_empty_mask_is_no_hit() -> None:
    classifier, x = wrap(distinct_relu_net()), images(2)
    masks = torch.zeros(2, 16, 16, dtype=torch.bool)
    masks[0] = True
    found = score(classifier, x, 1, methods=["saliency"], metrics=["pointing_game"], masks=masks).table
    assert found["saliency.pointing_game"][0] == 1
    assert np.isnan(found["saliency.pointing_game"][1])


def test_quantus_pixels_are_removed_with_all_their_channels() -> None:
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return x.mean((2, 3))

    classifier = Classifier.from_module(Watching(), size=8)
    seen.clear()
    judge = Judge(classifier, torch.ones(1, 3, 8, 8), torch.tensor([0]), Random(0, [0]))
    score_maps(judge, {"map": torch.rand(1, 3, 8, 8)}, ["deletion"])
    changed = torch.cat(seen) != 1
    assert bool((changed.all(1) == changed.any(1)).all())
    assert sorted(changed[:21].any(1).sum((1, 2)).tolist()) == [round(64 * step / 20) for step in range(21)]


def test_quantus_black_is_zero_in_pixels_not_the_minimum_of_the_normalized_image() -> None:
    classifier, x = wrap(distinct_relu_net()), images(1) * 0.5 + 0.4
    named = explain(classifier, x, 1, methods=["integrated_gradients:points=8,baseline=black"])
    given = method("integrated_gradients:points=8", baseline=torch.zeros(1, dtype=torch.float64))
    (found,) = explain(classifier, x, 1, methods=[given]).values()
    assert torch.allclose(found.attributions, next(iter(named.values())).attributions, atol=1e-12)


def test_quantus_option_strings_are_never_evaluated() -> None:
    with pytest.raises(UsageError, match="expected a whole number"):
        method("smoothgrad:samples=__import__('os').getpid()")
    with pytest.raises(UsageError):
        method("__import__('os')")


def test_pair_smoothgrad_keeps_the_sign() -> None:
    classifier, weight = linear()
    found = explain(classifier, images(1, 4), 1, methods=["smoothgrad:samples=5"])["smoothgrad:samples=5"]
    assert torch.allclose(found.attributions.flatten(), weight[1], atol=1e-12)
    assert bool((found.attributions < 0).any())


def test_utkuozbulak_gradcam_of_a_zero_gradient_is_zero_and_integrated_gradients_multiply_by_the_path() -> None:
    assert not cam.gradcam(torch.rand(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)).any()
    classifier, weight = linear()
    x = images(1, 4)
    spec = "integrated_gradients:points=3,baseline=white"
    found = explain(classifier, x, 2, methods=[spec])[spec]
    assert torch.allclose(found.attributions.flatten(), weight[2] * (x.flatten() - 1), atol=1e-12)


def test_utkuozbulak_noise_grows_with_the_image_s_range() -> None:
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.detach())
            return x.mean((2, 3))

    classifier = Classifier.from_module(Watching(), size=16)
    dim, bright = (images(1, 16, seed=5).float() * scale for scale in (0.1, 1.0))
    assert classifier.classes == 3  # its dry run is done before the watching starts
    spreads = []
    for x in (dim, bright):
        seen.clear()
        explain(classifier, x, 0, methods=["smoothgrad:samples=8,level=0.2"])
        spreads.append(float((torch.cat(seen[1:]) - x).std()))
    assert spreads[1] == pytest.approx(10 * spreads[0], rel=1e-3)
    assert spreads[1] == pytest.approx(0.2, rel=0.05)


def test_flashtorch_the_class_asked_for_is_explained() -> None:
    classifier, weight = linear()
    for target in range(3):
        found = explain(classifier, images(1, 4), target, methods=["saliency"])["saliency"]
        assert torch.allclose(found.attributions.flatten(), weight[target])


def test_flashtorch_guided_masks_are_zero_or_one_not_the_activation() -> None:
    net = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(48, 2)).double()
    found = explain(Classifier.from_module(net, size=4), images(1, 4), 0, methods=["guided_backprop"])[
        "guided_backprop"
    ]
    assert torch.allclose(found.attributions.flatten(), net[2].weight[0].detach().clamp(min=0))


def test_zennit_one_class_is_explained_not_every_logit_weighted_by_itself() -> None:
    classifier, weight = linear()
    x = images(1, 4)
    found = explain(classifier, x, methods=["saliency"])
    assert torch.allclose(found["saliency"].attributions.flatten(), weight[int(found.target)])
    identity = (classifier.logits(x).detach() @ weight).flatten()
    assert not torch.allclose(found["saliency"].attributions.flatten(), identity)


def test_vit_explain_rollout_rows_sum_to_one_for_every_image_of_the_batch() -> None:
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        net = timm.create_model(
            "vit_tiny_patch16_224", img_size=32, depth=2, num_classes=3, class_token=False, global_pool="avg"
        )
    classifier = Classifier.from_module(net.double(), size=32)
    found = explain(classifier, images(3, 32), methods=["rollout"])["rollout"]
    assert torch.allclose(found.attributions.sum((1, 2, 3)), torch.ones(3, dtype=torch.float64))


def test_vit_explain_gradients_meet_the_attention_of_their_own_block() -> None:
    from backlight.explain.recorded import Recorded

    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        net = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=3, num_classes=3).double()
        nn.init.normal_(net.head.weight)
    classifier = Classifier.from_module(net, size=32)
    recorded = Recorded(classifier, images(1, 32), attend=True)
    value = recorded.logits[:, 0]
    found = recorded.gradients(value)
    for place, weights in enumerate(recorded.attentions):
        expected = torch.autograd.grad(value.sum(), weights, retain_graph=True)[0]
        assert torch.equal(found[f"attention {place}"], expected)
    assert not torch.allclose(found["attention 0"], found["attention 2"])


def test_pytorch_grad_cam_gradients_meet_the_activations_of_their_own_layer_in_any_order() -> None:
    classifier, x = wrap(distinct_relu_net()), images(2)
    options = {"methods": ["layercam"], "target": 2}
    forth, back = (
        explain(classifier, x, layer=order, **options)["layercam"].attributions for order in (["0", "6"], ["6", "0"])
    )
    assert torch.allclose(forth, back, atol=1e-12)
    alone = [explain(classifier, x, layer=one, **options)["layercam"].heatmap() for one in ("0", "6")]
    expected = sum(heat / heat.amax((1, 2), keepdim=True) for heat in alone) / 2
    assert torch.allclose(forth[:, 0], expected, atol=1e-9)


def test_pytorch_grad_cam_a_fused_map_is_not_scaled_a_second_time() -> None:
    classifier, x = wrap(distinct_relu_net()), images(2)
    fused = explain(classifier, x, 2, methods=["layercam"], layer=["0", "6"])["layercam"].attributions
    assert bool((fused.amax((1, 2, 3)) < 1).all())  # two peaks in different places: scaled again, it would reach 1


def test_pytorch_grad_cam_brightness_is_changed_in_pixels_not_in_normalized_values() -> None:
    # Its test-time copies are the normalized tensor times 0.9 and 1.1; copies here are made before the normalization.
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.detach())
            return x.mean((2, 3))

    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    classifier = Classifier.from_module(Watching(), mean=mean, std=std, size=16)
    assert classifier.classes == 3
    seen.clear()
    x, random = images(1).float(), Random(0, [0])
    explain(classifier, x, 0, methods=["smoothgrad:samples=1,level=0.2"], random=random)
    scale, shift = (torch.tensor(one).view(1, 3, 1, 1) for one in (std, mean))
    noise = seen[-1] * scale + shift - x
    drawn = random.fork(("smoothgrad", 0)).normal(3, 16, 16)
    assert torch.allclose(noise, 0.2 * (x.max() - x.min()) * drawn, atol=1e-5)


def test_pair_the_ends_of_the_path_do_not_count_twice() -> None:
    class Squares(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.square().sum((2, 3))

    classifier, x = Classifier.from_module(Squares(), size=4), images(1, 4)
    classifier.module.double()
    spec = "integrated_gradients:points=2"
    found = explain(classifier, x, 1, methods=[spec])[spec].attributions
    expected = torch.zeros_like(x)
    expected[:, 1] = x[:, 1].square()
    assert torch.allclose(found.double(), expected, atol=1e-6)


def test_quantus_areas_need_no_function_that_numpy_dropped() -> None:
    class First(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            lit = x[:, :, 0, 0].mean(1)
            return torch.stack([100 * lit - 50, 50 - 100 * lit], 1)

    judge = Judge(Classifier.from_module(First(), size=4), torch.ones(1, 3, 4, 4), torch.tensor([0]), Random(0, [0]))
    maps = torch.zeros(1, 1, 4, 4)
    maps[..., 0, 0] = 1
    found = score_maps(judge, {"map": maps}, ["deletion"])["map.deletion"]
    # One pixel of 16 decides and goes between the first and the second of 20 steps (round(16 / 20) = 1).
    assert found[0] == pytest.approx(0.5 / 20, abs=1e-6)
