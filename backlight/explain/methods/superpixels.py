"""Attribution to superpixels: LIME and KernelSHAP fit a linear model to the score with some of them hidden."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from backlight.core.chunks import sum_chunks
from backlight.core.errors import UsageError
from backlight.explain.attribution import Attribution
from backlight.explain.methods.baselines import make_baseline
from backlight.explain.session import Session

Draw = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From sample numbers [A] to which superpixels are shown [A,d] (0 or 1) and the weights of the samples [A]."""


def lime(
    session: Session,
    *,
    segments: int = 50,
    samples: int = 1000,
    width: float = 0.25,
    ridge: float = 1.0,
    baseline: str | Tensor = "mean",
) -> Attribution:
    """Fit a ridge regression from which superpixels are shown to the score: their coefficients (LIME).

    Ribeiro et al. (2016), equations 1 and 2, for images: each superpixel is shown by an even chance, the
    untouched image is the first sample, and samples weigh exp(-d^2 / width^2) by the cosine distance d to it. The
    intercept is not penalized. A superpixel's pixels all get its coefficient.

    Raises UsageError for options that make no sense.
    """
    _check(segments, samples)
    if width <= 0 or ridge < 0:
        raise UsageError(f"width={width}, ridge={ridge}", expected="a width above 0 and a ridge of at least 0")

    def solve(row: int, count: int, gather: Callable[[Draw, int], tuple[Tensor, Tensor]]) -> Tensor:
        def draw(number: Tensor) -> tuple[Tensor, Tensor]:
            shown = _coins(session, row, number, count)
            share = shown.mean(1)
            distance = 1 - share.sqrt()  # of the all-ones vector: 1 - sum / (sqrt(sum) sqrt(d))
            return shown, torch.exp(-((distance / width) ** 2))

        products, values = gather(draw, samples)
        penalty = torch.eye(count + 1, dtype=products.dtype, device=products.device) * ridge
        penalty[-1, -1] = 0
        return _least_squares(products + penalty, values)[:count]

    return _attribute(session, "lime", segments, samples, baseline, solve)


def kernelshap(
    session: Session, *, segments: int = 50, samples: int = 2000, baseline: str | Tensor = "mean"
) -> Attribution:
    """Estimate each superpixel's Shapley value by the weighted regression whose solution they are (KernelSHAP).

    Lundberg and Lee (2017), theorem 2. The values sum to the score minus the baseline's score exactly. Where
    `samples` allow all subsets (up to 10 superpixels at 2000), the values are exact; otherwise subsets are
    drawn by their weight, each with its complement (Covert and Lee, 2021, section 3.2). A superpixel's pixels all
    get its value.

    Raises UsageError for options that make no sense.
    """
    _check(segments, samples)

    def solve(row: int, count: int, gather: Callable[[Draw, int], tuple[Tensor, Tensor]]) -> Tensor:
        ends = [_score_of(gather, shown.view(1, count)) for shown in (torch.zeros(count), torch.ones(count))]
        change = ends[1] - ends[0]
        if count == 1:
            return torch.tensor([change], dtype=torch.float64)
        exact = 2**count - 2 <= samples

        def draw(number: Tensor) -> tuple[Tensor, Tensor]:
            return _every_subset(number + 1, count) if exact else _subsets(session, row, number, count)

        products, values = gather(draw, 2**count - 2 if exact else samples)
        # The last row and column belong to the intercept, which is the baseline's score here.
        matrix, target = products[:-1, :-1], values[:-1] - ends[0] * products[:-1, -1]
        return _constrained(matrix, target, change)

    return _attribute(session, "kernelshap", segments, samples, baseline, solve)


def superpixels(image: Tensor, segments: int) -> Tensor:
    """Cut an image [C,H,W] in [0,1] into about so many connected regions of like color: int64 [H,W] from 0.

    SLIC (Achanta et al., 2012) as scikit-image does it, without randomness.

    >>> superpixels(torch.rand(3, 16, 16), 4).shape
    torch.Size([16, 16])
    """
    from skimage.segmentation import slic

    values = image.detach().double().cpu().permute(1, 2, 0).numpy()
    color = values.shape[2] == 3
    # Smoothed, or noise would leave no region large enough to be kept.
    found = slic(values, segments, compactness=20, sigma=1, start_label=0, channel_axis=-1, convert2lab=color)
    # Numbers may have gaps.
    return torch.from_numpy(np.unique(found, return_inverse=True)[1].reshape(found.shape)).long()


def _attribute(
    session: Session,
    name: str,
    segments: int,
    samples: int,
    baseline: str | Tensor,
    solve: Callable[[int, int, Callable[[Draw, int], tuple[Tensor, Tensor]]], Tensor],
) -> Attribution:
    images = session.images
    hidden = make_baseline(baseline, images, session.classifier, session.random)
    maps, before = [], session.forwards
    for row in range(len(images)):
        regions = superpixels(images[row], segments).to(images.device)
        count = int(regions.max()) + 1

        def gather(draw: Draw, number: int, row: int = row, regions: Tensor = regions) -> tuple[Tensor, Tensor]:
            return _normal_equations(session, hidden, row, regions, draw, number)

        maps.append(solve(row, count, gather).to(images)[regions][None])
    passes = (session.forwards - before) / len(images)
    return Attribution(name, torch.stack(maps), "sum", session.image_size, forwards=1 + passes)


def _normal_equations(
    session: Session, hidden: Tensor, row: int, regions: Tensor, draw: Draw, number: int
) -> tuple[Tensor, Tensor]:
    """Sum weight * z z^T and weight * z * score over samples, z being what is shown and a 1: [d+1,d+1] and [d+1]."""
    image, fill = session.images[row : row + 1], hidden[row : row + 1]

    def term(_rows: Tensor, sample: Tensor) -> Tensor:
        shown, weight = (one.to(image.device) for one in draw(sample.cpu()))
        mask = shown.to(image)[:, regions][:, None]
        score = session.scores(image * mask + fill * (1 - mask), torch.full_like(sample, row)).double()
        vector = torch.cat([shown.double(), torch.ones_like(score)[:, None]], 1)
        both = torch.cat([vector, score[:, None]], 1)
        return weight.double().view(-1, 1, 1) * vector[:, :, None] * both[:, None, :]

    total = sum_chunks(term, 1, number, size=session.chunk, device=image.device)[0]
    return total[:, :-1].cpu(), total[:, -1].cpu()


def _score_of(gather: Callable[[Draw, int], tuple[Tensor, Tensor]], shown: Tensor) -> float:
    def draw(_number: Tensor) -> tuple[Tensor, Tensor]:
        return shown.double(), torch.ones(1, dtype=torch.float64)

    return float(gather(draw, 1)[1][-1])


def _coins(session: Session, row: int, number: Tensor, count: int) -> Tensor:
    own = session.random.take(slice(row, row + 1))
    drawn = [own.fork(("lime", one)).uniform(count, dtype=torch.float64) for one in number.tolist()]
    shown = (torch.cat(drawn) < 0.5).double()
    shown[number == 0] = 1
    return shown


def _every_subset(code: Tensor, count: int) -> tuple[Tensor, Tensor]:
    shown = ((code[:, None] >> torch.arange(count)) & 1).double()
    size = shown.sum(1).long()
    weight = [(count - 1) / (math.comb(count, one) * one * (count - one)) for one in size.tolist()]
    return shown, torch.tensor(weight, dtype=torch.float64)


def _subsets(session: Session, row: int, number: Tensor, count: int) -> tuple[Tensor, Tensor]:
    sizes = torch.arange(1, count, dtype=torch.float64)
    ladder = (1 / (sizes * (count - sizes))).cumsum(0)
    shown = torch.zeros(len(number), count, dtype=torch.float64)
    for place, one in enumerate(number.tolist()):
        draw = session.random.take(slice(row, row + 1)).fork(("kernelshap", one // 2))
        point = draw.uniform(1, stream="size", dtype=torch.float64)[0] * ladder[-1]
        size = min(int(torch.searchsorted(ladder, point, right=True)) + 1, count - 1)
        order = draw.uniform(count, stream="order", dtype=torch.float64)[0].argsort()
        shown[place, order[:size]] = 1
        if one % 2:
            shown[place] = 1 - shown[place]
    return shown, torch.ones(len(number), dtype=torch.float64)


def _constrained(matrix: Tensor, target: Tensor, change: float) -> Tensor:
    """Minimize the squares under the constraint that the values sum to the change of the score."""
    count = len(target)
    system = torch.zeros(count + 1, count + 1, dtype=matrix.dtype)
    system[:count, :count], system[:count, count], system[count, :count] = matrix, 1, 1
    right = torch.cat([target, target.new_tensor([change])])
    return _least_squares(system, right)[:count]


def _least_squares(matrix: Tensor, right: Tensor) -> Tensor:
    """Return the least-norm solution, also where more is asked for than is told; NaN where a score was no number."""
    if not bool(right.isfinite().all()):  # which the solver ends on
        return torch.full_like(right, torch.nan)
    return torch.linalg.lstsq(matrix, right[:, None], driver="gelsd").solution[:, 0]


def _check(segments: int, samples: int) -> None:
    if segments < 1 or samples < 2:
        raise UsageError(f"segments={segments}, samples={samples}", expected="segments >= 1, samples >= 2")
