"""The audit: planted faults over five seeds, and speed on the same arrays against three other programs.

The figures of labels, calibration, sets and slices, against cleanlab, are those of `audit_labels.py`.
"""

from __future__ import annotations

import contextlib
import io
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import audit_labels
import measure
import numpy as np
import torch
from measure import Figure, at_least, at_most, faster
from PIL import Image
from torch import Tensor, nn

from backlight import Classifier
from backlight.audit import (
    DETECTORS,
    Activations,
    Examined,
    compare_shares,
    look_once,
    measure_discrepancy,
    run_checks,
    tell_apart,
)
from backlight.audit.activations import Head
from backlight.audit.kept import HEALTH, PROPERTIES, Kept, LinearHead
from backlight.audit.registry import CHECKS
from backlight.audit.scores import Known
from backlight.audit.unknown import detect_unknown, score_activations
from backlight.data import Dataset
from backlight.data.duplicates import take_print
from backlight.data.shapes import Shapes
from backlight.images import to_levels
from backlight.images.properties import picture_properties

SEEDS, LEVEL = 5, 0.005


def figures(quick: bool = False) -> Iterator[Figure]:
    """Measure everything; `quick` takes less work."""
    yield from audit_labels.figures(quick)
    yield from planted_on_pictures(2 if quick else SEEDS)
    yield from planted_shift(10_000)  # fewer cannot show it: a fiftieth of the pictures is gone
    yield from all_of_unknown(1000 if quick else 10_000)
    yield from without_passes(1000 if quick else 10_000)
    yield from memory(2000 if quick else 100_000)
    totals = [0.0, 0.0]
    yield from against_pytorch_ood(1000 if quick else 10_000, totals)
    yield from against_cleanvision(50 if quick else 500, totals)
    yield faster("unknown inputs and health: all of these together", *totals, "peers", goal=3, n=1)


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


def drawn_world(count: int, classes: int, seed: int) -> tuple[Activations, Head]:
    """Draw features of classes, and the last layer that knows them."""
    means = torch.randn(classes, 1280, generator=torch.Generator().manual_seed(99))
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    features = (means[labels] + 2 * torch.randn(count, 1280, generator=draw)).clamp(min=0)
    head = Head(means / 80, torch.linspace(-0.1, 0.1, classes))
    return Activations.of(head.logits(features), features=features, labels=labels), head


def all_of_unknown(count: int) -> Iterator[Figure]:
    """Time all that the section on unknown inputs does to arrays, as the check asks for it."""
    fitted, head = drawn_world(count // 2, 1000, 0)
    known = drawn_world(count // 5, 1000, 1)[0]
    unknown = {str(seed): drawn_world(300, 1000, seed)[0] for seed in (2, 3, 4, 5)}
    time = measure.seconds(lambda: detect_unknown(known, unknown, training=fitted, head=head, classes_left_out=True))
    yield at_most("unknown inputs: every detector, 1,000 classes", time, 6, unit="s", n=count)


def kept_of(count: int, seed: int = 0) -> Kept:
    """Draw what a pass over pictures of ten classes would have kept of them: 1,280 features, prints, properties."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 10, count)
    means = np.random.default_rng(99).normal(size=(10, 1280)).astype(np.float32)
    features = np.empty((count, 1280), np.float16)
    for start in range(0, count, 4096):
        rows = slice(start, start + 4096)
        noise = draw.standard_normal((len(labels[rows]), 1280), dtype=np.float32)
        features[rows] = (0.3 * means[labels[rows]] + noise).clip(0)
    head = LinearHead(means / 40, np.zeros(10, np.float32))
    given = np.where(draw.random(count) < 0.05, (labels + draw.integers(1, 10, count)) % 10, labels)
    return Kept.of(
        head.logits(features),
        labels=given,
        features=features,
        head=head,
        thumbnails=draw.integers(0, 256, (count, 256), dtype=np.uint8),
        hashes=draw.integers(0, 2**63, count, dtype=np.uint64),
        **{name: draw.random(count) for name in (*PROPERTIES, *HEALTH)},
    )


def without_passes(count: int) -> Iterator[Figure]:
    """Time every finding that is made of the stored pass alone."""
    kept = kept_of(count)
    time = measure.seconds(lambda: run_checks(Examined.of(kept, depth="quick")))
    yield at_most("all findings without further passes", time, 15, unit="s", n=count, note="10 classes, 1,280 features")


def memory(count: int) -> Iterator[Figure]:
    """Measure the most memory that those findings take, in a process of their own, the arrays included."""
    code = (
        f"import audit; audit.run_checks(audit.Examined.of(audit.kept_of({count}), depth='quick')); print(audit.peak())"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, check=True)
    yield at_most(
        "memory of the same", int(found.stdout) / 2**30, 2, unit="GiB", n=count, note="the process at its most"
    )


def peak() -> int:
    """Return the most memory that this process held so far, in bytes: without what the one that started it held."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of macOS, in bytes
    # The usage that Linux counts starts from the memory of the process that forked this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def against_pytorch_ood(count: int, totals: list[float]) -> Iterator[Figure]:
    """Score the same arrays by eleven detectors of both."""
    from pytorch_ood import detector as peers

    (fitted, head), (known, _) = drawn_world(count // 2, 100, 0), drawn_world(count // 2, 100, 1)
    x, y, z, logits = fitted.features, fitted.labels, known.features, known.logits
    linear = nn.Linear(1280, 100)
    linear.weight.data, linear.bias.data = head.weight, head.bias
    k = max(1, min(50, round(len(x) / 10_000)))

    def back(maps: Tensor) -> Tensor:
        return head.logits(maps[:, :, 0, 0])

    theirs = {
        "msp": lambda: peers.MaxSoftmax.score(logits),
        "max_logit": lambda: peers.MaxLogit.score(logits),
        "energy": lambda: peers.EnergyBased.score(logits),
        "gen": lambda: peers.GEN.score(logits, M=100),
        "knn": lambda: peers.KNN(None, k=k).fit_features(x, y).predict_features(z),
        "mds": lambda: peers.Mahalanobis(None).fit_features(x, y).predict_features(z),
        "rmds": lambda: peers.RMD(None).fit_features(x, y).predict_features(z),
        "vim": lambda: peers.ViM(None, 512, head.weight, head.bias).fit_features(x, y).predict_features(z),
        "fdbd": lambda: peers.fDBD(None, linear).fit_features(x).predict_features(z),
        "scale": lambda: peers.SCALE(None, back, percentile=0.85).predict_feature_maps(z[:, :, None, None]),
        "react": lambda: (
            peers.ReAct(None, back).fit_feature_maps(x[:, :, None, None], y).predict_feature_maps(z[:, :, None, None])
        ),
    }
    cards = [DETECTORS[name] for name in theirs]
    ours = score_activations(cards, Known(fitted, head), {"": known})[0]
    scores = {name: -np.asarray(score().detach().double()) for name, score in theirs.items()}
    alike = [float(np.corrcoef(ours[name][""], one)[0, 1]) for name, one in scores.items()]
    times = measure.in_turn(
        {
            "ours": lambda: score_activations(cards, Known(fitted, head), {"": known}),
            "theirs": lambda: [score() for score in theirs.values()],
        },
        1,
        warm=False,
    )
    totals[0], totals[1] = totals[0] + times["ours"], totals[1] + times["theirs"]
    note = f"least correlation {min(alike):.6f}"
    name = "eleven detectors of unknown inputs"
    yield faster(name, times["ours"], times["theirs"], "pytorch-ood", goal=None, n=count // 2, note=note)


def against_cleanvision(count: int, totals: list[float]) -> Iterator[Figure]:
    """Look at the same files for dark, light, blurred, grey, odd and equal pictures."""
    from cleanvision import Imagelab

    images = Shapes(n=count, size=160, classes=8).draw(torch.arange(count)).images
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{row:05}.png" for row in range(count)]
        for path, image in zip(paths, images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)

        def ours() -> None:
            for path in paths:
                picture = Image.open(path).convert("RGB")
                picture_properties(picture)
                take_print(to_levels(picture, 3))

        def theirs() -> None:
            with contextlib.redirect_stdout(io.StringIO()):
                Imagelab(data_path=folder).find_issues(n_jobs=1)

        times = measure.in_turn({"ours": ours, "theirs": theirs}, 1, warm=False)
    totals[0], totals[1] = totals[0] + times["ours"], totals[1] + times["theirs"]
    yield faster("properties and prints of pictures", times["ours"], times["theirs"], "cleanvision", goal=None, n=count)


if __name__ == "__main__":
    given = measure.arguments(__doc__ or "")
    measure.show(one for one in figures(given.quick) if given.only in one.name)
