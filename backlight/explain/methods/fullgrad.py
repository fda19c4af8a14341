"""FullGrad: what the input and every bias of the network add to the score."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.explain.attribution import Attribution, upsample
from backlight.explain.layout import Layout, layout_of_map
from backlight.explain.methods.path import relative_gap
from backlight.explain.offsets import Offset
from backlight.explain.session import Session


def fullgrad(session: Session) -> Attribution:
    """Add |gradient x input| and |gradient x bias| of every layer, each scaled to [0,1] (Srinivas and Fleuret, 2019).

    Biases are explicit, of convolutions, linear layers and normalizations, or implicit: f(x) - f'(x) x of whatever is
    not linear. All terms, signed, sum to the score; the gap says how nearly they do. Where nothing adds a bias that is
    not zero, as in a fresh network of rectifiers, the input's term is all there is, and a note says so.
    """
    gradients = session.recorded.gradients(session.graph_score)
    own = session.in_input_space(gradients["images"]) * session.normalized(session.images)
    total = own.double().flatten(1).sum(1)
    raw = _scaled(own, session.image_size)
    offsets = session.recorded.offsets.found
    for place, offset in enumerate(offsets):
        term = gradients[f"offset {place}"] * offset.bias
        total = total + _per_image(term.double(), len(total))
        layout = _layout(offset, session.image_size)
        if layout is not None and min(layout.grid) > 1:
            raw = raw + _scaled(layout.to_map(term), session.image_size)
    gap = relative_gap(total, session.score.double()).float()
    notes = () if offsets else ("nothing adds a bias: the map is gradient x input alone",)
    return Attribution("fullgrad", raw, "relative", session.image_size, notes=notes, gap=gap, forwards=1, backwards=1)


def _per_image(term: Tensor, count: int) -> Tensor:
    # Images come first, or after the tokens; windows of an image stand one after the other on the first axis.
    after_tokens = term.ndim == 3 and len(term) != count and term.shape[1] == count
    return (term.transpose(0, 1) if after_tokens else term).reshape(count, -1).sum(1)


def _layout(offset: Offset, size: tuple[int, int]) -> Layout | None:
    shape = offset.output.shape
    if len(shape) != 4 or offset.channels is None:
        return None
    if offset.channels == 0:
        return layout_of_map(tuple(shape), size)
    return Layout("NCHW", (shape[2], shape[3])) if offset.channels == 1 else Layout("NHWC", (shape[1], shape[2]))


def _scaled(term: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale each channel's magnitude to [0,1], enlarge it and sum: [B,1,H,W]."""
    term = term.abs() if term.dtype == torch.float64 else term.abs().float()
    low, high = term.amin((2, 3), keepdim=True), term.amax((2, 3), keepdim=True)
    return upsample((term - low) / (high - low + 1e-7), size).sum(1, keepdim=True)
