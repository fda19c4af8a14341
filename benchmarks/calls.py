"""Hundreds of calls in one process, as notebooks and servers make them: nothing may grow, and nothing may stay.

    python benchmarks/calls.py            700 calls, every seventh on EfficientNet-lite0, the others on a small network
    python benchmarks/calls.py --quick    70

After a warm-up of a seventh, resident memory may grow by 5 MB; hooks, tensors, open files, threads and the network's
weights have to be what they were. The exit status is 1 where they are not.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from backlight import Classifier, attack, evaluate, explain, load, predict
from backlight.core.random import Random
from backlight.data import Dataset
from backlight.images import write_png

MOST_GROWTH = 5 * 2**20
PICTURES, SIZE, CLASSES = 8, 32, 10
METHODS = ("saliency", "gradcam", "integrated_gradients", "guided_backprop", "occlusion", "smoothgrad", "fullgrad")
ATTACKS = ("fgsm", "pgd", "apgd-ce", "square", "ddn", "deepfool")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True)
class State:
    """What a process holds: resident bytes, live tensors, open files, threads, and hooks of the models."""

    resident: int
    tensors: int
    files: int
    threads: int
    hooks: int

    @classmethod
    def now(cls, *classifiers: Classifier) -> State:
        """Look, after garbage is collected and what the allocator keeps is given back."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        tensors = sum(issubclass(type(one), Tensor) for one in gc.get_objects())
        modules = [module for one in classifiers for module in one.module.modules()]
        hooks = sum(len(getattr(module, kind)) for module in modules for kind in _HOOKS)
        files = len(os.listdir("/proc/self/fd"))
        return cls(resident, tensors, files, threading.active_count(), hooks)

    def __str__(self) -> str:
        held = f"{self.resident / 2**20:8.1f} MB, {self.tensors} tensors, {self.files} files, {self.threads} threads"
        return f"{held}, {self.hooks} hooks"


def small() -> Classifier:
    """Make a network with the layers that methods look for."""
    torch.manual_seed(0)
    convolutions = (
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3),
    )
    net = nn.Sequential(*convolutions, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES))
    return Classifier.from_module(net.eval(), size=SIZE, labels=[str(number) for number in range(CLASSES)])


def calls(net: Classifier, large: Classifier, folder: Path) -> Iterator[Callable[[], object]]:
    """Yield calls in turn without an end, seven kinds of them, each time with the next method and attack."""
    images = Random("calls", torch.arange(PICTURES)).uniform(3, SIZE, SIZE)
    paths = [folder / f"{number}.png" for number in range(PICTURES)]
    for path, image in zip(paths, images):
        write_png(path, image)
    photograph = Random("photograph", torch.arange(1)).uniform(3, 224, 224)
    labels = torch.arange(PICTURES) % CLASSES
    data = Dataset.of((images * 255).to(torch.uint8), labels, net.labels)
    turn = 0
    while True:
        method, name = METHODS[turn % len(METHODS)], ATTACKS[turn % len(ATTACKS)]
        yield lambda: predict(net, paths)
        yield lambda method=method: explain(net, images, methods=[method])
        yield lambda name=name: attack(net, images, labels, method=name)
        yield lambda: evaluate(net, data)
        yield lambda: explain(net, images, methods=["gradcam", "layercam", "saliency"])
        yield lambda: predict(net, paths, batch_size=3)
        yield lambda: (predict(large, paths[:1]), explain(large, photograph, methods=["gradcam"]))
        turn += 1


def main() -> int:
    """Make the calls, and print what the process holds seven times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="70 calls")
    total = 70 if parser.parse_args().quick else 700
    net, large = small(), load()
    weights = [one.detach().clone() for one in net.module.state_dict().values()]
    states = []
    with tempfile.TemporaryDirectory() as folder:
        for number, call in zip(range(1, total + 1), calls(net, large, Path(folder))):
            call()
            if number % (total // 7) == 0:
                states.append(State.now(net, large))
                print(f"{number:4} calls: {states[-1]}", flush=True)
    first, last = states[0], states[-1]
    grown = last.resident - first.resident
    changed = any(not torch.equal(*pair) for pair in zip(weights, net.module.state_dict().values()))
    behind = (last.tensors, last.files, last.threads, last.hooks) != (first.tensors, first.files, first.threads, 0)
    flat = grown <= MOST_GROWTH and not behind and not changed
    print(f"{'flat' if flat else 'NOT FLAT'}: {grown / 2**20:+.1f} MB after warm-up")
    return int(not flat)


if __name__ == "__main__":
    sys.exit(main())
