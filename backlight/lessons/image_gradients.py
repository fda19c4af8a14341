"""How fast an image changes from pixel to pixel: the quantity that smoothing and edge detection work on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.errors import InputError, did_you_mean

KERNELS = {"forward": (0.0, -1.0, 1.0), "central": (-0.5, 0.0, 0.5)}


@dataclass(frozen=True)
class SpatialGradients:
    """Hold the change of each channel along both axes, per pixel: positive towards the right and downwards.

    >>> spatial_gradients(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])).magnitude
    tensor([[[[1., 0.],
              [1., 0.]]]])
    """

    horizontal: Tensor  # [B, C, H, W]
    vertical: Tensor  # [B, C, H, W]

    @property
    def magnitude(self) -> Tensor:
        """Return the length of the gradient, `[B, C, H, W]`."""
        return torch.hypot(self.horizontal, self.vertical)


def spatial_gradients(images: Tensor, scheme: str = "forward") -> SpatialGradients:
    """Differentiate images `[B, C, H, W]` along their axes; pixels beyond the border repeat the last one.

    `scheme` is "forward" (x[i + 1] - x[i], as in total variation; zero at the last pixel), "central"
    ((x[i + 1] - x[i - 1]) / 2) or "sobel" (central, averaged 1-2-1 across; Sobel, 1968). Differentiable.
    Raises `InputError` for another shape, integers or an unknown scheme.

    >>> ramp = torch.arange(4.0).expand(1, 1, 3, 4)
    >>> spatial_gradients(ramp, "central").horizontal[0, 0, 0]
    tensor([0.5000, 1.0000, 1.0000, 0.5000])
    """
    if images.ndim != 4 or not images.is_floating_point():
        found = f"images have shape {list(images.shape)} and type {images.dtype}"
        raise InputError(found, expected="floating point [B, C, H, W]")
    if scheme not in (*KERNELS, "sobel"):
        raise InputError(f"scheme is {scheme!r}", expected=did_you_mean(scheme, (*KERNELS, "sobel")))
    change = images.new_tensor(KERNELS["central" if scheme == "sobel" else scheme])
    across = images.new_tensor((0.25, 0.5, 0.25) if scheme == "sobel" else (0.0, 1.0, 0.0))
    kernel = torch.outer(across, change)
    return SpatialGradients(_filter(images, kernel), _filter(images, kernel.T))


def _filter(images: Tensor, kernel: Tensor) -> Tensor:
    """Correlate every channel with one 3x3 kernel."""
    channels = images.shape[1]
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernel.expand(channels, 1, 3, 3), groups=channels)
