"""Denoising: the picture that is close to the noisy one and smooth, in a choice of norms.

denoise.denoise      one call                          denoising.py
the loss             data + alpha * smoothness         loss.py
solvers              gradient.py, primal_dual.py, spectral.py, deep_prior.py
alpha and scores     noise.py, quality.py; sheet.py draws a sweep over alpha and learning rates
"""

from backlight.core.faces import call_room
from backlight.denoise.denoising import Denoised, denoise
from backlight.denoise.gradient import CLASSIC
from backlight.denoise.loss import loss
from backlight.denoise.noise import automatic_alpha, estimate_sigma
from backlight.denoise.quality import Quality, quality
from backlight.denoise.sheet import sweep_sheet

__all__ = [
    "CLASSIC",
    "Denoised",
    "Quality",
    "automatic_alpha",
    "denoise",
    "estimate_sigma",
    "loss",
    "quality",
    "sweep_sheet",
]

call_room(__name__, "denoise")
