"""Spectra, L-BFGS, blur, views and feature measures against formulas and other libraries."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from backlight.core.errors import InputError, LayerError
from backlight.core.random import Random
from backlight.images.blur import gaussian_blur
from backlight.pixels import (
    LBFGS,
    Blur,
    Compose,
    Crop,
    Fourier,
    Measure,
    Noise,
    Pad,
    Pixels,
    View,
    Warp,
    direction,
    energy,
    neuron,
    optimize,
    read_objective,
)
from tests.visualize.nets import pictures, toy


@pytest.mark.parametrize(("size", "channels"), [((6, 7), 3), ((8, 5), 1), ((4, 4), 4)])
def test_fourier_is_the_sum_of_its_waves(size: tuple[int, int], channels: int) -> None:
    spectra = Fourier(1, size, channels, deviation=1.0, dtype=torch.float64)
    rows = torch.tensor([0])
    params = spectra.start(rows, Random(0, [0]))
    height, width = size
    spectrum = torch.view_as_complex(params)[0].numpy()
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    spectrum = spectrum / np.maximum(np.hypot(down, across), 1 / max(size))
    waves = np.fft.irfft2(spectrum, s=size, norm="ortho") / 4
    if channels == 3:
        matrix = np.array([[0.26, 0.09, 0.02], [0.27, 0, -0.05], [0.27, -0.09, 0.03]])
        waves = np.einsum("ij,jhw->ihw", matrix / np.linalg.norm(matrix, axis=0).max(), waves)
    expected = 1 / (1 + np.exp(-waves))
    assert np.allclose(spectra.images(params, rows)[0].numpy(), expected, atol=1e-12)


def test_fourier_gradient() -> None:
    spectra = Fourier(1, (4, 5), dtype=torch.float64)
    params = spectra.start(torch.tensor([0]), Random(0, [0])).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda inputs: spectra.images(inputs, torch.tensor([0])), params)


def test_blur_is_scipys() -> None:
    images = pictures(2, size=(9, 12))
    for sigma in (0.5, 1.3, 4.0):
        expected = gaussian_filter(images.numpy(), (0, 0, sigma, sigma))
        assert np.allclose(gaussian_blur(images, sigma).numpy(), expected, atol=1e-12)


def test_views_keep_flat_pictures_flat() -> None:
    flat = torch.full((2, 3, 20, 31), 0.25, dtype=torch.float64)
    random = Random(0, [0, 1])
    views = Compose((Pad(3), Crop((20, 31)), Warp(30, (0.5, 1.5)), Blur(1.0)))
    assert torch.allclose(views(flat, random, 0), flat)
    assert torch.allclose(Warp()(pictures(2), random, 0), pictures(2), atol=1e-12)
    assert float((Noise(0.1)(flat, random, 0) - flat).std()) == pytest.approx(0.1, rel=0.1)


def test_views_depend_on_their_picture_alone() -> None:
    images, views = pictures(3), Compose((Pad(3), Crop((32, 32)), Warp(10, (0.9, 1.1)), Blur(1.0), Noise(0.1)))
    together = views(images, Random(0, [4, 5, 6]), 1)
    assert torch.equal(together[1:2], views(images[1:2], Random(0, [5]), 1))


def test_lbfgs_solves_a_bowl_and_rosenbrocks_valley() -> None:
    def bowl(view: View) -> torch.Tensor:
        weights = torch.arange(1, 13, dtype=torch.float64).view(1, 3, 2, 2)
        return -(weights * (view.images - 0.3).square()).flatten(1).sum(1)

    start = torch.rand(3, 3, 2, 2, dtype=torch.float64)
    found = optimize(None, Measure(bowl, "bowl", layers=()), Pixels(start), LBFGS(), steps=60)
    assert (found.images - 0.3).abs().max() < 1e-6

    def valley(view: View) -> torch.Tensor:
        x, y = view.images.flatten(1).unbind(1)
        return -((1 - x) ** 2 + 100 * (y - x * x) ** 2)

    start = torch.tensor([[[[-1.2, 1.0]]], [[[0.0, 0.0]]]], dtype=torch.float64)
    found = optimize(None, Measure(valley, "valley", layers=()), Pixels(start), LBFGS(), steps=120)
    assert (found.images - 1).abs().max() < 1e-4


def test_feature_measures_are_their_formulas() -> None:
    classifier, images = toy(), pictures(2)
    output = classifier.features(images, ["4"])["4"]
    assert torch.allclose(neuron("4", 3).evaluate(classifier, images), output[:, 3, 8, 8])
    assert torch.allclose(neuron("4", 3, (1, 2)).evaluate(classifier, images), output[:, 3, 1, 2])
    assert torch.allclose(energy("4").evaluate(classifier, images), output.flatten(1).square().mean(1))
    vector = torch.arange(12, dtype=torch.float64)
    expected = (output.flatten(2).mean(2) * vector).sum(1)
    assert torch.allclose(direction("4", vector).evaluate(classifier, images), expected)
    assert torch.allclose(read_objective(classifier, "4:3:1,2").evaluate(classifier, images), output[:, 3, 1, 2])
    assert torch.allclose(
        read_objective(classifier, "4").evaluate(classifier, images), output.flatten(1).square().mean(1)
    )
    assert torch.allclose(
        read_objective(classifier, "logits:1").evaluate(classifier, images), classifier.logits(images)[:, 1]
    )


@pytest.mark.parametrize("text", ["4:99", "4:x", "4:1:2", "4:1:2,3,4"])
def test_wrong_objectives(text: str) -> None:
    with pytest.raises(InputError):
        read_objective(toy(), text)
    with pytest.raises(LayerError, match="44"):
        read_objective(toy(), "44:1")
