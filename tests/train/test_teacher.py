"""Distillation against its definition, written out by hand: losses, gradients, what is looked at, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from backlight.classifier import Classifier
from backlight.core.errors import ModelError, UsageError
from backlight.core.random import Random
from backlight.runs.folder import RunFolder
from backlight.testing import unchanged
from backlight.train import fit, read_adversary
from backlight.train.batches import TrainingBatch
from backlight.train.recipe import Recipe
from backlight.train.start import start_classifier
from backlight.train.teacher import Teacher, TeacherSpec
from backlight.train.trainer import Trainer
from tests.train.nets import BATCH, IMAGES, KEYS, LABELS, PLAIN, QUIET, doubled, pictures, same, state_of


def by_hand(logits: Tensor, taught: Tensor, temperature: float, weight: float) -> Tensor:
    """Write the loss by probabilities, picture by picture."""
    losses = []
    for row, answer, label in zip(logits, taught, LABELS):
        said, told = (torch.exp(one / temperature) / torch.exp(one / temperature).sum() for one in (row, answer))
        divergence = (told * (told / said).log()).sum()
        plain = -torch.log(torch.exp(row[label]) / torch.exp(row).sum())
        losses.append((1 - weight) * plain + weight * temperature**2 * divergence)
    return torch.stack(losses)


@pytest.mark.parametrize(("temperature", "weight"), [(1.0, 1.0), (4.0, 0.9), (0.5, 0.25)])
def test_the_loss_and_its_gradient_are_those_of_the_definition(temperature: float, weight: float) -> None:
    student, other = doubled(seed=0), doubled(seed=1)
    teacher = Teacher(other, student, temperature=temperature, weight=weight)
    logits = Random(1, KEYS).normal(3, dtype=torch.float64).requires_grad_()
    taught = teacher.logits(IMAGES)
    assert not taught.requires_grad
    loss = teacher.beside(taught, lambda logits, labels: F.cross_entropy(logits, labels, reduction="none"))
    found, expected = loss(logits, LABELS), by_hand(logits, taught, temperature, weight)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad(one.sum(), logits, retain_graph=True)[0] for one in (found, expected)]
    assert torch.allclose(*gradients, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(lambda values: loss(values, LABELS), (logits,))


@pytest.mark.parametrize("adversary", ["", "pgd:eps=8/255,steps=2", "trades:steps=2"])
def test_a_step_learns_from_what_the_teacher_says_of_the_unattacked(adversary: str) -> None:
    student, other = doubled(seed=0), doubled(seed=1)
    recipe = replace(PLAIN, adversary=adversary)
    teacher = Teacher(other, student, temperature=2.0, weight=0.7)
    with unchanged(other.module):
        Trainer(student, recipe, seed=0, teacher=teacher).step(BATCH, 0, rate=0.1)

    again = doubled(seed=0)
    images = IMAGES
    if adversary:
        random = Random((0, "adversary"), KEYS, 0)
        images = read_adversary(recipe.adversary).attack(again, IMAGES, LABELS, random)
    again.module.train()
    taught = other.module.eval()(IMAGES).detach()
    if adversary.startswith("trades"):
        clean, attacked = again.module(torch.cat([IMAGES, images])).chunk(2)
        divergence = (clean.softmax(1) * (clean.log_softmax(1) - attacked.log_softmax(1))).sum(1)
        loss = by_hand(clean, taught, 2.0, 0.7) + 6 * divergence
    else:
        loss = by_hand(again.module(images), taught, 2.0, 0.7)
    loss.mean().backward()
    for (name, left), right in zip(student.module.named_parameters(), again.module.parameters()):
        assert right.grad is not None
        assert torch.allclose(left, right - 0.1 * right.grad, rtol=0, atol=1e-10), name


def test_classes_are_matched_by_name() -> None:
    student, other = doubled(seed=0), doubled(seed=1)
    turned = other.replace(labels=tuple(reversed(student.labels)))
    assert torch.equal(Teacher(turned, student).logits(IMAGES), Teacher(other, student).logits(IMAGES).flip(1))
    with pytest.raises(UsageError, match="does not know"):
        Teacher(other.replace(labels=("a", "b", "c")), student)


def test_what_cannot_teach() -> None:
    student = doubled(seed=0)
    small = Classifier.from_module(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3)), size=4)
    with pytest.raises(ModelError, match="4 x 4 pixels in 3 channels, the student at 8 x 8"):
        Teacher(small, student)
    two = Classifier.from_module(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2)), size=8)
    with pytest.raises(UsageError, match="a teacher of 2 classes for a student of 3"):
        Teacher(two, student)
    for text in ("net:temperature=0", "net:weight=1.5", "net:weight=0", "net:weight=1,temperatur=2"):
        with pytest.raises(UsageError):
            Recipe(teacher=text)
    with pytest.raises(UsageError, match="a teacher with ibp"):
        Recipe(teacher="net", adversary="ibp:eps=2/255", label_smoothing=0.0)
    assert TeacherSpec.read("timm:resnet18") == TeacherSpec("timm:resnet18")
    assert TeacherSpec.read("net:weights=a.pt,mean=0.5") == TeacherSpec("net", weights="a.pt", mean="0.5")


def test_a_run_resumes_with_the_same_bits_and_refuses_another_teacher(tmp_path: Path) -> None:
    train, val = pictures(split="train"), pictures(split="val")
    student = start(0)
    fit(start(5), train, val, tmp_path / "teacher", recipe=Recipe(epochs=1, batch_size=16), runtime=QUIET)
    recipe = Recipe(epochs=2, batch_size=9, adversary="nfgsm", teacher=f"{tmp_path / 'teacher'}:temperature=2")
    fit(student, train, val, tmp_path / "whole", recipe=recipe, runtime=QUIET)
    real, cut = Trainer.step, 7

    def until(self: Trainer, batch: TrainingBatch, number: int, rate: float) -> object:
        if number == cut:
            raise KeyboardInterrupt
        return real(self, batch, number, rate)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", until)
        with pytest.raises(KeyboardInterrupt):
            fit(student, train, val, tmp_path / "parts", recipe=recipe, runtime=QUIET)
    fit(student, train, val, tmp_path / "parts", runtime=QUIET, resume=True)
    left, right = (state_of(tmp_path / name) for name in ("whole", "parts"))
    assert left["counters"]["step"] == 10
    assert same(left["trainer"], right["trainer"])
    assert len(RunFolder(tmp_path / "whole").info["teacher"]) == 16
    fit(start(6), train, val, tmp_path / "teacher", recipe=Recipe(epochs=1), runtime=QUIET, force=True)
    with pytest.raises(UsageError, match="the teacher .* has other weights than when the run was started"):
        fit(student, train, val, tmp_path / "parts", runtime=QUIET, resume=True)


def start(seed: int) -> Classifier:
    """Make a network that a run folder can name."""
    return start_classifier("classic_cnn", pictures(split="train"), seed=seed)
