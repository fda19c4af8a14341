"""Training networks that go wrong: what it says before or in the first steps, and that the network is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.core.errors import BacklightError
from backlight.data import Dataset
from backlight.testing import unchanged
from backlight.train import fit
from backlight.train.recipe import Recipe
from backlight.train.runtime import Runtime
from tests.hostile.kinds import KINDS, LABELS
from tests.hostile.models import pictures, small_net
from tests.hostile.verbs import classifier_of

NO_GRADIENT = "the loss depends on no weight by gradients"
REFUSED = {
    "NaN for some pictures": "the loss is nan at step 0",
    "one class masked by -inf": "the loss is inf at step 0",
    "constant": NO_GRADIENT,
    "detached": NO_GRADIENT,
    "one-hot votes": NO_GRADIENT,
    "int8 weights": "which is no tensor; expected a network without quantized layers",
    "other classes in a later pass": "the model returns 2 classes in training; expected 3",
    "probabilities, declared": "expected logits, for training",
    "cannot be copied": "no copy of NoCopy can be made",
    "a function around a module": "of which no copy can be made",
    "raises in the third pass": "the model itself failed, given",
    "raises in the backward pass": "asked for the gradient of its loss: ValueError: no way back",
}
TRAINED = ("nothing wrong", "a dictionary", "training mode", "sparse", "a counter in a buffer", "double")


def train(kind: str, folder: Path) -> None:
    images = pictures()
    data = Dataset.of(images, small_net()(images / 255).argmax(1), LABELS)
    made = KINDS[kind].make()
    settled = Runtime("float32", "contiguous", tensorboard=False)
    recipe = Recipe(epochs=1, batch_size=8, lr=0.01)
    classifier = classifier_of(made, KINDS[kind].labels, KINDS[kind].outputs)
    if isinstance(made, nn.Module) and kind != "int8 weights":  # whose state cannot be compared
        with unchanged(made):
            fit(classifier, data, data, folder / "run", recipe=recipe, runtime=settled)
    else:
        fit(classifier, data, data, folder / "run", recipe=recipe, runtime=settled)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_trained_is_said(kind: str, tmp_path: Path) -> None:
    with pytest.raises(BacklightError) as caught:
        train(kind, tmp_path)
    assert REFUSED[kind] in str(caught.value)


@pytest.mark.parametrize("kind", TRAINED)
def test_what_only_looks_odd_is_trained(kind: str, tmp_path: Path) -> None:
    train(kind, tmp_path)
    assert (tmp_path / "run" / "best.safetensors").is_file()
    assert torch.get_default_dtype() == torch.float32
