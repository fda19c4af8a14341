"""Where attributions lie: how much in the frame and in its corners, class by class, and whether two methods agree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from backlight.audit.card import CheckCard
from backlight.audit.commands import DATA, MODEL
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Judgement
from backlight.audit.frames import corner_mask, frame_mask
from backlight.audit.shift import choose_rows
from backlight.core.random import Random
from backlight.explain import explain

_METHODS = ("saliency", "gradient_x_input")
_PICTURES = {"quick": 32, "normal": 64, "deep": 256}
_SIDE, _SHOWN = 14, 8


def check_attribution(examined: Examined) -> Iterator[Finding]:
    """Measure which share of the attribution of the predictions lies in the frame, against its share of the area."""
    rows = choose_rows(len(examined.kept), _PICTURES[examined.depth], ids=examined.kept.ids, seed=examined.seed)
    classifier, data = examined.fast, examined.dataset(torch.from_numpy(rows))[1]
    maps: dict[str, list[Tensor]] = {name: [] for name in _METHODS}
    classes: list[Tensor] = []
    for batch in data.batches(16):
        random = Random(examined.seed, batch.ids)
        found = explain(classifier, batch.images.to(classifier.device), methods=_METHODS, random=random)
        classes.append(found.logits.argmax(1).cpu())
        for name in _METHODS:
            maps[name].append(_unit(found[name].heatmap().abs().double().cpu()))
    first, second = (torch.cat(maps[name]) for name in _METHODS)
    yield from _findings(examined, first, second, torch.cat(classes).numpy())


def _unit(maps: Tensor) -> Tensor:
    """Scale maps `[A,h,w]` to sum to 1; flat ones say nothing anywhere."""
    return maps / maps.sum((1, 2), keepdim=True).clamp(min=1e-30)


def _findings(examined: Examined, first: Tensor, second: Tensor, classes: np.ndarray) -> Iterator[Finding]:
    names = examined.kept.label_names
    height, width = first.shape[1:]
    frame, corner = frame_mask(height, width), corner_mask(height, width)
    shares, corners = (first[:, mask].sum(1).numpy() for mask in (frame, corner))
    area, corner_area = float(frame.double().mean()), float(corner.double().mean())
    value, interval = _mean(shares)
    present = np.unique(classes)
    # A mark is one class's: of each class by itself, with an interval as wide as their number asks for.
    least = max(_mean(corners[classes == one], 1 - 0.05 / len(present))[1][0] for one in present)
    table: dict[str, list[object]] = {
        "class": [names[one] for one in present],
        "pictures": [int((classes == one).sum()) for one in present],
        "in the frame": [float(shares[classes == one].mean()) for one in present],
        "in the corners": [float(corners[classes == one].mean()) for one in present],
    }
    # A map that is spread evenly has the share of the area: half as much again is no accident of the edges.
    beside = interval[0] > min(0.95, 1.5 * area) or least > min(0.95, 4 * corner_area)
    judgement: Judgement = "look" if beside else "good"
    sentence = (
        f"{value:.0%} of the attribution lies in the frame, which is {area:.0%} of the area, and "
        f"{corners.mean():.0%} in its corners, {corner_area:.0%} of the area"
        + (": it looks beside the thing." if judgement == "look" else ".")
    )
    images = {f"mean attribution: {names[one]}": _drawn(first[classes == one]) for one in present[:_SHOWN]}
    yield Finding(
        "attribution_in_frame",
        "shortcuts",
        value,
        interval,
        len(shares),
        judgement,
        sentence,
        next="Compare with the finding on the frame alone, and look at single maps." if judgement == "look" else "",
        command=examined.command("report", MODEL, DATA) if judgement == "look" else "",
        tables={"Where attributions lie": table},
        images=images,
    )
    agree = _agreement(first, second)
    text = f"{' and '.join(_METHODS)} rank places with a correlation of {agree.mean():.2f}; 1 is the same map."
    spread = 1.96 * float(agree.std() / len(agree) ** 0.5)
    ends = (float(agree.mean()) - spread, float(agree.mean()) + spread)
    yield Finding(
        "attribution_agreement", "shortcuts", float(agree.mean()), ends, len(agree), "good", text, unit="number"
    )


def _mean(shares: np.ndarray, confidence: float = 0.95) -> tuple[float, tuple[float, float]]:
    """Return the mean of shares and its interval by Student's t; of one picture nothing is known."""
    from scipy.special import stdtrit

    value, half = float(shares.mean()), 1.0
    if len(shares) > 1:
        half = float(stdtrit(len(shares) - 1, (1 + confidence) / 2) * shares.std(ddof=1) / len(shares) ** 0.5)
    return value, (max(0.0, value - half), min(1.0, value + half))


def _agreement(first: Tensor, second: Tensor) -> np.ndarray:
    """Compute the rank correlation of two maps of each picture, in 14 x 14 cells."""
    ranks = [
        adaptive_avg_pool2d(one[:, None], _SIDE).flatten(1).argsort(1).argsort(1).double() for one in (first, second)
    ]
    offset = [one - one.mean(1, keepdim=True) for one in ranks]
    lengths = [one.norm(dim=1).clamp(min=1e-12) for one in offset]
    return ((offset[0] * offset[1]).sum(1) / (lengths[0] * lengths[1])).numpy()


def _drawn(maps: Tensor) -> Tensor:
    mean = maps.mean(0)
    return (mean / mean.max().clamp(min=1e-30)).float().expand(3, *mean.shape)


CARDS = (
    CheckCard(
        "attribution",
        "shortcuts",
        check_attribution,
        depth="normal",
        needs=frozenset({"pictures", "gradients"}),
        reference="Lapuschkin et al., 2019, arXiv:1902.10178",
        avoid="as proof: gradients show what a small change would do, not what was looked at",
    ),
)
