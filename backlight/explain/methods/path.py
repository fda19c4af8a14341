"""Integrated gradients: the gradient averaged along the straight path from a baseline to the image.

The integral over any part of the path must equal the change of the score there. So the rule's error is known
part by part, and points go where it is largest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from backlight.core.chunks import in_chunks, sum_chunks
from backlight.core.errors import UsageError
from backlight.explain.attribution import Attribution
from backlight.explain.methods.baselines import make_baseline
from backlight.explain.session import Session

PROBES = 16
PARTS = 12
UNIFORM_SHARE = 0.35
SPLIT = 3


def integrated_gradients(
    session: Session,
    *,
    baseline: str | Tensor = "black",
    tolerance: float = 0.01,
    max_points: int = 100,
    points: int = 0,
) -> Attribution:
    """Integrate the gradient from a baseline to the image (Sundararajan et al., 2017, equation 1).

    By default a probe without gradients cuts each image's path into parts by the change of the score, and the
    parts whose own completeness gap is largest get more points, until the gap is below `tolerance` of the
    change of the score or `max_points` are spent. `points` > 0 asks for that many Gauss-Legendre points.
    `baseline` is black, white, mean, blur, noise or a tensor.

    Raises UsageError for tolerances and points that make no sense.
    """
    if tolerance <= 0 or points < 0 or max_points < PARTS:
        raise UsageError(
            f"tolerance={tolerance}, points={points}, max_points={max_points}",
            expected=f"a tolerance above 0, points of at least 0 and max_points of at least {PARTS}",
        )
    path = Path(session, make_baseline(baseline, session.images, session.classifier, session.random))
    if points:
        average = fixed_rule(path, points)
        spent = torch.full((len(session.images),), points)
    else:
        average, spent = adaptive_rule(path, tolerance, max_points)
    raw = average.to(session.images) * path.difference
    gap = relative_gap(raw.double().flatten(1).sum(1), path.change)
    missed = not points and bool((gap > tolerance).any())
    above = f"stopped at {max_points} points above a gap of {100 * tolerance:g}% for some images: see their gap"
    return Attribution(
        "integrated_gradients",
        raw,
        "sum",
        session.image_size,
        gap=gap.float(),
        forwards=path.forwards / len(raw) + 1,
        backwards=float(spent.float().mean()),
        notes=(above,) if missed else (),
    )


def relative_gap(total: Tensor, change: Tensor) -> Tensor:
    """Return |sum of the attribution - change of the score| as a share of the change, [B].

    >>> relative_gap(torch.tensor([1.1]), torch.tensor([1.0]))
    tensor([0.1000])
    """
    gap = (total - change).abs()
    return torch.where(gap == 0, gap, gap / change.abs())


class Path:
    """The straight line from `start` to the images, with the score's change over it; counts its own passes."""

    def __init__(self, session: Session, start: Tensor) -> None:
        self.session, self.start = session, start
        self.difference = session.images - start
        self.forwards = 0
        everyone = torch.arange(len(start), device=start.device)
        first = self.scores(everyone, torch.zeros(len(start)))
        self.ends = torch.stack([first, session.score.double()], 1)
        self.change = self.ends[:, 1] - self.ends[:, 0]

    def points(self, rows: Tensor, positions: Tensor) -> Tensor:
        """Return the images [A,C,H,W] at `positions` [A] in [0,1] of the paths of `rows` [A]."""
        positions = positions.to(self.start).view(-1, 1, 1, 1)
        return self.start[rows] + positions * self.difference[rows]

    def scores(self, rows: Tensor, positions: Tensor) -> Tensor:
        """Score points of the path without gradients, float64 [A]."""

        def run(part: slice) -> Tensor:
            return self.session.scores(self.points(rows[part], positions[part]), rows[part]).double()

        self.forwards += len(rows)
        return torch.cat(list(in_chunks(run, len(rows), self.session.chunk)))

    def gradients(self, rows: Tensor, positions: Tensor) -> Tensor:
        """Return the pixel gradients [A,C,H,W] at points of the path; the caller chunks."""
        self.forwards += len(rows)
        return self.session.score_gradients(self.points(rows, positions), rows)[1]


def fixed_rule(path: Path, points: int) -> Tensor:
    """Average the gradient by the Gauss-Legendre rule, float64 [B,C,H,W]."""
    places, weights = np.polynomial.legendre.leggauss(points)
    device = path.start.device
    positions = torch.tensor((1 + places) / 2, device=device)
    shares = torch.tensor(weights / 2, device=device)

    def term(rows: Tensor, point: Tensor) -> Tensor:
        return path.gradients(rows, positions[point]).double() * shares[point].view(-1, 1, 1, 1)

    return sum_chunks(term, len(path.start), points, size=path.session.chunk, device=device)


@dataclass
class Parts:
    """Each image's path in `PARTS` parts: bounds, the score's change, and the sums of the points so far.

    A part of n points holds the midpoints of n equal cells, so tripling n keeps every point there is. `sums`
    [B,PARTS,C,H,W] is all that grows with the image, whatever the number of points.
    """

    bounds: Tensor
    change: Tensor
    sums: Tensor = field(repr=False)
    slopes: Tensor
    counts: Tensor

    @property
    def widths(self) -> Tensor:
        """Return the parts' lengths [B,PARTS]."""
        return self.bounds.diff(dim=1)

    def gaps(self) -> Tensor:
        """Return each part's completeness gap, signed [B,PARTS]."""
        return self.widths * self.slopes / self.counts.clamp(min=1) - self.change

    def average(self) -> Tensor:
        """Average the gradient over the whole path [B,C,H,W]."""
        weights = self.widths / self.counts.clamp(min=1)
        return (self.sums * weights.view(*weights.shape, 1, 1, 1).to(self.sums.dtype)).sum(1)


def adaptive_rule(path: Path, tolerance: float, max_points: int) -> tuple[Tensor, Tensor]:
    """Average the gradient with points where they are needed: [B,C,H,W], and the points spent [B]."""
    parts = cut_path(path)
    _add_points(path, parts, torch.ones_like(parts.counts))
    while True:
        total = parts.gaps().sum(1).abs()
        open_rows = total > tolerance * path.change.abs()
        wanted = choose_parts(parts, open_rows, max_points)
        if not bool((wanted > parts.counts).any()):
            return parts.average(), parts.counts.sum(1)
        _add_points(path, parts, wanted)


def cut_path(path: Path) -> Parts:
    """Cut each path by a probe without gradients: parts hold equal shares of the score's change, and of length."""
    count = len(path.start)
    grid = torch.linspace(0, 1, PROBES + 1, dtype=torch.float64, device=path.start.device)
    rows = torch.arange(count, device=grid.device)
    inner = path.scores(rows.repeat_interleave(PROBES - 1), grid[1:-1].repeat(count)).view(count, -1)
    changes = torch.cat([path.ends[:, :1], inner, path.ends[:, 1:]], 1).diff(dim=1).abs()
    total = changes.sum(1, keepdim=True)
    shares = torch.where(total > 0, changes / total, 1 / PROBES)
    shares = (1 - UNIFORM_SHARE) * shares + UNIFORM_SHARE / PROBES
    bounds = _quantiles(grid, shares)
    scores = path.scores(rows.repeat_interleave(PARTS - 1), bounds[:, 1:-1].flatten()).view(count, -1)
    change = torch.cat([path.ends[:, :1], scores, path.ends[:, 1:]], 1).diff(dim=1)
    empty = torch.zeros_like(change)
    sums = path.start.new_zeros(count, PARTS, *path.start.shape[1:])
    return Parts(bounds, change, sums, empty, torch.zeros_like(change, dtype=torch.long))


def _quantiles(grid: Tensor, shares: Tensor) -> Tensor:
    """Return the places [B,PARTS+1] where the cumulated shares [B,PROBES] reach k / PARTS."""
    cumulated = torch.nn.functional.pad(shares.cumsum(1), (1, 0)).clamp(max=1)
    wanted = torch.arange(1, PARTS, dtype=grid.dtype, device=grid.device) / PARTS
    wanted = wanted.expand(len(shares), -1).contiguous()
    cell = (torch.searchsorted(cumulated, wanted, right=True) - 1).clamp(0, PROBES - 1)
    inside = (wanted - cumulated.gather(1, cell)) / shares.gather(1, cell)
    places = grid[cell] + inside.clamp(0, 1) / PROBES
    ends = torch.zeros(len(shares), 1, dtype=grid.dtype, device=grid.device)
    return torch.cat([ends, places, ends + 1], 1)


def choose_parts(parts: Parts, open_rows: Tensor, max_points: int) -> Tensor:
    """Choose, for images still open, a quarter of the parts to get three times the points: counts [B,PARTS].

    Parts are ranked by their gap for each point that they have; what would exceed `max_points` is left out.
    """
    value = parts.gaps().abs() / parts.counts
    order = value.argsort(dim=1, descending=True, stable=True)[:, : max(1, PARTS // 4)]
    added = (SPLIT - 1) * parts.counts.gather(1, order)
    affordable = parts.counts.sum(1, keepdim=True) + added.cumsum(1) <= max_points
    chosen = affordable & open_rows[:, None] & (value.gather(1, order) > 0)
    return parts.counts.scatter_add(1, order, added * chosen)


def _add_points(path: Path, parts: Parts, wanted: Tensor) -> None:
    """Bring the parts to the wanted numbers of points; all images share one pool of new points."""
    rows, places, positions = [], [], []
    for row, part in (wanted > parts.counts).nonzero().tolist():
        before, after = int(parts.counts[row, part]), int(wanted[row, part])
        cells = torch.arange(after, dtype=torch.float64)
        if before:
            cells = cells[cells.long() % SPLIT != SPLIT // 2]
        start, width = parts.bounds[row, part], parts.widths[row, part]
        positions.append(start.cpu() + width.cpu() * (cells + 0.5) / after)
        rows.append(torch.full((len(cells),), row))
        places.append(torch.full((len(cells),), part))
    device = path.start.device
    row, place = torch.cat(rows).to(device), torch.cat(places).to(device)
    position = torch.cat(positions).to(device)
    for found, where in in_chunks(
        lambda part: (path.gradients(row[part], position[part]), part), len(row), path.session.chunk
    ):
        index = (row[where], place[where])
        slopes = (found.double() * path.difference[row[where]].double()).flatten(1).sum(1)
        parts.sums.index_put_(index, found.to(parts.sums.dtype), accumulate=True)
        parts.slopes.index_put_(index, slopes, accumulate=True)
    parts.counts = wanted
