"""What is known only by its answers is fooled as often as the network that can be looked into."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import attack
from backlight.classifier import Classifier
from backlight.models import load
from backlight.tasks.exporting import export_classifier
from tests.attack.nets import pictures

CASES = {
    "square:steps=40": ("linf", 1 / 255),
    "simba:queries=60": ("l2", 0.2),
    "hopskipjump:queries=120": ("l2", 1.0),
    "rays:queries=60": ("linf", 3 / 255),
    "surfree:queries=60": ("l2", 0.5),
    "sparse-rs:queries=40": ("l0", 6),
}


def undecided(images: Tensor) -> Classifier:
    """A network with random weights that takes none of its classes for all of the pictures."""
    classifier = load("classic_cnn", random=True)
    head = [module for module in classifier.module.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        head.bias -= classifier.logits(images).mean(0)
    return classifier


@pytest.mark.slow
def test_an_onnx_file_is_fooled_as_often_as_its_network(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    images = pictures(8, size=32)
    classifier = undecided(images)
    export_classifier(classifier, tmp_path / "net.onnx")
    exported = load(f"onnx:{tmp_path / 'net.onnx'}")
    labels = classifier.logits(images).argmax(1)
    for method, (norm, eps) in CASES.items():
        own, other = (
            attack(model, images, labels, method=method, norm=norm, eps=eps) for model in (classifier, exported)
        )
        assert int(own.success.sum()) > 1, method
        assert abs(int(own.success.sum()) - int(other.success.sum())) <= 1, method
        assert int(other.backwards.sum()) == 0
