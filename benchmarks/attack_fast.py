"""`autoattack-fast` beside `autoattack` on three robust networks: robust accuracy, passes and time.

python benchmarks/attack_fast.py [--quick] [--only NET] [--cpu-time]

1,000 CIFAR-10 pictures, linf 8/255: the stand-in may leave at most 0.2 points more standing than AutoAttack does, at a
quarter of its passes and of its time. `adversarial` is the network of `benchmarks/runs/long.py adversarial`. It takes
hours, so every 100 pictures are a line of `benchmarks/results/attack_fast_blocks.jsonl`, and what is there is not run
again: delete the file to begin anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cifar_nets import load_net, test_images
from measure import Figure, arguments, at_most, data_folder, faster, machine, seconds, show

from backlight.attack import AttackResult, attack

NETS, EPS = ("robust", "robust_bn", "adversarial"), "8/255"
METHODS = ("autoattack-fast", "autoattack")
FARTHER, SHARE, TIMES = 0.2, 0.25, 4.0
PICTURES, BLOCK, QUICK = 1000, 100, 20
BLOCKS = Path(__file__).with_name("results") / "attack_fast_blocks.jsonl"


def figures(net: str, quick: bool) -> Iterator[Figure]:
    """Run both on the same pictures, one after the other in every block."""
    done = {} if quick else finished()
    size, count = (QUICK, QUICK) if quick else (BLOCK, PICTURES)
    found: dict[str, list[dict[str, Any]]] = {method: [] for method in METHODS}
    for first in range(0, count, size):
        for method in METHODS:
            line = done.get((net, method, first)) or block(net, method, first, size)
            if not quick and (net, method, first) not in done:
                with BLOCKS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            found[method].append(line)
    yield from compared(net, count, found)


def finished() -> dict[tuple[str, str, int], dict[str, Any]]:
    """Read the blocks that earlier runs finished."""
    lines = BLOCKS.read_text("utf-8").splitlines() if BLOCKS.is_file() else []
    return {(one["net"], one["method"], one["first"]): one for one in map(json.loads, lines)}


def block(net: str, method: str, first: int, size: int) -> dict[str, Any]:
    """Attack some pictures, which get the same random numbers as in any other block."""
    classifier, (images, labels) = load_net(net), test_images(first + size)
    images, labels = images[first:], labels[first:]
    kept: list[AttackResult] = []

    def work() -> None:
        ids = list(range(first, first + size))
        kept.append(attack(classifier, images, labels, method=method, eps=EPS, ids=ids))

    took = seconds(work)
    standing = (~kept[0].success).nonzero()[:, 0] + first
    passes = int((kept[0].forwards + kept[0].backwards).sum())
    own = {"net": net, "method": method, "first": first, "pictures": size, "standing": standing.tolist()}
    return own | {"passes": passes, "seconds": round(took, 2), "machine": machine()}


def compared(net: str, n: int, found: dict[str, list[dict[str, Any]]]) -> Iterator[Figure]:
    """Compare what both left standing, their passes and their time."""
    standing = {method: {one for line in lines for one in line["standing"]} for method, lines in found.items()}
    passes = {method: sum(line["passes"] for line in lines) for method, lines in found.items()}
    took = {method: sum(line["seconds"] for line in lines) for method, lines in found.items()}
    fast, whole = METHODS
    robust = {method: 100 * len(held) / n for method, held in standing.items()}
    said = ", ".join(f"{method} {robust[method]:.1f}% in {passes[method]:,} passes" for method in METHODS)
    apart = len(standing[fast] - standing[whole])
    yield at_most(
        f"{net}: robust accuracy above AutoAttack's",
        robust[fast] - robust[whole],
        FARTHER + 1e-9,
        unit="points",
        n=n,
        note=f"{said}; {apart} pictures only by AutoAttack",
    )
    yield at_most(f"{net}: share of AutoAttack's passes", passes[fast] / passes[whole], SHARE, unit="share", n=n)
    yield faster(f"{net}: time", took[fast], took[whole], "autoattack", goal=TIMES, n=n)


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    if data_folder() is None:
        sys.exit("no data: set BACKLIGHT_DATA")
    show(one for net in NETS if not options.only or options.only == net for one in figures(net, options.quick))


if __name__ == "__main__":
    main()
