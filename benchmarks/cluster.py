"""A billion pictures on a thousand workers: how long, what is done twice, and what waits, by simulation.

python benchmarks/cluster.py [--quick] [--measure]

Workers take blocks as `backlight.sweep` gives them out: whoever is free takes the next one; a worker that dies loses
the block it was at, comes back after a while, and its claim is free again when it has expired. Block times are drawn
from `benchmarks/results/block_times.jsonl`, which `--measure` makes anew: the seconds of processor time, one thread, of
equal blocks of CIFAR-10 pictures, over their mean. The cases are kept in `benchmarks/results/cluster.jsonl`.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import measure
import numpy as np
import torch
from cifar_nets import load_net, test_images

import backlight
from backlight.core.allocator import keep_memory
from backlight.evaluate.samples import fitted
from backlight.sweep.claims import EXPIRED

TIMES = Path(__file__).with_name("results") / "block_times.jsonl"
CASES_FILE = TIMES.with_name("cluster.jsonl")
HOUR = 3600.0


@dataclass(frozen=True)
class Cluster:
    """Many workers, of whom some are slow, and each of which dies now and then; times in seconds."""

    workers: int = 1000
    between_failures: float = math.inf
    restart: float = 120.0
    slow: float = 0.0
    """The share of workers that are slow, and how many times slower they are."""
    slowness: float = 3.0


@dataclass(frozen=True)
class Outcome:
    """What a simulation came to, in seconds: `ideal` is all work over all workers' speed."""

    makespan: float
    ideal: float
    lost: float
    """Work of blocks that were not finished, over all work."""
    tail: float
    """From the moment when a worker first found no block to the end."""
    failures: int


def simulate(cluster: Cluster, blocks: int, times: Sequence[float], seed: int = 0) -> Outcome:
    """Run all blocks, whose times are drawn from `times`, on the workers, event by event.

    >>> simulate(Cluster(workers=2), 4, [10.0]).makespan
    20.0
    """
    random = np.random.default_rng(seed)
    slow = int(cluster.slow * cluster.workers)
    pace = np.where(np.arange(cluster.workers) < slow, cluster.slowness, 1.0)
    work = random.choice(np.asarray(times, float), blocks)
    waiting = list(range(blocks - 1, -1, -1))
    expiring: list[tuple[float, int]] = []
    free = [(0.0, worker) for worker in range(cluster.workers)]
    dies = random.exponential(cluster.between_failures, cluster.workers) if _mortal(cluster) else None
    lost, first_idle, makespan, failures = 0.0, math.inf, 0.0, 0
    while waiting or expiring:
        now, worker = heapq.heappop(free)
        while expiring and expiring[0][0] <= now:
            waiting.append(heapq.heappop(expiring)[1])
        if not waiting:
            first_idle = min(first_idle, now)
            heapq.heappush(free, (expiring[0][0], worker))
            continue
        block = waiting.pop()
        end = now + work[block] * pace[worker]
        if dies is not None and dies[worker] < end:
            died = max(now, float(dies[worker]))
            lost += (died - now) / pace[worker]
            failures += 1
            heapq.heappush(expiring, (died + EXPIRED, block))
            heapq.heappush(free, (died + cluster.restart, worker))
            dies[worker] = died + cluster.restart + random.exponential(cluster.between_failures)
            continue
        makespan = max(makespan, end)
        heapq.heappush(free, (end, worker))
    first_idle = min([first_idle, *(when for when, _ in free)])
    ideal = float(work.sum() / (1 / pace).sum())
    return Outcome(makespan, ideal, lost / float(work.sum()), max(0.0, makespan - first_idle), failures)


def _mortal(cluster: Cluster) -> bool:
    return math.isfinite(cluster.between_failures)


def expected_loss(between_failures: float, seconds: float) -> float:
    """Return the share of work that is done twice, where failures come at random: (M / t)(e^(t / M) - 1) - 1.

    >>> round(expected_loss(3600, 20), 4)
    0.0028
    """
    share = seconds / between_failures
    return math.expm1(share) / share - 1


CASES = {
    "nothing fails": Cluster(),
    "a failure a worker and day": Cluster(between_failures=24 * HOUR),
    "a failure a worker and hour (preempted machines)": Cluster(between_failures=HOUR),
    "a tenth of the workers three times slower": Cluster(slow=0.1),
    "both: hourly failures, a tenth slow": Cluster(between_failures=HOUR, slow=0.1),
}


def figures(pictures: int, workers: int, per_second: float, seconds: float) -> Iterator[tuple[str, ...]]:
    """Simulate every case for blocks of some seconds of one worker that does so many pictures a second."""
    shape = json.loads(TIMES.read_text("utf-8"))["over_mean"]
    blocks = math.ceil(pictures / (per_second * seconds))
    for name, case in CASES.items():
        cluster = replace(case, workers=workers)
        found = simulate(cluster, blocks, [seconds * one for one in shape])
        expected = expected_loss(cluster.between_failures, seconds) if _mortal(cluster) else 0.0
        yield (
            f"{seconds:g} s",
            name,
            f"{found.makespan / HOUR:.2f} h",
            f"{found.makespan / found.ideal:.3f}",
            f"{found.lost:.2%} ({expected:.2%})",
            f"{found.tail:.0f} s",
            f"{found.failures:,}",
        )


def measured(blocks: int = 40, size: int = 250, photographs: int = 40) -> None:
    """Time equal blocks of the work of `evaluate` on a small network, and a look of the embedded model; write both."""
    torch.set_num_threads(1)
    measure.CLOCK.read = time.process_time
    classifier, (images, _) = load_net("classic").fast(), test_images(blocks * size)
    took = [measure.seconds(partial(classifier.logits, part)) for part in images.split(size)]
    mean = sum(took) / len(took)
    found = {
        "machine": measure.machine(),
        "seconds": {"block": mean, **one_look(photographs)},
        "over_mean": [round(one / mean, 4) for one in took],
    }
    TIMES.write_text(json.dumps(found) + "\n", encoding="utf-8")


def one_look(photographs: int) -> dict[str, float]:
    """Time, per photograph, its decoding, a forward and a forward with its gradient of the embedded model."""
    folder = measure.data_folder()
    assert folder is not None
    classifier = backlight.load()
    data = fitted(classifier, backlight.load_data(str(folder / "imagenet_sample"), split="all", limit=photographs))
    decoding = measure.seconds(lambda: [*data.batches(8)])
    batches, search = [batch.images for batch in data.batches(8)], classifier.fast()

    def look(*, gradient: bool) -> None:
        for images in batches:
            pixels = images.clone().requires_grad_(gradient)
            with torch.set_grad_enabled(gradient):
                logits = search.logits(pixels)
            if gradient:
                torch.autograd.grad(logits.sum(), pixels)

    works = {"forward": partial(look, gradient=False), "gradient": partial(look, gradient=True)}
    spent = measure.in_turn(works, 3)
    return {name: took / photographs for name, took in {"decoding": decoding, **spent}.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a thousandth of the pictures on ten workers")
    parser.add_argument("--measure", action="store_true", help="measure block times first")
    parser.add_argument("--per-second", type=float, default=25.0, help="pictures a second of one worker, one core")
    given = parser.parse_args()
    keep_memory()
    if given.measure:
        measured()
    pictures, workers = (10**6, 10) if given.quick else (10**9, 1000)
    header = ("block", "cluster", "time", "over ideal", "done twice (expected)", "tail", "failures")
    rows = [header]
    for seconds in (20.0, 300.0):
        rows += figures(pictures, workers, given.per_second, seconds)
    if not given.quick:
        lines = [json.dumps(dict(zip(header, row, strict=True))) for row in rows[1:]]
        CASES_FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
