"""What each kind of picture promises beyond a rising objective."""

import dataclasses

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.pixels import View, activation, gram
from backlight.tasks.made import file_stem
from backlight.visualize import StylePreset, dream, feature_image, fooling_image, invert, style_transfer
from backlight.visualize.redirect import redirected
from backlight.visualize.style import _original_colors
from backlight.visualize.style_losses import moments, scaled_gram
from backlight.visualize.style_presets import PRESETS, choose_layers
from tests.visualize.nets import pictures, toy

STYLE = StylePreset(relative=True, lr=0.05, steps=30)


def test_gram_and_moments_are_their_formulas() -> None:
    features = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    for row in range(2):
        for a in range(3):
            for b in range(3):
                products = [features[row, a, y, x] * features[row, b, y, x] for y in range(4) for x in range(5)]
                assert gram(features)[row, a, b] == pytest.approx(float(sum(products)) / 20)
    covariance = torch.stack([torch.cov(one.flatten(1), correction=0) for one in features])
    expected = torch.cat([features.flatten(2).mean(2, keepdim=True), covariance], 2) / 3
    assert torch.allclose(moments(features), expected)
    assert torch.allclose(scaled_gram(features), gram(features) / 3)


def test_fooling_reaches_its_confidence_on_8_bit_levels() -> None:
    classifier, images = toy(), (pictures(4) * 255).round() / 255
    with torch.no_grad():
        classifier.module[-1].weight.mul_(30)  # so that the classes differ
    made = fooling_image(classifier, images, "second", confidence=0.6)
    assert bool(made.success.all())
    reached = classifier.probabilities(made.images).gather(1, made.targets[:, None])
    assert bool((reached >= 0.6).all())
    assert torch.allclose(made.images * 255, (made.images * 255).round(), atol=1e-9)
    assert torch.allclose(made.distance, made.difference.flatten(1).norm(dim=1))
    assert made.amplified.shape == made.images.shape


def test_inversion_comes_near_the_features() -> None:
    made = invert(toy(), pictures(), "4", steps=200, tv=0.0)
    assert bool((made.terms[0].after < 0.1 * made.terms[0].before).all())


def test_a_dream_raises_its_layer_in_every_octave() -> None:
    made = dream(toy(size=64), pictures(size=(64, 64)), "8", octaves=3, steps=4, jitter=4)
    assert len(made.terms) == 3
    assert all(bool((term.after > term.before).all()) for term in made.terms)


def test_diversity_makes_copies_unlike() -> None:
    classifier = toy()

    def likeness(variety: float) -> float:
        images = feature_image(classifier, "4", 2, copies=3, variety=variety, steps=20).images
        flat = nn.functional.normalize(gram(classifier.features(images, ["4"])["4"]).flatten(1), dim=1)
        return float((flat @ flat.T).sum() - 3)

    assert likeness(20.0) < likeness(0.0)


def test_style_transfer_lowers_the_loss_by_both_rules_and_statistics() -> None:
    classifier, content, stroke = toy(), pictures(1), pictures(1, seed=7)[0]
    for change in (
        {},
        {"rule": "lbfgs", "lr": 1.0},
        {"statistic": "moments"},
        {"scales": (0.5, 1.0)},
        {"average": 0.8},
    ):
        preset = dataclasses.replace(STYLE, **change)
        made = style_transfer(classifier, content, [stroke], preset=preset)
        assert made.objective > made.start
        assert made.images.shape == content.shape


def test_original_colors_keep_color_differences() -> None:
    painted, content = pictures(1, seed=3), pictures(1)
    mixed = _original_colors(painted, content)
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(1, 3, 1, 1)
    assert torch.allclose((mixed * luma).sum(1), (painted * luma).sum(1))
    assert torch.allclose(mixed - mixed[:, :1], content - content[:, :1])


def test_outside_of_the_mask_the_content_stays() -> None:
    content = pictures(1)
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[:, 16:] = True
    preset = dataclasses.replace(STYLE, steps=3, average=0.5)
    made = style_transfer(toy(), content, [pictures(1, seed=7)[0]], preset=preset, mask=mask)
    assert torch.allclose(made.images[..., :16], content[..., :16])
    assert not torch.allclose(made.images[..., 16:], content[..., 16:])
    with pytest.raises(InputError, match="mask"):
        style_transfer(toy(), content, [content[0]], mask=mask[:5])


def test_blends_are_weighted_per_picture() -> None:
    contents, styles = pictures(2), list(pictures(2, seed=7))
    preset = dataclasses.replace(STYLE, steps=4)
    made = style_transfer(toy(), contents, styles, preset=preset, blend=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    for row in range(2):
        alone = style_transfer(toy(), contents[row : row + 1], [styles[row]], preset=preset)
        assert torch.allclose(made.images[row], alone.images[0], atol=1e-9)
    with pytest.raises(InputError, match="blend"):
        style_transfer(toy(), contents, styles, blend=[1.0])


def test_a_style_of_one_pixel() -> None:
    preset = dataclasses.replace(STYLE, steps=2, style_layers=("0",))
    made = style_transfer(toy(), pictures(1), [pictures(1)[0, :, :1, :1]], preset=preset)
    assert bool(made.images.isfinite().all())


def test_a_rate_that_diverges_gives_the_best_so_far() -> None:
    content, stroke = pictures(1), pictures(1, seed=7)[0]
    made = style_transfer(toy(), content, [stroke], preset=dataclasses.replace(STYLE, lr=1e30, limit=1e30))
    assert made.objective >= made.start
    assert bool(made.images.isfinite().all())
    assert made.stopped[0] in ("diverged", "non-finite")


def test_layers_are_chosen_by_resolution() -> None:
    assert choose_layers(toy(), PRESETS["default"]) == ("5", ("2", "5", "8"))


def test_redirected_gradients_revive_dead_units() -> None:
    layer = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(-5.0)
    net = nn.Sequential(layer, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier = Classifier.from_module(net, mean=0.0, std=1.0, size=4)
    pixels = torch.rand(2, 1, 4, 4, requires_grad=True)

    def gradient(t: int) -> torch.Tensor:
        view = View(classifier, pixels, layers=["1"], t=t)
        return torch.autograd.grad(redirected(activation("1", 0))(view).sum(), pixels)[0]

    assert bool((gradient(0) > 0).all())
    assert bool((gradient(16) == 0).all())


def test_file_stems_are_safe() -> None:
    assert file_stem("../../etc/passwd") == "etc-passwd"
    assert file_stem("<script>") == "script"
    assert file_stem("///") == "picture"
