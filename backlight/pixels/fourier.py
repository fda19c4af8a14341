"""Pictures as spectra: one parameter moves a whole wave, so gradients make shapes instead of noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.core.random import Random
from backlight.pixels.describe import Brief

# The square root of the color correlation of ImageNet photographs (Olah et al. 2017, "Feature Visualization").
_COLORS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
_CONTRAST = 0.25


@dataclass(frozen=True, repr=False, eq=False)
class Fourier(Brief):
    """Move the spectra of `count` pictures `[channels,h,w]`; low frequencies move farther, as in photographs.

    Parameters are normal numbers of standard `deviation`, real and imaginary `[A,channels,h,w//2+1,2]`, scaled by
    1/frequency**`decay`. Three channels are decorrelated colors; any other number is used as it is. A sigmoid
    keeps pictures in [0, 1] (Olah, Mordvintsev and Schubert 2017, doi:10.23915/distill.00007).

    Raises InputError for sizes and numbers below 1.

    >>> spectra = Fourier(2, (8, 9))
    >>> params = spectra.start(torch.arange(2), Random(0, [0, 1]))
    >>> spectra.images(params, torch.arange(2)).shape
    torch.Size([2, 3, 8, 9])
    """

    count: int
    size: tuple[int, int]
    channels: int = 3
    deviation: float = 0.01
    decay: float = 1.0
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if self.count < 0 or min(*self.size, self.channels) < 1:
            raise InputError(f"{self.count} pictures of {self.channels} channels, {self.size}", expected="1 or more")

    @property
    def pixels(self) -> bool:
        """State that parameters are not pixels."""
        return False

    def __len__(self) -> int:
        return self.count

    @cached_property
    def scale(self) -> Tensor:
        """Return each frequency's factor `[h,w//2+1]`: 1 / max(frequency, 1 / longer side)**decay."""
        height, width = self.size
        down, across = torch.fft.fftfreq(height, dtype=torch.float64), torch.fft.rfftfreq(width, dtype=torch.float64)
        frequency = (down[:, None] ** 2 + across[None] ** 2).sqrt().clamp(min=1 / max(height, width))
        return (1 / frequency**self.decay).to(self.dtype)

    @cached_property
    def colors(self) -> Tensor:
        """Return the matrix `[3,3]` from decorrelated colors to RGB, its longest column of length 1."""
        matrix = torch.tensor(_COLORS, dtype=torch.float64)
        return (matrix / matrix.norm(dim=0).max()).to(self.dtype)

    def start(self, rows: Tensor, random: Random) -> Tensor:
        """Draw spectra `[A,channels,h,w//2+1,2]`."""
        shape = (self.channels, self.size[0], self.size[1] // 2 + 1, 2)
        return self.deviation * random.to(rows.device).normal(*shape, dtype=self.dtype)

    def images(self, params: Tensor, rows: Tensor) -> Tensor:
        """Turn spectra into pictures in [0, 1]."""
        spectrum = torch.view_as_complex(params.contiguous()) * self.scale.to(params.device)
        waves = torch.fft.irfft2(spectrum, s=self.size, norm="ortho") * _CONTRAST
        if self.channels == 3:
            # A matrix product would round differently from batch to batch.
            colors = self.colors.to(params.device)[..., None, None]
            waves = colors[:, 0] * waves[:, :1] + colors[:, 1] * waves[:, 1:2] + colors[:, 2] * waves[:, 2:]
        # Written by tanh: torch's own sigmoid gives other last bits by position in the tensor.
        return (torch.tanh(waves / 2) + 1) / 2
