"""How near a picture is to the clean one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from backlight.core.errors import InputError


@dataclass(frozen=True)
class Quality:
    """Peak signal-to-noise ratio in dB and structural similarity, one number per picture.

    >>> Quality((30.0,), (0.9,)).psnr
    (30.0,)
    """

    psnr: tuple[float, ...]
    ssim: tuple[float, ...]


def quality(images: Tensor, clean: Tensor) -> Quality:
    """Compare pictures `[A,C,H,W]` in [0, 1] with clean ones by scikit-image's PSNR and SSIM.

    Raises InputError when the shapes differ or a side is below 3.

    >>> import torch
    >>> clean = torch.rand(1, 3, 8, 8)
    >>> quality((clean - 0.1).clamp(0, 1), clean).psnr[0] > 20
    True
    """
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    if images.shape != clean.shape:
        raise InputError(f"pictures {list(images.shape)} and clean ones {list(clean.shape)}", expected="the same shape")
    shorter = min(images.shape[2:])
    if shorter < 3:
        raise InputError(f"pictures of {list(images.shape[2:])}", expected="at least 3 x 3")
    window = min(7, shorter - 1 + shorter % 2)
    pairs = [(a.detach().cpu().numpy(), b.detach().cpu().numpy()) for a, b in zip(clean, images, strict=True)]
    similar = [structural_similarity(a, b, win_size=window, channel_axis=0, data_range=1.0) for a, b in pairs]
    near = [float("inf") if (a == b).all() else float(peak_signal_noise_ratio(a, b, data_range=1.0)) for a, b in pairs]
    return Quality(tuple(near), tuple(map(float, similar)))
