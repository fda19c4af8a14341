"""What a pixel becomes when it is taken away, by name and in pixel space."""

from __future__ import annotations

from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import InputError, UsageError, did_you_mean
from backlight.core.random import Random
from backlight.images.blur import gaussian_blur

BASELINES = ("black", "white", "mean", "blur", "noise")


def make_baseline(
    baseline: str | Tensor, images: Tensor, classifier: Classifier, random: Random, *, sigma: float | None = None
) -> Tensor:
    """Make the images that stand for "nothing": `[B,C,H,W]` in `[0,1]`.

    `black` and `white` are what they say; `mean` is the model's normalization mean, which is 0 for the network;
    `blur` is the image through a Gaussian of `sigma` pixels (default a tenth of the shorter side); `noise` is
    uniform, keyed by image. A tensor must broadcast to the images.

    Raises UsageError for other names, InputError for tensors that do not fit.

    >>> import torch
    >>> classifier = Classifier.from_module(torch.nn.Flatten(), mean=(0.4,) * 3, std=(0.2,) * 3)
    >>> images = torch.rand(1, 3, 2, 2)
    >>> make_baseline("mean", images, classifier, Random(0, [0]))[0, 0]
    tensor([[0.4000, 0.4000],
            [0.4000, 0.4000]])
    """
    if isinstance(baseline, Tensor):
        return _given(baseline, images)
    if baseline == "blur":
        return blur(images, min(images.shape[2:]) / 10 if sigma is None else sigma)
    if baseline == "noise":
        drawn = random.uniform(*images.shape[1:], stream="baseline", dtype=images.dtype)
        return drawn.to(images.device)
    fills = {"black": (0.0,), "white": (1.0,), "mean": classifier.mean}
    if baseline not in fills:
        raise UsageError(f"baseline {baseline!r}", hint=did_you_mean(baseline, BASELINES))
    return images.new_tensor(fills[baseline]).view(1, -1, 1, 1).expand_as(images)


def blur(images: Tensor, sigma: float, width: int | None = None) -> Tensor:
    """Blur images [B,C,H,W] by a Gaussian, mirrored at the border; `width` is the window, default 6 sigma.

    >>> import torch
    >>> float(blur(torch.ones(1, 1, 8, 8), 2.0).std()) < 1e-6
    True
    """
    # Mirroring cannot reach further than the image.
    longest = 2 * (min(images.shape[2:]) - 1) + 1
    width = min(width or 2 * int(3 * sigma + 0.5) + 1, longest)
    return gaussian_blur(images, sigma, "reflect", truncate=(width // 2) / sigma)


def _given(baseline: Tensor, images: Tensor) -> Tensor:
    try:
        return baseline.detach().to(images).expand_as(images)
    except RuntimeError:
        raise InputError(
            f"a baseline of shape {tuple(baseline.shape)}", expected=f"one that broadcasts to {tuple(images.shape)}"
        ) from None
