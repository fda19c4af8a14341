"""Train the networks of benchmarks/nets: plain and robust (FGSM-RS), each with and without BatchNorm.

    python benchmarks/train_nets.py [NAME ...]

FGSM-RS is the fast adversarial training of Wong, Rice and Kolter (2020): a uniform start in the linf ball of
8/255, one sign step of 10/255, projected. Every epoch is saved, so the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from cifar_nets import FOLDER, NAMES, SmallCNN, read_cifar, wrap
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

SEED, BATCH, EPSILON, STEP = 0, 128, 8 / 255, 10 / 255
EPOCHS = {"plain": 6, "plain_bn": 5, "robust": 8, "robust_bn": 3}
PEAK = {"plain": 2e-3, "plain_bn": 5e-3, "robust": 2e-3, "robust_bn": 1e-3}
# From scratch the robust net with BatchNorm stayed at chance for two epochs at each of two rates.
START = {"robust_bn": "plain_bn"}


def augment(images: Tensor, draw: torch.Generator) -> Tensor:
    """Shift by up to 4 px and flip, all images at once; uint8 in, float [0,1] out."""
    count = len(images)
    top, left = torch.randint(9, (2, count, 1), generator=draw)
    span = torch.arange(32)
    rows, columns = (top + span)[:, None, :, None], (left + span)[:, None, None, :]
    flip = torch.rand(count, generator=draw) < 0.5
    columns = torch.where(flip[:, None, None, None], columns.flip(3), columns)
    picture, channel = torch.arange(count)[:, None, None, None], torch.arange(3)[None, :, None, None]
    return pad(images, (4, 4, 4, 4))[picture, channel, rows, columns].float() / 255


def fgsm_rs(loss: Callable[[Tensor], Tensor], images: Tensor, draw: torch.Generator) -> Tensor:
    """Perturb by one sign step from a random start inside the ball."""
    delta = (2 * torch.rand(images.shape, generator=draw) - 1) * EPSILON
    start = (images + delta).clamp(0, 1).requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(start), start)
    delta = (start.detach() + STEP * gradient.sign() - images).clamp(-EPSILON, EPSILON)
    return (images + delta).clamp(0, 1)


def accuracy(classifier: object, images: Tensor, labels: Tensor, steps: int) -> float:
    """Measure accuracy on float images, after PGD with `steps` steps of eps / 4 where steps > 0."""
    attacked = images
    for _ in range(steps):
        attacked = attacked.detach().requires_grad_(True)
        loss = cross_entropy(classifier.record(attacked, ("logits",))["logits"], labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, attacked)
        moved = attacked.detach() + EPSILON / 4 * gradient.sign()
        attacked = (images + (moved - images).clamp(-EPSILON, EPSILON)).clamp(0, 1)
    return float((classifier.logits(attacked.detach()).argmax(1) == labels).float().mean())


class Training:
    """One network, its optimizer, its schedule and its random numbers, saved after every epoch."""

    def __init__(self, name: str, images: Tensor, labels: Tensor, folder: Path) -> None:
        self.name, self.images, self.labels = name, images, labels
        self.robust, self.state_file = name.startswith("robust"), folder / f"{name}.state.pt"
        torch.manual_seed(SEED)
        self.module = SmallCNN(batch_norm=name.endswith("_bn")).to(memory_format=torch.channels_last)
        if name in START:
            self.module.load_state_dict(load_file(FOLDER / f"{START[name]}.safetensors"))
        if name == "robust_bn":
            # From random weights it fell to chance within 50 steps: fine-tuned from the plain one it does not.
            self.module.load_state_dict(load_file(FOLDER / "plain_bn.safetensors"))
        self.optimizer = torch.optim.AdamW(self.module.parameters(), lr=1e-3, weight_decay=1e-4)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, PEAK[name], total_steps=EPOCHS[name] * (len(labels) // BATCH)
        )
        self.epoch, self.log = 0, []
        if self.state_file.exists():
            self._load(torch.load(self.state_file, weights_only=True))

    def _load(self, state: dict) -> None:
        self.epoch, self.log = state["epoch"], state["log"]
        for part in ("module", "optimizer", "schedule"):
            getattr(self, part).load_state_dict(state[part])

    def _save(self) -> None:
        parts = {part: getattr(self, part).state_dict() for part in ("module", "optimizer", "schedule")}
        temporary = self.state_file.with_suffix(".tmp")
        torch.save({"epoch": self.epoch, "log": self.log, **parts}, temporary)
        temporary.replace(self.state_file)

    def run(self, test: tuple[Tensor, Tensor]) -> None:
        """Train the epochs that are left."""
        classifier = wrap(self.module, self.name)
        while self.epoch < EPOCHS[self.name]:
            start, draw = time.perf_counter(), torch.Generator().manual_seed(1000 * SEED + self.epoch)
            loss = self._epoch(classifier, draw)
            self.module.eval()
            self.epoch += 1
            record = {"epoch": self.epoch, "loss": round(loss, 4), "clean": accuracy(classifier, *test, 0)}
            record["pgd10"] = accuracy(classifier, test[0][:500], test[1][:500], 10)
            record["seconds"] = round(time.perf_counter() - start, 1)
            self.log.append(record)
            self._save()
            print(json.dumps({"name": self.name, **record}), flush=True)

    def _epoch(self, classifier: object, draw: torch.Generator) -> float:
        order, total = torch.randperm(len(self.labels), generator=draw), 0.0
        self.module.train()
        batches = order.split(BATCH)[: len(order) // BATCH]
        for rows in batches:
            images, labels = augment(self.images[rows], draw), self.labels[rows]

            def loss(pixels: Tensor, labels: Tensor = labels) -> Tensor:
                normal = classifier.normalize(pixels).contiguous(memory_format=torch.channels_last)
                return cross_entropy(self.module(normal), labels)

            if self.robust:
                # In train mode the attack moves the batch's own statistics, and a net with BatchNorm never learns.
                self.module.eval()
                images = fgsm_rs(loss, images, draw)
                self.module.train()
            value = loss(images)
            self.optimizer.zero_grad()
            value.backward()
            self.optimizer.step()
            self.schedule.step()
            total += float(value.detach())
        return total / len(batches)

    def write(self) -> None:
        """Write weights and log beside this script."""
        weights = {name: value.contiguous() for name, value in self.module.state_dict().items()}
        save_file(weights, FOLDER / f"{self.name}.safetensors")
        facts = {
            "name": self.name,
            "seed": SEED,
            "batch": BATCH,
            "peak_lr": PEAK[self.name],
            "start": START.get(self.name),
            "log": self.log,
        }
        (FOLDER / f"{self.name}.json").write_text(json.dumps(facts, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME")
    parser.add_argument("--state", type=Path, default=Path("runs/nets"), help="folder of unfinished states")
    options = parser.parse_args()
    options.state.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    images, labels = read_cifar("train")
    test_images, test_labels = read_cifar("test", 0, 2000)
    for name in options.names:
        training = Training(name, images, labels, options.state)
        training.run((test_images.float() / 255, test_labels))
        training.write()


if __name__ == "__main__":
    main()
