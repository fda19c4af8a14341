"""Attacks that look for the nearest success, beside three libraries: median distance, misses and time.

python benchmarks/attack_nearest.py [--quick] [--only NAME] [--cpu-time]

Figures are named NET:ATTACK:NORM, as `plain:sigma-zero:l0` or `robust:hopskipjump:l2`: 100 CIFAR-10 pictures that the
network names rightly, each library at its own defaults and, of HopSkipJump, with as many queries for ours as the peer
made. A median of distances counts a miss as infinitely far. The note says what the peer's looks, without anything
between them, take on our copy of the network: no attack that looks as often can be faster; and the median of ours
over the nearest library's, picture by picture, which a gap between distances does not move as it moves a median.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

import torch
from attack_nearest_peers import PEERS, Counted, load_libraries
from cifar_nets import load_net, test_images
from measure import Figure, arguments, data_folder, seconds, show
from torch import Tensor

from backlight.attack import attack
from backlight.attack.threat import ThreatModel
from backlight.classifier import Classifier

NETS = ("plain", "robust")
CASES = (
    ("sigma-zero", "l0", 2.0),
    ("pdpgd", "l1", 2.0),
    ("pdpgd", "l2", 2.0),
    ("pdpgd", "linf", 2.0),
    ("pdgd", "l2", None),
    ("ddn", "l2", None),
    ("fmn", "l2", None),
    ("fmn", "linf", None),
    ("hopskipjump", "l2", 5.0),
    ("hopskipjump", "linf", 5.0),
)
WITHIN = 1.01
BARE_LOOKS = 20  # of which the passes of a whole attack are reckoned


def figure(net: str, method: str, norm: str, goal: float | None, quick: bool) -> Iterator[Figure]:
    """Attack the same pictures with ours and every library that has the method."""
    classifier = load_net(net)
    images, labels = rightly_named(classifier, 8 if quick else 100)
    black_box = method == "hopskipjump"
    queries = 0
    looks: dict[str, int] = {}
    times: dict[str, float] = {}
    found: dict[str, Tensor] = {}
    for name, run in PEERS[method].items():
        model = Counted(classifier).eval()
        times[name], pictures = timed(partial(run, model, images, labels, norm))
        found[name], looks[name] = reached(classifier, images, pictures, labels, norm), model.rows
        if black_box and name == "ART":
            queries = round(model.rows / len(images))
    options = {"queries": queries} if black_box else {}
    took, pictures = timed(lambda: attack(classifier, images, labels, method=method, norm=norm, **options).images)
    ours = reached(classifier, images, pictures, labels, norm)
    nearest = min(found, key=lambda one: float(found[one].median()))
    slow = "ART" if black_box else min(times, key=lambda one: times[one])
    ratio = times[slow] / took
    fewest = min(int(one.isinf().sum()) for one in found.values())
    near = bool(ours.median() <= WITHIN * found[nearest].median()) and int(ours.isinf().sum()) <= fewest
    words = ", ".join(f"{name} {in_words(far)} in {times[name]:.1f} s" for name, far in found.items())
    both = ours.isfinite() & found[nearest].isfinite()
    paired = float((ours / found[nearest])[both].median())
    note = f"median distance ours {in_words(ours)}, {words}; picture by picture {paired:.3f} of {nearest}'s"
    note += f"; {queries} queries a picture" if black_box else ""
    note += f"; {slow}'s looks alone {bare(classifier, images, looks[slow], not black_box):.1f} s"
    ok = near and (goal is None or ratio >= goal)
    note = note if near else f"FARTHER: {note}"
    yield Figure(f"{net}:{method}:{norm}", took, times[slow], slow, "s", ratio, goal, ok, len(labels), note)


def rightly_named(classifier: Classifier, count: int) -> tuple[Tensor, Tensor]:
    """Return the first pictures that the network names rightly, and their labels."""
    images, labels = test_images(4 * count)
    with torch.no_grad():
        right = (classifier.logits(images).argmax(1) == labels).nonzero()[:count, 0]
    return images[right], labels[right]


def timed(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Return the seconds of a run, by the clock of this benchmark, and what it found."""
    found: list[Tensor] = []
    took = seconds(lambda: found.append(work()))
    return took, found[0]


def bare(classifier: Classifier, images: Tensor, looks: int, gradient: bool) -> float:
    """Reckon the seconds that so many looks, with or without a gradient, take on the fast copy in full batches."""
    search, batch = classifier.fast(), images[:64]

    def look() -> None:
        with torch.set_grad_enabled(gradient):
            shown = batch.clone().requires_grad_(gradient)
            logits = search.record(shown, ("logits",))["logits"]
            if gradient:
                torch.autograd.grad(logits.amax(1).sum(), shown)

    def all_looks() -> None:
        for _ in range(BARE_LOOKS):
            look()

    with search.guard():
        look()
        return seconds(all_looks) * looks / (BARE_LOOKS * len(batch))


def reached(classifier: Classifier, images: Tensor, found: Tensor, labels: Tensor, norm: str) -> Tensor:
    """Return how far each picture is, a miss being infinitely far, float64 `[N]`."""
    found = found.clamp(0, 1)
    with torch.no_grad():
        fooled = classifier.logits(found).argmax(1) != labels
    return ThreatModel(norm, None).distance(found, images).masked_fill(~fooled, torch.inf)


def in_words(distances: Tensor) -> str:
    """Name the median and the misses."""
    return f"{float(distances.median()):.4g} ({int(distances.isinf().sum())} missed)"


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    if data_folder() is None:
        sys.exit("no data: set BACKLIGHT_DATA")
    load_libraries()
    cases = [(net, *case) for net in NETS for case in CASES if options.only in f"{net}:{case[0]}:{case[1]}"]
    show(one for case in cases for one in figure(*case, options.quick))


if __name__ == "__main__":
    main()
