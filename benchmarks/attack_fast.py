"""`autoattack-fast` beside `autoattack` on three robust networks: robust accuracy, passes and time.

python benchmarks/attack_fast.py [--quick] [--only NET]

1,000 CIFAR-10 pictures, linf 8/255: the stand-in may leave at most 0.2 points more standing than AutoAttack does, at a
quarter of its passes and of its time. `adversarial` is the network of `benchmarks/runs/long.py adversarial`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from cifar_nets import load_net, test_images
from measure import Figure, arguments, at_most, data_folder, faster, show

from backlight.attack import AttackResult, attack

NETS, EPS = ("robust", "robust_bn", "adversarial"), "8/255"
FARTHER, SHARE, TIMES = 0.2, 0.25, 4.0


def figures(net: str, quick: bool) -> Iterator[Figure]:
    """Run both on the same pictures, one after the other."""
    classifier, (images, labels) = load_net(net), test_images(20 if quick else 1000)
    found: dict[str, AttackResult] = {}
    took: dict[str, float] = {}
    for method in ("autoattack-fast", "autoattack"):
        start = time.perf_counter()
        found[method] = attack(classifier, images, labels, method=method, eps=EPS)
        took[method] = time.perf_counter() - start
    fast, whole = found["autoattack-fast"], found["autoattack"]
    n = len(labels)
    robust = {method: 100 * (1 - one.success.double().mean().item()) for method, one in found.items()}
    passes = {method: int((one.forwards + one.backwards).sum()) for method, one in found.items()}
    said = ", ".join(f"{method} {robust[method]:.1f}% in {passes[method]:,} passes" for method in found)
    apart = int((whole.success & ~fast.success).sum())
    yield at_most(
        f"{net}: robust accuracy above AutoAttack's",
        robust["autoattack-fast"] - robust["autoattack"],
        FARTHER + 1e-9,
        unit="points",
        n=n,
        note=f"{said}; {apart} pictures only by AutoAttack",
    )
    share = passes["autoattack-fast"] / passes["autoattack"]
    yield at_most(f"{net}: share of AutoAttack's passes", share, SHARE, unit="share", n=n)
    yield faster(f"{net}: time", took["autoattack-fast"], took["autoattack"], "autoattack", goal=TIMES, n=n)


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    if data_folder() is None:
        sys.exit("no data: set BACKLIGHT_DATA")
    show(one for net in NETS if options.only in net for one in figures(net, options.quick))


if __name__ == "__main__":
    main()
