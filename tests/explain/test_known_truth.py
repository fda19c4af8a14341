"""A net that looks at the shortcut only: good methods say so, and the sentence for the report does too."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.data.shapes import Shapes
from backlight.explain.scores import describe_location, score

METHODS = (
    "saliency",
    "integrated_gradients",
    "smoothgrad:samples=10",
    "gradcam",
    "layercam",
    "occlusion:window=8,stride=4",
)


@pytest.fixture(scope="module")
def cheat() -> tuple[Classifier, Shapes]:
    """Train a tiny net where the patch's hue is the class."""
    shapes = Shapes(n=600, size=32, classes=3, shortcut=1.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 3),
        )
    drawn = shapes.draw(torch.arange(400))
    pixels, optimizer = drawn.images.float() / 255, torch.optim.Adam(net.parameters(), lr=3e-3)
    for step in range(120):
        rows = torch.arange(step * 40, step * 40 + 40) % 400
        loss = nn.functional.cross_entropy(net(pixels[rows] - 0.5), drawn.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Classifier.from_module(net, mean=(0.5,) * 3, std=(1.0,) * 3, size=32, labels=shapes.label_names), shapes


def test_good_methods_find_the_shortcut_and_the_report_can_say_so(cheat) -> None:
    classifier, shapes = cheat
    drawn = shapes.draw(torch.arange(400, 440))
    pixels = drawn.images.float() / 255
    assert float((classifier.logits(pixels).argmax(1) == drawn.labels).double().mean()) > 0.9
    on_patch = score(classifier, pixels, methods=METHODS, metrics=["mass", "pointing_game"], masks=drawn.patch)
    summary = on_patch.summary()
    for method in METHODS:
        entry = summary[method]["mass"]
        assert entry["mean"] > 3 * entry["random"]["mean"], method
        assert summary[method]["pointing_game"]["random"]["difference"] > 0.3, method
    on_object = score(classifier, pixels, methods=["gradcam"], metrics=["mass"], masks=drawn.object)
    (sentence,) = describe_location(on_object.summary())
    assert sentence.startswith("gradcam: explanations concentrate outside the object")
    (sentence, *_) = describe_location(summary)
    assert "concentrate on the object" in sentence  # the patch, given as the object


def test_no_difference_is_called_none() -> None:
    mass = {"mean": 0.21, "random": {"mean": 0.2, "difference": 0.01, "standard_error": 0.01}}
    assert describe_location({"m": {"mass": mass}})[0].startswith(
        "m: explanations lie on the object no more than by chance"
    )
    assert describe_location({"m": {"deletion": mass}}) == []
