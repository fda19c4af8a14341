"""The audit: planted faults over five seeds, and speed on the same arrays against three other programs.

The figures of labels, calibration, sets and slices, against cleanlab, are those of `audit_labels.py`; those of
pictures, parts, shift and the gate are those of `audit_planted.py`.
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
import audit_planted
import measure
import numpy as np
import torch
from measure import Figure, at_most, faster
from PIL import Image
from torch import Tensor, nn

from backlight.audit import (
    DETECTORS,
    Activations,
    Examined,
    run_checks,
)
from backlight.audit.activations import Head
from backlight.audit.kept import HEALTH, PROPERTIES, Kept, LinearHead
from backlight.audit.scores import Known
from backlight.audit.unknown import detect_unknown, score_activations
from backlight.data.duplicates import take_print
from backlight.data.shapes import Shapes
from backlight.images import to_levels
from backlight.images.properties import picture_properties

SEEDS, LEVEL = 5, 0.005


def figures(quick: bool = False) -> Iterator[Figure]:
    """Measure everything; `quick` takes less work."""
    totals = [0.0, 0.0]  # of ours and of the three peers
    yield from audit_labels.figures(totals, quick)
    yield from audit_planted.figures(quick)
    yield from all_of_unknown(1000 if quick else 10_000)
    yield from without_passes(1000 if quick else 10_000)
    yield from memory(2000 if quick else 100_000)
    yield from against_pytorch_ood(1000 if quick else 10_000, totals)
    yield from against_cleanvision(50 if quick else 500, totals)
    yield faster("the three peers: all of these together", *totals, "cleanlab, pytorch-ood, cleanvision", goal=3, n=1)


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
