"""CS231n's presets against their loops written out in the network's input space, pixel for pixel."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.random import Random
from backlight.pixels.problem import hash_ids
from backlight.visualize import StylePreset, class_image, fooling_image, style_transfer
from backlight.visualize.style_losses import InputBox
from backlight.visualize.style_presets import PRESETS
from tests.visualize.nets import pictures, toy

STEPS, LABEL = 12, 2


def normalized(classifier: Classifier, images: Tensor) -> Tensor:
    return (images - 0.5) / 0.25


def score(classifier: Classifier, inputs: Tensor, label: int) -> Tensor:
    with classifier.guard():
        return classifier.module(inputs)[:, label].sum()


def slow_class_image(classifier: Classifier, label: int) -> Tensor:
    """Write the exercise out: start from noise, roll, step, roll back, clip, blur every tenth time."""
    ids = hash_ids([f"{label}/0"])
    noise = Random(((0, "class image"), "start"), ids).normal(3, 32, 32, dtype=torch.float64)
    current = noise.clamp(-2, 2)  # [0, 1] in input space
    for t in range(STEPS):
        draws = Random(((0, "class image"), "turn"), ids, t)
        down, across = (draws.integer(17, 2, stream=("jitter", 0)) - 8)[0].tolist()
        rolled = current.roll((down, across), (2, 3)).requires_grad_(True)
        value = score(classifier, rolled, label) - 1e-3 * rolled.square().sum()
        rolled = (rolled + 25 * torch.autograd.grad(value, rolled)[0]).detach()
        current = rolled.roll((-down, -across), (2, 3)).clamp(-2, 2)
        if t % 10 == 0:
            blurred = gaussian_filter1d(gaussian_filter1d(current.numpy(), 0.5, axis=2), 0.5, axis=3)
            current = torch.from_numpy(np.ascontiguousarray(blurred))
    return current * 0.25 + 0.5


def test_class_image() -> None:
    classifier = toy()
    made = class_image(classifier, [LABEL], preset="cs231n", steps=STEPS)
    assert torch.allclose(made.images, slow_class_image(classifier, LABEL), atol=1e-9)


def test_fooling_image() -> None:
    classifier, images = toy(), pictures(3)
    target = int(classifier.logits(images).mean(0).argmin())
    made = fooling_image(classifier, images, target, preset="cs231n", steps=40)
    for row, image in enumerate(images):
        current = normalized(classifier, image[None])
        for _ in range(40):
            current = current.detach().requires_grad_(True)
            with classifier.guard():
                logits = classifier.module(current)
            if int(logits.argmax()) == target:
                break
            gradient = torch.autograd.grad(logits[0, target], current)[0]
            current = (current + gradient / gradient.norm()).clamp(-2, 2)
        assert torch.allclose(made.images[row], current[0].detach() * 0.25 + 0.5, atol=1e-9)


def slow_gram(features: Tensor) -> Tensor:
    flat = features[0].flatten(1)
    return flat @ flat.T / features.numel()


def test_style_transfer() -> None:
    classifier, content, style = toy(), pictures(1), pictures(1, size=(20, 28), seed=5)
    layers = ("2", "5", "8")
    preset = StylePreset(
        content_weight=PRESETS["cs231n"].content_weight,
        style_weights=(20.0, 5.0, 1.0),
        tv_weight=2e-2,
        lr=3.0,
        late=(8, 0.1),
        limit=1.5,
        steps=STEPS,
        content_layer="5",
        style_layers=layers,
    )
    made = style_transfer(classifier, content, [style[0]], preset=preset)

    def features(pixels: Tensor) -> dict[str, Tensor]:
        return classifier.record(pixels, layers)

    with torch.no_grad():
        wanted, painted = features(content)["5"], features(style)
    inputs, mean, square = normalized(classifier, content).clamp(-1.5, 1.5), torch.tensor(0.0), torch.tensor(0.0)
    best, lowest = inputs, float("inf")
    for t in range(STEPS + 1):
        inputs = inputs.detach().requires_grad_(True)
        pixels = inputs * 0.25 + 0.5
        found = features(pixels)
        loss = preset.content_weight * (found["5"] - wanted).square().sum()
        for weight, layer in zip(preset.style_weights, layers, strict=True):
            loss = loss + weight * (slow_gram(found[layer]) - slow_gram(painted[layer])).square().sum()
        rough = pixels.diff(dim=2).square().sum() + pixels.diff(dim=3).square().sum()
        loss = loss + preset.tv_weight * rough
        if loss.item() < lowest:
            best, lowest = inputs.detach(), loss.item()
        gradient = torch.autograd.grad(loss, inputs)[0]
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        rate = 3.0 if t < 8 else 0.1
        step = mean / (1 - 0.9 ** (t + 1)) / ((square / (1 - 0.999 ** (t + 1))).sqrt() + 1e-8)
        inputs = inputs.detach() - rate * step
        inputs = inputs.clamp(-1.5, 1.5) if t < 18 else inputs
    assert torch.allclose(made.images, (best * 0.25 + 0.5).clamp(0, 1), atol=1e-7)


def test_the_box_of_a_style_holds_up_to_its_last_turn_and_no_longer() -> None:
    box, far = InputBox((0.0, 0.1, 0.2), (1.0, 0.9, 0.8), until=3), torch.full((1, 3, 1, 1), 5.0)
    held, free = (box.project(far, torch.tensor([0]), turn).flatten().tolist() for turn in (2, 3))
    assert held == pytest.approx([1.0, 0.9, 0.8])
    assert free == [5.0, 5.0, 5.0]
