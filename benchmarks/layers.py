"""Memory and time of the written-out convolution, against torch's and the textbook's unfold.

Forward and backward (gradients for images, weight and bias) of 64x128x56x56 images, 3x3 kernels, 128
outputs, in float32. Every measurement is a fresh process, the variants take turns, medians are shown. Peak
memory is the resident set's high-water mark above what is held before the pass: images, weight and the
output's gradient.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import measure
import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.layers import unfold_conv2d

SHAPES = {"full": (64, 128, 56), "quick": (16, 64, 56)}


def textbook_conv2d(images: Tensor, weight: Tensor, bias: Tensor, padding: int) -> Tensor:
    """Unfold the whole batch at once and leave the derivative to autograd, as courses do."""
    columns = F.unfold(images, weight.shape[2:], padding=padding)
    product = weight.flatten(1) @ columns + bias[:, None]
    return product.unflatten(2, images.shape[2:])


VARIANTS: dict[str, Callable[..., Tensor]] = {
    "torch": F.conv2d,
    "ours": unfold_conv2d,
    "textbook": textbook_conv2d,
}


def resident(field: str) -> float:
    """Read VmRSS or VmHWM of this process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6


def measure_once(variant: str, scale: str) -> dict[str, float]:
    """Run one variant in this process: peak memory on the first pass, seconds on the second."""
    batch, channels, side = SHAPES[scale]
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, channels, side, side, generator=generator).requires_grad_()
    weight = (torch.randn(channels, channels, 3, 3, generator=generator) / (9 * channels) ** 0.5).requires_grad_()
    bias = torch.zeros(channels, requires_grad=True)
    arriving = torch.randn(batch, channels, side, side, generator=generator)
    run = VARIANTS[variant]

    def work() -> tuple[Tensor, ...]:
        output = run(images, weight, bias, padding=1)
        return (output.detach(), *torch.autograd.grad(output, (images, weight, bias), arriving))

    small = run(images[:1, :, :8, :8], weight, bias, padding=1)  # loads the kernels before the baseline
    torch.autograd.grad(small.sum(), (images, weight, bias))
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back to what is held now
    before = resident("VmRSS")
    results = work()
    peak = resident("VmHWM") - before
    checks = {f"norm_{i}": float(result.double().norm()) for i, result in enumerate(results)}
    del results
    start = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - start, "megabytes": peak, **checks}


def in_fresh_processes(scale: str, rounds: int) -> dict[str, dict[str, float]]:
    """Give the medians of every variant, after checking that all of them computed the same."""
    found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant in VARIANTS:
            command = [sys.executable, __file__, "--measure", variant, scale]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[variant].append(json.loads(printed))
    medians = {
        variant: {key: statistics.median(one[key] for one in each) for key in each[0]}
        for variant, each in found.items()
    }
    for variant, each in medians.items():
        for key in (key for key in each if key.startswith("norm_")):
            if abs(each[key] / medians["torch"][key] - 1) > 1e-4:
                raise SystemExit(f"{variant} computed something else: {key} {each[key]}")
    return medians


def figures(quick: bool) -> Iterator[measure.Figure]:
    """Compare memory and time; goals are ratios peer / ours, so 1 / 3.5 allows 3.5 times the time."""
    scale, rounds = ("quick", 1) if quick else ("full", 3)
    batch, channels, side = SHAPES[scale]
    found = in_fresh_processes(scale, rounds)
    note = f"{batch}x{channels}x{side}x{side}, 3x3, forward + backward"
    goals: dict[str, tuple[float | None, float | None]] = {"torch": (1.0, 1 / 3.5), "textbook": (5.0, None)}
    for peer, goal_pair in goals.items():
        # The goals speak of the full size; at the small one fixed buffers weigh more.
        memory_goal, time_goal = (None, None) if quick else goal_pair
        ours, other = found["ours"], found[peer]
        for name, key, unit, goal in (
            ("memory", "megabytes", "MB", memory_goal),
            ("time", "seconds", "s", time_goal),
        ):
            yield measure.faster(
                f"unfold_conv2d {name} against {peer}",
                ours[key],
                other[key],
                peer,
                goal=goal,
                n=rounds,
                unit=unit,
                note=note,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure_once(*sys.argv[2:4])))
    else:
        measure.show(figures(measure.arguments(__doc__ or "").quick))
