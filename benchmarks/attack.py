"""Attacks against their peers: PGD, APGD and AutoAttack on small CIFAR-10 networks, and the loop's own overhead.

python benchmarks/attack.py [--quick] [--only NAME]

Figures: overhead, pgd-undefended, pgd-undefended-classic (a network four times as costly), pgd-robust, pgd-robust-bn,
apgd-robust, apgd-robust-bn, autoattack-undefended, autoattack-robust, autoattack-audited, autoattack-1000. AutoAttack
is compared with the authors' code where BACKLIGHT_AUTOATTACK names a checkout of it (github.com/fra31/auto-attack),
else with torchattacks' four attacks at the published parameters.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator

import torch
from attack_peers import Normalized, art_pgd, autoattack_peer, foolbox_pgd, peer_apgd, torchattacks_pgd
from cifar_nets import load_net, test_images
from measure import Figure, arguments, at_most, data_folder, faster, in_turn, seconds, show
from torch import Tensor

from backlight.attack import Challenge, ThreatModel, attack
from backlight.attack.auto import apgd
from backlight.attack.evaluation import evaluate_robustness
from backlight.attack.gradient import pgd
from backlight.attack.request import RobustnessRequest
from backlight.attack.stages import autoattack
from backlight.classifier import Classifier
from backlight.data.dataset import Dataset

EPS, STEP, STEPS = 8 / 255, 2 / 255, 20
AUDITED = 25


def standing(classifier: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    """Tell which images the untouched classifier still gets right: bool [N]."""
    with torch.no_grad():
        rows = [classifier.logits(part).argmax(1) for part in images.split(64)]
    return torch.cat(rows) == labels


def overhead(quick: bool) -> Iterator[Figure]:
    """Compare PGD where nothing is fooled with a bare loop of forward and input gradient on the same network."""
    count, runs, steps = (64, 3, 10) if quick else (256, 9, 20)
    classifier = load_net("robust").fast()
    images, _ = test_images(count)
    labels = classifier.logits(images).argmax(1)
    challenge = Challenge.of(classifier, images, labels, threat=ThreatModel("linf", 1e-6))

    def bare() -> None:
        # In parts of the same size: what fits in the cache is a matter of the part's size, not of the loop.
        size = challenge.chunk.size
        with classifier.guard():
            for part, wanted in zip(images.split(size), labels.split(size)):
                for _ in range(steps):
                    current = part.clone().requires_grad_(True)
                    logits = classifier.record(current, ("logits",))["logits"]
                    loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
                    torch.autograd.grad(loss, current)
                with torch.no_grad():
                    classifier.record(part, ("logits",))

    # The fastest of several: what disturbs a run only ever adds to it, and 5% is less than such disturbances.
    times = in_turn({"ours": lambda: pgd(challenge, steps=steps), "bare": bare}, runs, pick=min)
    share = 100 * (times["ours"] / times["bare"] - 1)
    yield at_most("overhead", share, 5.0, unit="%", n=count, note=f"PGD-{steps} over a bare loop, nothing fooled")


def pgd_undefended(quick: bool, name: str = "plain") -> Iterator[Figure]:
    """Run PGD-20 on a network that hardly withstands, against the fastest of three libraries."""
    classifier, (images, labels) = load_net(name), test_images(100 if quick else 1000)
    figure = "pgd-undefended" if name == "plain" else f"pgd-undefended-{name}"
    yield from _pgd(figure, classifier, images, labels, 10.0, 1 if quick or name == "classic" else 3, every=True)


def pgd_robust(quick: bool, name: str = "robust", goal: float = 1.3) -> Iterator[Figure]:
    """Run PGD-20 on an adversarially trained network, where most images stay to the end."""
    classifier, (images, labels) = load_net(name), test_images(100 if quick else 500)
    figure = f"pgd-{name.replace('_', '-')}"
    yield from _pgd(figure, classifier, images, labels, goal, 1 if quick else 3, every=False)


def _pgd(
    name: str, classifier: Classifier, images: Tensor, labels: Tensor, goal: float, runs: int, *, every: bool
) -> Iterator[Figure]:
    peer, found = Normalized(classifier).eval(), dict[str, Tensor]()
    peers = {"torchattacks": torchattacks_pgd, "foolbox": foolbox_pgd, "art": art_pgd}
    chosen = peers if every else {"torchattacks": torchattacks_pgd}

    def ours() -> None:
        found["ours"] = attack(classifier, images, labels, eps=EPS, steps=STEPS, step_size=STEP).images

    def by(library: str) -> Callable[[], None]:
        def work() -> None:
            found[library] = chosen[library](peer, images, labels, EPS, STEP, STEPS)

        return work

    times = in_turn({"ours": ours, **{library: by(library) for library in chosen}}, runs, warm=runs > 1)
    robust = {
        one: float(standing(classifier, adversarial, labels).float().mean()) for one, adversarial in found.items()
    }
    fastest = min(chosen, key=lambda library: times[library])
    words = ", ".join(f"{one} {times[one]:.2f} s {robust[one]:.1%}" for one in times)
    yield _checked(
        faster(name, times["ours"], times[fastest], fastest, goal=goal, n=len(labels), note=f"robust: {words}"),
        robust["ours"] <= robust[fastest] + (0 if every else 2 / len(labels)),
    )


def apgd_robust(quick: bool, name: str = "robust", goal: float = 1.3) -> Iterator[Figure]:
    """Run APGD-CE with 100 steps on an adversarially trained network."""
    classifier, (images, labels) = load_net(name), test_images(50 if quick else 200)
    peer, run = Normalized(classifier).eval(), peer_apgd()
    found: dict[str, Tensor] = {}

    def ours() -> None:
        challenge = Challenge.of(classifier, images, labels, threat=ThreatModel("linf", EPS), fast=True)
        found["ours"] = apgd(challenge).images

    def theirs() -> None:
        found["peer"] = run.attack(peer, images, labels, EPS)

    times = in_turn({"ours": ours, "peer": theirs}, 1 if quick else 3, warm=not quick)
    robust = {one: int(standing(classifier, adversarial, labels).sum()) for one, adversarial in found.items()}
    note = f"robust images ours {robust['ours']}, {run.name} {robust['peer']}"
    figure = faster(
        f"apgd-{name.replace('_', '-')}", times["ours"], times["peer"], run.name, goal=goal, n=len(labels), note=note
    )
    yield _checked(figure, robust["ours"] <= robust["peer"] + 2)


def autoattack_figure(name: str, net: str, goal: float, quick: bool) -> Iterator[Figure]:
    """Run AutoAttack standard over seeds, ours and the peer's, and compare times and what withstands."""
    classifier, (images, labels) = load_net(net), test_images(10 if quick else 200)
    peer, run, seeds = Normalized(classifier).eval(), autoattack_peer(), (0,) if quick else (0, 1, 2)
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    robust: dict[str, list[Tensor]] = {"ours": [], "peer": []}

    def ours(seed: int) -> Tensor:
        threat = ThreatModel("linf", EPS)
        return autoattack(Challenge.of(classifier, images, labels, threat=threat, seed=seed, fast=True)).images

    def theirs(seed: int) -> Tensor:
        return run.attack(peer, images, labels, EPS, seed)

    for seed in seeds:
        for who, work in (("ours", ours), ("peer", theirs)):
            kept: list[Tensor] = []
            times[who].append(seconds(lambda work=work, kept=kept, seed=seed: kept.append(work(seed))))  # type: ignore[misc]
            robust[who].append(standing(classifier, kept[0], labels))
    counts = {who: [int(one.sum()) for one in found] for who, found in robust.items()}
    spread = max(counts["peer"]) - min(counts["peer"]) + 1
    apart = statistics.mean(counts["ours"]) - statistics.mean(counts["peer"])
    differ = (torch.stack(robust["ours"]).any(0) != torch.stack(robust["peer"]).any(0)).nonzero()[:, 0].tolist()
    note = f"robust images ours {counts['ours']}, {run.name} {counts['peer']}, differing images {differ}"
    medians = {who: statistics.median(found) for who, found in times.items()}
    figure = faster(name, medians["ours"], medians["peer"], run.name, goal=goal, n=len(labels), note=note)
    yield _checked(figure, abs(apart) <= spread)


def audited(name: str, count: int, goal: float) -> Iterator[Figure]:
    """Run AutoAttack with its costly stages on some survivors only, against the peer's on all."""
    classifier, (images, labels) = load_net("robust"), test_images(count)
    peer, run = Normalized(classifier).eval(), autoattack_peer()
    data = Dataset.of((images * 255).round().to(torch.uint8), labels, [str(number) for number in range(10)])
    request = RobustnessRequest("autoattack", "linf", EPS, mode="audited", audit=AUDITED, checks=False)
    kept: list[Tensor] = []
    results = []
    ours = seconds(lambda: results.append(evaluate_robustness(classifier, data, request)))
    theirs = seconds(lambda: kept.append(run.attack(peer, images, labels, EPS, 0)))
    robust, found = int(standing(classifier, kept[0], labels).sum()), results[0]
    mine = int(found.table["robust"].sum())
    note = (
        f"robust images ours {mine} (at most {found.audit_bound} fewer, 95%; audit {found.audit}), {run.name} {robust}"
    )
    figure = faster(name, ours, theirs, run.name, goal=goal, n=count, note=note)
    yield _checked(figure, mine - found.audit_bound - 2 <= robust <= mine + 2)


def _checked(figure: Figure, same: bool) -> Figure:
    """Fail a figure whose work was not as good as the peer's."""
    return figure if same else Figure(**(vars(figure) | {"ok": False, "note": "WORSE RESULT: " + figure.note}))


FIGURES: dict[str, Callable[[bool], Iterator[Figure]]] = {
    "overhead": overhead,
    "pgd-undefended": pgd_undefended,
    "pgd-undefended-classic": lambda quick: pgd_undefended(quick, "classic"),
    "pgd-robust": pgd_robust,
    "pgd-robust-bn": lambda quick: pgd_robust(quick, "robust_bn", 1.8),
    "apgd-robust": apgd_robust,
    "apgd-robust-bn": lambda quick: apgd_robust(quick, "robust_bn", 1.8),
    "autoattack-undefended": lambda quick: autoattack_figure("autoattack-undefended", "plain", 15.0, quick),
    "autoattack-robust": lambda quick: autoattack_figure("autoattack-robust", "robust", 1.3, quick),
    "autoattack-audited": lambda quick: audited("autoattack-audited", 20 if quick else 200, 2.0),
    "autoattack-1000": lambda quick: audited("autoattack-1000", 40 if quick else 1000, 4.0),
}


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    if data_folder() is None:
        sys.exit("no data: set BACKLIGHT_DATA")
    chosen = [options.only] if options.only in FIGURES else [name for name in FIGURES if options.only in name]
    show(figure for name in chosen for figure in FIGURES[name](options.quick))


if __name__ == "__main__":
    main()
