"""Attribution without gradients: hide parts of the image and watch the score."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.core.chunks import in_chunks, sum_chunks
from backlight.core.errors import UsageError
from backlight.explain.attribution import Attribution
from backlight.explain.methods.baselines import make_baseline
from backlight.explain.session import Session


def occlusion(session: Session, *, window: int = 32, stride: int = 16, baseline: str | Tensor = "black") -> Attribution:
    """Slide a square over the image: a pixel's value is the mean drop of the score over the squares that hide it.

    Zeiler and Fergus (2014), section 4.2. Squares at the lower and right edge are cut off by the image.

    Raises UsageError for windows and strides below 1, and strides that leave pixels never hidden.
    """
    if window < 1 or not 1 <= stride <= window:
        raise UsageError(f"window={window}, stride={stride}", expected="1 <= stride <= window")
    images = session.images
    hidden = make_baseline(baseline, images, session.classifier, session.random)
    boxes = _boxes(session.image_size, window, stride)

    def drops(part: slice) -> Tensor:
        pairs = torch.arange(part.start, part.stop, device=images.device)
        rows, places = pairs // len(boxes), pairs % len(boxes)
        changed = images[rows]
        for index, (row, place) in enumerate(zip(rows.tolist(), places.tolist(), strict=True)):
            top, bottom, left, right = boxes[place]
            changed[index, :, top:bottom, left:right] = hidden[row, :, top:bottom, left:right]
        return session.score[rows].double() - session.scores(changed, rows).double()

    drop = torch.cat(list(in_chunks(drops, len(images) * len(boxes), session.chunk))).view(len(images), -1)
    total = images.new_zeros(len(images), 1, *session.image_size, dtype=torch.float64)
    cover = torch.zeros_like(total[:1])
    for place, (top, bottom, left, right) in enumerate(boxes):
        total[:, :, top:bottom, left:right] += drop[:, place].view(-1, 1, 1, 1)
        cover[:, :, top:bottom, left:right] += 1
    raw = (total / cover).to(images)
    return Attribution("occlusion", raw, "sum", session.image_size, forwards=1 + len(boxes))


def _boxes(size: tuple[int, int], window: int, stride: int) -> list[tuple[int, int, int, int]]:
    tops, lefts = ([(start, min(start + window, side)) for start in _starts(side, window, stride)] for side in size)
    return [(top, bottom, left, right) for top, bottom in tops for left, right in lefts]


def _starts(side: int, window: int, stride: int) -> range:
    return range(0, stride * (math.ceil(max(0, side - window) / stride) + 1), stride)


def rise(
    session: Session,
    *,
    samples: int = 4000,
    cells: int = 7,
    keep: float = 0.5,
    baseline: str | Tensor = "mean",
) -> Attribution:
    """Score the image under random soft masks: a pixel's value is the mean score of the masks that show it.

    Petsiuk et al. (2018), equation 6: `cells` x `cells` random cells, each shown with probability `keep`,
    enlarged bilinearly and shifted. Masks are keyed by image.

    Raises UsageError for options that make no sense.
    """
    if samples < 1 or cells < 2 or not 0 < keep < 1:
        raise UsageError(
            f"samples={samples}, cells={cells}, keep={keep}", expected="samples >= 1, cells >= 2, 0 < keep < 1"
        )
    images = session.images
    hidden = make_baseline(baseline, images, session.classifier, session.random)

    def term(rows: Tensor, sample: Tensor) -> Tensor:
        masks = draw_masks(session, rows, sample, cells, keep)
        shown = images[rows] * masks + hidden[rows] * (1 - masks)
        return masks.double() * session.scores(shown, rows).double().view(-1, 1, 1, 1)

    total = sum_chunks(term, len(images), samples, size=session.chunk, device=images.device)
    raw = (total / (samples * keep)).to(images)
    return Attribution("rise", raw, "relative", session.image_size, forwards=1 + samples)


def draw_masks(session: Session, rows: Tensor, sample: Tensor, cells: int, keep: float) -> Tensor:
    """Draw the masks [A,1,H,W] number `sample` [A] of the images at `rows` [A]."""
    height, width = session.image_size
    cell = math.ceil(height / cells), math.ceil(width / cells)
    masks = session.images.new_empty(len(rows), 1, height, width)
    for number in sample.unique().tolist():
        here = (sample == number).nonzero().flatten().cpu()
        draw = session.random.take(rows.cpu()[here]).fork(("rise", number))
        grid = (draw.uniform(1, cells, cells, dtype=torch.float64) < keep).to(masks)
        size = ((cells + 1) * cell[0], (cells + 1) * cell[1])
        large = F.interpolate(grid, size, mode="bilinear", align_corners=False)
        down, right = (draw.integer(side, 1, stream=name)[:, 0].tolist() for side, name in zip(cell, "yx", strict=True))
        for index, place in enumerate(here.tolist()):
            top, left = down[index], right[index]
            masks[place] = large[index, :, top : top + height, left : left + width]
    return masks
