"""Corruptions against imagecorruptions: the same pictures, the same constants, one thread each.

Speed on 64 photographs of 224 pixels and on 500 CIFAR-10 pictures; means and variances per channel of the corrupted
pictures; kinds without randomness picture by picture; what the default model says of both; and what the verb's sweep
costs above bare forward passes. Photographs are those of BACKLIGHT_DATA (default `../shared/data`).
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import measure
import numpy as np
import torch
from corruptions_peer import NAMES, PUBLISHED, folder, load_peer
from measure import Figure, at_least, at_most, faster
from torch import Tensor

import backlight
from backlight.core.random import Random
from backlight.corrupt import CORRUPTIONS, CorruptionCard, CorruptionRequest, corrupt, evaluate_corruptions
from backlight.corrupt.registry import frost_card
from backlight.corrupt.severities import SEVERITIES
from backlight.corrupt.weather import frost_of
from backlight.data import Dataset
from backlight.images import open_picture, to_tensor

PLAIN = ("gaussian_blur", "defocus_blur", "zoom_blur", "brightness", "contrast", "saturate", "pixelate", "jpeg")
# The peer works on any size and so changed these: corner instead of centre, other lengths.
CHANGED = {"zoom_blur": "the peer cuts zoomed copies at the corner, not the centre"}

# A cloud, a photograph of frost, a bend or the way of a motion changes a whole picture at once: one draw says little.
DRAWS = {"fog": 250, "frost": 150, "elastic": 20, "motion_blur": 20}
# Two draws of one noise differ by more than the goal on 200 photographs: three are enough for most kinds, not for those
# of which a draw changes the answers to a quarter of them. The peer's glass takes a second a picture.
LOOKS = {"shot_noise": 12, "snow": 12, "frost": 12, "glass_blur": 1, **dict.fromkeys(PLAIN, 1)}

_TURNS = 5  # of each kind's speed, but for the peer's glass


def kinds() -> dict[str, CorruptionCard]:
    """Return every published kind; frost with the peer's photographs."""
    photographs = [to_tensor(open_picture(path)) for path in sorted((folder() / "frost").iterdir())][:5]
    cards = {name: card for name, card in CORRUPTIONS.items() if name != "frost_like"}
    return {**cards, "frost": frost_card(frost_of(photographs))}


def data() -> Path:
    """Return the folder of real data."""
    root = Path(__file__).resolve().parents[1]
    return Path(os.environ.get("BACKLIGHT_DATA", root.parent / "shared" / "data"))


def photographs(count: int) -> tuple[Tensor, list[int]]:
    """Read photographs as the default model sees them, [N,3,224,224], with their classes."""
    classifier = backlight.load()
    paths = sorted((data() / "imagenet_sample").glob("*.jpg"))
    paths = paths[:: max(1, len(paths) // count)][:count]
    return torch.stack([classifier.read(path).image for path in paths]), [int(one.name.split("_")[0]) for one in paths]


def cifar(count: int) -> Tensor:
    """Read CIFAR-10 test pictures, [N,3,32,32]."""
    pictures = backlight.load_data(str(data() / "cifar10_jpeg.npz"), split="test", limit=count)
    return pictures[:].images


def theirs(corrupt_one, images: Tensor, kind: str, severity: int) -> Tensor:  # noqa: ANN001
    """Corrupt pictures one by one as the peer does."""
    pixels = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    found = [corrupt_one(one, severity=severity, corruption_name=NAMES.get(kind, kind)) for one in pixels]
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255


def defined(corrupt_one, images: Tensor, kind: str, severity: int) -> Tensor:  # noqa: ANN001
    """Corrupt pictures one by one as published: as the peer does, but for kinds that it has defined anew."""
    if kind not in PUBLISHED:
        return theirs(corrupt_one, images, kind, severity)
    pixels = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    found = [PUBLISHED[kind](one, severity) for one in pixels]
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255


def speed(images: Tensor, name: str, only: str, severity: int = 3) -> Iterator[Figure]:
    """Time every kind in turn with the peer, at one severity and with the constants that the peer has: medians."""
    ratios = []
    for kind, card in kinds().items():
        if only and only not in kind:
            continue
        few = images[: max(2, len(images) // (32 if kind == "glass_blur" else 1))]
        corrupt(images[:2], card, severity, table="photograph")
        turns = [timed(images, few, card, kind, severity) for _ in range(1 if kind == "glass_blur" else _TURNS)]
        ours, other = (median(one) for one in zip(*turns))
        ratios.append(other / ours)
        figure = faster(
            f"{kind}, {name}", 1000 * ours, 1000 * other, "imagecorruptions", goal=1, n=len(images), unit="ms"
        )
        yield figure
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    yield at_least(f"geometric mean, {name}", mean, 3, unit="times faster", n=len(ratios))


def timed(images: Tensor, few: Tensor, card: CorruptionCard, kind: str, severity: int) -> tuple[float, float]:
    """Return the seconds that a picture takes of us and of the peer, one after the other."""
    start = measure.CLOCK.read()
    corrupt(images, card, severity, table="photograph")
    between = measure.CLOCK.read()
    theirs(load_peer(), few, kind, severity)
    return (between - start) / len(images), (measure.CLOCK.read() - between) / len(few)


def statistics(images: Tensor, name: str, only: str) -> Iterator[Figure]:
    """Compare mean and variance per channel over all pictures, at severities 1, 3 and 5."""
    peer, ids = load_peer(), list(range(len(images)))
    for kind, card in kinds().items():
        if only and only not in kind:
            continue
        worst, draws = 0.0, DRAWS.get(kind, 1)
        for severity in (1, 3, 5):
            keys = (Random(draw, ids) for draw in range(draws))
            ours = moments(corrupt(images, card, severity, random=key, table="photograph") for key in keys)
            other = moments(defined(peer, images, kind, severity) for _ in range(draws))
            worst = max(worst, float(((ours - other) / other).abs().max()))
        note = f"{draws} draws of each" if draws > 1 else ""
        yield at_most(f"mean and variance, {kind}, {name}", 100 * worst, 1, unit="%", n=len(images), note=note)


def moments(batches: Iterable[Tensor]) -> Tensor:
    """Return mean and variance per channel of all pictures in equal batches, float64 [2,C]."""
    sums = [torch.stack([one.double().mean((0, 2, 3)), one.double().square().mean((0, 2, 3))]) for one in batches]
    mean, squares = torch.stack(sums).mean(0)
    return torch.stack([mean, squares - mean**2])


def plain_kinds(images: Tensor, only: str) -> Iterator[Figure]:
    """Compare kinds without randomness picture by picture: the largest difference of all severities, in levels."""
    peer = load_peer()
    for kind in PLAIN:
        if only and only not in kind:
            continue
        far = [
            (corrupt(images, kind, severity, table="photograph") - theirs(peer, images, kind, severity)).abs() * 255
            for severity in SEVERITIES
        ]
        stacked = torch.stack(far).flatten()
        share = float((stacked > 2.5).double().mean())
        note = f"largest {float(stacked.max()):.0f}; {CHANGED.get(kind, '')}".strip("; ")
        yield at_most(f"beyond 2 levels, {kind}", 100 * share, 0.1, unit="% of values", n=len(images), note=note)


def accuracy(count: int, only: str) -> Iterator[Figure]:
    """Compare the default model's accuracy on both programs' pictures, each kind and severity, over several draws."""
    images, labels = photographs(count)
    classifier, peer = backlight.load().fast(), load_peer()
    truth, ids = torch.tensor(labels), list(range(count))

    def right(batches: Iterable[Tensor]) -> float:
        with torch.no_grad():
            found = [classifier.logits(part).argmax(1) for batch in batches for part in batch.split(25)]
        return 100 * float((torch.cat(found).view(-1, count) == truth).double().mean())

    for kind, card in kinds().items():
        if only and only != kind:
            continue
        looks = LOOKS.get(kind, 3)
        rows = []
        for severity in SEVERITIES:
            ours = (corrupt(images, card, severity, random=Random(draw, ids)) for draw in range(looks))
            other = (defined(peer, images, kind, severity) for _ in range(looks))
            rows.append((right(ours), right(other)))
        far = max(abs(ours - other) for ours, other in rows)
        note = ", ".join(f"{ours:.1f}/{other:.1f}" for ours, other in rows)
        yield at_most(f"accuracy, {kind}", far, 3, unit="points", n=count, note=note)


def overhead(count: int) -> Iterator[Figure]:
    """Time the whole evaluation against bare forward passes of the fast copy on as many ready pictures.

    Both take turns, 100 photographs at a time, so that a machine that is busy for a while is so for both. Wall time is
    that of all threads, processor time that of one.
    """
    if measure.CLOCK.read is time.perf_counter:
        torch.set_num_threads(os.cpu_count() or 1)
    images, labels = photographs(count)
    classifier, request = backlight.load(), CorruptionRequest.of()
    fast, spent = classifier.fast(), {"ours": 0.0, "bare": 0.0}
    for start in range(0, count, 100):
        part = images[start : start + 100]
        data = Dataset.of((part * 255).round().byte(), labels[start : start + 100], classifier.labels)
        works = {
            "ours": partial(evaluate_corruptions, fast, data, request),
            "bare": partial(bare_passes, fast, part, request.passes),
        }
        for name, seconds in measure.in_turn(works, 1, warm=False).items():
            spent[name] += seconds
    torch.set_num_threads(1)
    note = f"{request.passes} looks at each, {spent['bare']:.0f} s bare"
    ratio = spent["ours"] / spent["bare"]
    yield at_most("all corruptions over bare passes", ratio, 1.25, unit="times", n=count, note=note)


def bare_passes(classifier: backlight.Classifier, images: Tensor, looks: int) -> None:
    """Look at pictures so many times."""
    with torch.no_grad():
        for _ in range(looks):
            for part in images.split(32):
                classifier.logits(part)


def figures(given) -> Iterator[Figure]:  # noqa: ANN001
    """Measure everything, or what `--only` names."""
    torch.set_num_threads(1)
    part, _, kind = given.only.partition(":")
    few = 8 if given.quick else 64
    images, _ = photographs(few)
    small = cifar(50 if given.quick else 500)
    if part in ("", "speed"):
        yield from speed(images, "224 px", kind)
        yield from speed(small, "32 px", kind)
    if part in ("", "statistics"):
        yield from statistics(images, "224 px", kind)
    if part in ("", "plain"):
        yield from plain_kinds(images[:16], kind)
    if part in ("", "overhead"):
        yield from overhead(8 if given.quick else int(kind) if kind.isdecimal() else 500)
    if part in ("", "accuracy"):
        yield from accuracy(20 if given.quick else 200, kind)


if __name__ == "__main__":
    started = time.perf_counter()
    measure.show(figures(measure.arguments(__doc__ or "")))
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
