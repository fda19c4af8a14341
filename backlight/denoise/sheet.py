"""A contact sheet of one picture denoised with several alphas and learning rates."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from backlight.denoise.denoising import denoise
from backlight.denoise.quality import quality
from backlight.images.sheets import grid


def sweep_sheet(
    image: Tensor,
    *,
    alphas: Sequence[float] = (0.5, 1.0, 1.5),
    rates: Sequence[float] = (0.1 / 255, 0.9 / 255, 5 / 255),
    data_norm: str = "l1",
    smooth_norm: str = "l1",
    steps: int = 200,
    clean: Tensor | None = None,
) -> Image.Image:
    """Denoise a picture `[C,H,W]` by descent: a row per alpha, a column per learning rate, the exact one last.

    Captions say alpha, rate, loss relative to the start, and PSNR where the clean picture `[C,H,W]` is given.

    >>> import torch
    >>> sweep_sheet(torch.rand(3, 16, 16), alphas=(1.0,), rates=(0.003,), steps=3).size[0] > 32
    True
    """
    pictures, captions = [], []
    norms = {"data_norm": data_norm, "smooth_norm": smooth_norm}
    for alpha in alphas:
        for rate in (*rates, None):
            solver = "auto" if rate is None else "gradient"
            count = None if rate is None else steps
            found = denoise(image[None], alpha=alpha, solver=solver, lr=rate, steps=count, **norms)  # type: ignore[arg-type]
            pictures.append(found.images[0].cpu())
            words = [f"alpha {alpha:g}", "exact" if rate is None else f"lr {rate * 255:.3g}/255"]
            words.append(f"loss {float(found.loss / found.start.clamp(min=1e-12)):.0%}")
            if clean is not None:
                words.append(f"{quality(found.images, clean[None]).psnr[0]:.1f} dB")
            words += [found.stopped[0]] if found.stopped[0] == "diverged" else []
            captions.append(", ".join(words))
    return grid(pictures, columns=len(rates) + 1, labels=captions)
