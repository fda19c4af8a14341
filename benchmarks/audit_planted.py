"""The audit of pictures, parts, shift and the gate: planted faults over five seeds.

`figures()` gives everything to `benchmarks/audit.py`; alone it prints the same.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import measure
import numpy as np
import torch
from measure import Figure, at_least, at_most
from PIL import Image
from torch import Tensor, nn

import backlight
from backlight import Classifier
from backlight.audit import Examined, compare_shares, look_once, measure_discrepancy, run_checks, tell_apart
from backlight.audit.registry import CHECKS
from backlight.data import Dataset
from backlight.data.shapes import Shapes
from backlight.gate import Gate, Result, check
from backlight.table.statistics import wilson

SEEDS, LEVEL, COPIES = 5, 0.005, 20


def figures(quick: bool = False) -> Iterator[Figure]:
    """Measure everything; `quick` takes less work."""
    yield from planted_on_pictures(2 if quick else SEEDS)
    yield from planted_shift(10_000)  # fewer cannot show it: a fiftieth of the pictures is gone
    yield from planted_copies(2 if quick else SEEDS)
    yield from drops()


def trained(images: Tensor, labels: Tensor, names: tuple[str, ...], seed: int) -> Classifier:
    """Train a small network for a second."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
        net = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, len(names)))
    pixels, optimizer = images.float() / 255, torch.optim.Adam(net.parameters(), lr=3e-3)
    for step in range(200):
        rows = torch.arange(step * 40, step * 40 + 40) % len(pixels)
        loss = nn.functional.cross_entropy(net(pixels[rows] - 0.5), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Classifier.from_module(net, mean=(0.5,) * 3, std=(1.0,) * 3, size=32, labels=list(names))


def planted_on_pictures(seeds: int) -> Iterator[Figure]:
    """Name a patch on one class, stay silent without one, and tell noise from shapes."""
    named, silent, aurocs = 0, 0, []
    cards = [CHECKS[name] for name in ("frame", "property_labels")]
    for seed in range(seeds):
        shapes = Shapes(n=900, size=32, classes=4, seed=seed)
        drawn = shapes.draw(torch.arange(900))
        for patch in (False, True):
            images = drawn.images.clone()
            if patch:
                red = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None]
                images[(drawn.labels == 2).nonzero()[:, 0], :, 1:5, 1:5] = red
            classifier = trained(images[:450], drawn.labels[:450], shapes.label_names, seed)
            data = Dataset.of(images[450:], drawn.labels[450:], shapes.label_names)
            examined = Examined(look_once(classifier, data), classifier, seed=seed)
            found = {one.name: one for one in run_checks(examined, cards).findings}
            if patch:
                named += f"tells {shapes.label_names[2]}" in found["frame_alone"].sentence
            else:
                silent += all(one.judgement == "good" for one in found.values())
                unknown = run_checks(examined, [CHECKS["unknown_inputs"]]).findings
                (noise,) = [one for one in unknown if one.name == "unknown_noise"]
                aurocs.append(noise.value or 0.0)
    yield at_least("shortcut on one class: named", named, seeds, unit=f"of {seeds}", n=450)
    yield at_least("no shortcut: silent", silent, seeds, unit=f"of {seeds}", n=450)
    yield at_least("noise: AUROC of the recommended detector", min(aurocs), 0.9, unit="AUROC", n=450, note="least")


def planted_shift(count: int) -> Iterator[Figure]:
    """See a lacking fifth of a class, show moved pictures, and stay silent on two halves of one set."""
    seen, shown, alarms = 0, [], 0
    for seed in range(SEEDS):
        draw = np.random.default_rng(seed)
        labels = np.arange(count) % 10
        kept = labels[(labels != 3) | (draw.random(count) > 0.2)]
        said = [np.where(draw.random(len(one)) < 0.9, one, draw.integers(0, 10, len(one))) for one in (labels, kept)]
        law = compare_shares(*said, 10)
        seen += bool(law.argmin() == 3 and law.min() < LEVEL)
        first, second = draw.normal(size=(500, 64)), draw.normal(size=(500, 64))
        second[:100, :8] -= 2
        shown.append(float((tell_apart(first, second, seed=seed).telling[:12] < 100).mean()))
    for seed in range(20):
        whole = np.random.default_rng((1, seed)).normal(size=(400, 64))
        halves = whole[:200], whole[200:]
        p_values = (measure_discrepancy(*halves, seed=seed).p_value, tell_apart(*halves).p_value)
        alarms += bool(min(p_values) < LEVEL)
    yield at_least("a fifth of one class removed: seen", seen, SEEDS, unit=f"of {SEEDS}", n=count)
    yield at_least("moved pictures among the 12 shown", min(shown), 0.9, unit="share", n=500, note="a fifth moved")
    yield at_most("two halves of one set: alarms", alarms, 1, unit="of 20", n=400)


def planted_copies(seeds: int) -> Iterator[Figure]:
    """Find copies, encoded again, cropped by 2% or resized, across two parts of 1,000 CIFAR-10 pictures each."""
    folder = measure.data_folder()
    if folder is None:
        return
    images = backlight.load_data(str(folder / "cifar10_jpeg.npz"), split="test").in_memory().pictures.read(range(5000))
    found, false = [], []
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        train, test = torch.as_tensor(draw.choice(len(images), 2000, replace=False)).view(2, 1000)
        parts = images[train], images[test].clone()
        sources = draw.choice(1000, COPIES, replace=False)
        places = draw.choice(1000, COPIES, replace=False)
        for number, (source, place) in enumerate(zip(sources, places, strict=True)):
            parts[1][place] = copied(parts[0][source], number)
        planted = set(zip(places.tolist(), sources.tolist(), strict=True))
        pairs = leaked_pairs(parts[1], parts[0])
        found.append(len(pairs & planted))
        false.append(len(pairs - planted))
    note = f"least and most of {seeds} seeds"
    yield at_least("copies across parts: found", min(found), COPIES, unit=f"of {COPIES}", n=2000, note=note)
    yield at_most("copies across parts: false pairs", max(false), 1, unit="pairs", n=2000, note=note)


def copied(image: Tensor, number: int) -> Tensor:
    """Copy a picture, uint8 [3,H,W], as people do: encoded as JPEG, 2% cut off each side, or halved; then as it was."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    width, height = picture.size
    if number % 3 == 0:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=60)
        picture = Image.open(file).convert("RGB")
    elif number % 3 == 1:
        cut = max(1, round(0.02 * width))
        picture = picture.crop((cut, cut, width - cut, height - cut))
    else:
        picture = picture.resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    whole = picture.resize((width, height), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(whole)).permute(2, 0, 1)


def leaked_pairs(test: Tensor, train: Tensor) -> set[tuple[int, int]]:
    """Return the pairs of rows of test and training that the finding shows as copies."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2))
    classifier = Classifier.from_module(net, size=32, labels=["0", "1"])
    kept = [look_once(classifier, Dataset.of(part, [0] * len(part), ["0", "1"])).kept for part in (test, train)]
    (leaks, *_) = run_checks(Examined.of(kept[0], train=kept[1]), [CHECKS["leaked_pictures"]]).findings
    table = leaks.tables.get("Pictures in both", {"group": [], "picture": [], "data": []})
    groups: dict[int, dict[str, list[int]]] = {}
    for group, picture, where in zip(table["group"], table["picture"], table["data"], strict=True):
        groups.setdefault(group, {}).setdefault(where, []).append(int(picture))
    return {(row, other) for one in groups.values() for row in one["here"] for other in one["training"]}


def drops() -> Iterator[Figure]:
    """Hold 40% and 30% of 500 pictures against 43% of them: the first is no drop, the second is."""
    gate = [Gate("accuracy", "max_drop", 0.01)]
    before = accuracy_of(215, 500)
    told = [check(accuracy_of(right, 500), gate, before).passed for right in (200, 150)]
    yield at_least("gate: 40% against 43% of 500 is no drop, 30% is", int(told == [True, False]), 1, unit="of 1", n=500)


def accuracy_of(right: int, n: int) -> Result:
    """Write what `evaluate` says of so many right of n."""
    interval = list(wilson(right, n))
    return Result({"n": n, "accuracy": right / n, "accuracy_interval": interval, "per_class": {}}, "evaluate.json")


if __name__ == "__main__":
    given = measure.arguments(__doc__ or "")
    measure.show(one for one in figures(given.quick) if given.only in one.name)
