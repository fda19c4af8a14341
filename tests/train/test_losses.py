"""Losses by name, out of a file, with the recipe's label smoothing, and what they must return."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from backlight.core.errors import InputError, UsageError
from backlight.train import fit
from backlight.train.losses import LOSSES, read_loss
from backlight.train.recipe import Recipe, read_recipe
from tests.train.nets import QUIET, network, pictures

LOGITS = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def test_cross_entropy_with_smoothing_is_that_of_torch() -> None:
    wanted = F.cross_entropy(LOGITS, LABELS, reduction="none", label_smoothing=0.2)
    assert torch.equal(read_loss("cross_entropy", 0.2)(LOGITS, LABELS), wanted)


def test_focal_loss_by_its_definition() -> None:
    right = LOGITS.softmax(1).gather(1, LABELS[:, None])[:, 0]
    for gamma in (0.0, 0.5, 3.0):
        wanted = -((1 - right) ** gamma) * right.log()
        torch.testing.assert_close(read_loss(f"focal:gamma={gamma}")(LOGITS, LABELS), wanted)


def test_the_gradient_of_the_focal_loss_is_finite_where_the_network_is_sure() -> None:
    logits = torch.tensor([[100.0, 0.0]], requires_grad=True)
    read_loss("focal")(logits, torch.tensor([0])).sum().backward()
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("loss", ["hinge", "focal:alpha=1", "focal:gamma=strong", "cross-entropy:label_smoothing=0.1"])
def test_what_is_not_understood(loss: str) -> None:
    with pytest.raises(UsageError):
        Recipe(loss=loss)


def test_a_loss_of_ones_own_trains_and_smoothing_that_it_cannot_take_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch.nn.functional as F\n"
        "def brier(logits, labels):\n"
        "    return (logits.softmax(1) - F.one_hot(labels, logits.shape[1])).square().sum(1)\n"
        "def whole(logits, labels):\n"
        "    return F.cross_entropy(logits, labels)\n"
    )
    train, val = pictures(split="train"), pictures(split="val")
    settings = ["label_smoothing=0", "epochs=1", "batch_size=16"]
    weights = []
    for loss in ("cross-entropy", f"{file}:brier"):
        recipe = read_recipe("default", [f"loss={loss}", *settings])
        found = fit(network(), train, val, tmp_path / recipe.loss[-5:], recipe=recipe, runtime=QUIET)
        weights.append(found.classifier.module[6].weight)
    assert not torch.equal(*weights)
    with pytest.raises(UsageError, match="label_smoothing=0"):
        fit(network(), train, val, tmp_path / "smoothed", recipe=Recipe(loss=f"{file}:brier"), runtime=QUIET)
    recipe = read_recipe("default", [f"loss={file}:whole", *settings])
    with pytest.raises(InputError, match="the loss whole returned shape"):
        fit(network(), train, val, tmp_path / "whole", recipe=recipe, runtime=QUIET)


def test_every_loss_has_a_card_that_says_when_not_to_use_it() -> None:
    assert all(card.avoid != "not stated" and card.reference for card in LOSSES.built_in.values())
