"""SmoothGrad and its relatives: the gradient over noisy copies of the image."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.core.chunks import sum_chunks
from backlight.core.errors import UsageError, did_you_mean
from backlight.explain.attribution import Attribution
from backlight.explain.session import Session

KINDS = ("mean", "squared", "variance")


def smoothgrad(session: Session, *, samples: int = 50, level: float = 0.15, kind: str = "mean") -> Attribution:
    """Average the signed gradient over noisy copies of the image (Smilkov et al., 2017).

    The noise's deviation is `level` times the image's own range, in the space asked for. `kind` is mean,
    squared (of the gradients' squares) or variance (Adebayo et al., 2018, VarGrad). Noise is keyed by image, so
    it does not depend on the batch.

    Raises UsageError for other kinds and for a level or number of samples that makes no sense.
    """
    if kind not in KINDS:
        raise UsageError(f"smoothgrad:kind={kind}", hint=did_you_mean(kind, KINDS))
    if samples < 1 or level < 0:
        raise UsageError(
            f"samples={samples}, level={level}", expected="samples of at least 1 and a level of at least 0"
        )
    values = session.values(session.images).flatten(1)
    deviation = level * (values.amax(1) - values.amin(1))

    def term(rows: Tensor, sample: Tensor) -> Tensor:
        noise = draw_noise(session, rows, sample) * deviation[rows].view(-1, 1, 1, 1)
        _, gradient = session.score_gradients(session.images[rows] + session.to_pixels(noise), rows)
        gradient = session.in_space(gradient).double()
        return gradient if kind == "mean" else torch.stack([gradient, gradient**2], 1)

    total = sum_chunks(term, len(values), samples, size=session.chunk, device=session.images.device) / samples
    if kind != "mean":
        total = total[:, 1] - (total[:, 0] ** 2 if kind == "variance" else 0)
    return Attribution(
        "smoothgrad", total.to(session.images), "magnitude", session.image_size, forwards=1 + samples, backwards=samples
    )


def draw_noise(session: Session, rows: Tensor, sample: Tensor) -> Tensor:
    """Draw standard normal noise [A,C,H,W] for copies number `sample` [A] of the images at `rows` [A]."""
    shape = session.images.shape[1:]
    noise = session.images.new_empty(len(rows), *shape)
    for number in sample.unique().tolist():
        here = (sample == number).cpu()
        draw = session.random.take(rows.cpu()[here]).fork(("smoothgrad", number))
        noise[here] = draw.normal(*shape, dtype=noise.dtype).to(noise.device)
    return noise
