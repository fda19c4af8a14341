"""Every attack of the library on the same pictures of two networks: success, distance, passes and time.

python benchmarks/attack_table.py [--quick] [--only NET:ATTACK:NORM]

The first 50 CIFAR-10 test pictures that each network names rightly, every attack at its own defaults, in every norm it
has, processor time on one thread. It takes an hour, so every row is a line of `benchmarks/results/attack_table.jsonl`,
and what is there is not run again: delete the file, or lines of it, to begin anew. The docs' table is drawn from it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from attack_nearest import rightly_named
from cifar_nets import load_net
from measure import arguments, data_folder, machine

from backlight.attack import ATTACKS, attack

NETS, PICTURES, QUICK = ("plain", "robust"), 50, 4
ROWS = Path(__file__).with_name("results") / "attack_table.jsonl"
CLASSES = 10


def row(net: str, name: str, norm: str, count: int) -> dict[str, Any]:
    """Run one attack; the median distance is that of all pictures, a miss being infinitely far."""
    classifier = load_net(net)
    images, labels = rightly_named(classifier, count)
    target = (labels + 1) % CLASSES if ATTACKS[name].targeted == "always" else None
    start = time.process_time()
    found = attack(classifier, images, labels, method=name, norm=norm, target=target)
    seconds = time.process_time() - start
    distance = float(found.distance.masked_fill(~found.success, torch.inf).median())
    return {
        "net": net,
        "attack": name,
        "norm": norm,
        "needs": ATTACKS[name].needs,
        "eps": found.threat.eps,
        "pictures": count,
        "fooled": int(found.success.sum()),
        "median_distance": distance if distance < float("inf") else None,
        "forwards": float(found.forwards.double().mean()),
        "backwards": float(found.backwards.double().mean()),
        "seconds": round(seconds / count, 5),
        "machine": machine(),
    }


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    if data_folder() is None:
        sys.exit("no data: set BACKLIGHT_DATA")
    torch.set_num_threads(1)
    lines = ROWS.read_text("utf-8").splitlines() if ROWS.is_file() and not options.quick else []
    done = {(one["net"], one["attack"], one["norm"]) for one in map(json.loads, lines)}
    for net in NETS:
        for name, norm in [(name, norm) for name, card in ATTACKS.items() for norm in card.norms]:
            if (net, name, norm) in done or options.only not in f"{net}:{name}:{norm}":
                continue
            line = json.dumps(row(net, name, norm, QUICK if options.quick else PICTURES))
            print(line, flush=True)
            if not options.quick:
                with ROWS.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")


if __name__ == "__main__":
    main()
