"""Quick looks: noise lowers accuracy where it must, and masked gradients are told."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backlight.audit import Examined, Finding, Kept, Part, run_checks
from backlight.audit.passing import look_once
from backlight.audit.quick_looks import CARDS
from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.data.shapes import Shapes
from tests.audit.nets import shapes_data, train_on

SHAPES = Shapes(n=600, size=32, classes=3)


def look(classifier: Classifier, data: Dataset) -> dict[str, Finding]:
    return {one.name: one for one in run_checks(Examined(look_once(classifier, data), classifier), CARDS).findings}


def test_a_fragile_model_is_told_and_the_words_say_that_it_was_a_quick_look() -> None:
    drawn = SHAPES.draw(torch.arange(600))
    classifier = train_on(drawn.images[:400], drawn.labels[:400], SHAPES.label_names, steps=200)
    found = look(classifier, shapes_data(SHAPES.draw(torch.arange(400, 480)), SHAPES, 400))
    corruption, attack = found["corruption_accuracy"], found["smallest_change"]
    assert "Quick look at 4 of 19 kinds" in corruption.sentence
    assert corruption.interval is not None
    assert corruption.value is not None
    assert corruption.interval[0] < corruption.value < corruption.interval[1]
    assert attack.value is not None
    assert 0 < attack.value < 5
    assert attack.n == 32
    table = attack.tables["Accuracy over eps"]
    assert table["accuracy"] == sorted(table["accuracy"], reverse=True)
    assert "no sign of masked gradients" in attack.sentence


def test_a_model_that_rounds_its_input_is_told() -> None:
    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.head((images * 4).round().mean((2, 3)))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = Classifier.from_module(Rounded(), size=32, labels=list(SHAPES.label_names))
    attack = look(classifier, shapes_data(SHAPES.draw(torch.arange(40)), SHAPES))["smallest_change"]
    assert attack.judgement == "look"
    assert "signs of trouble" in attack.sentence


def test_queries_alone_are_not_attacked_and_it_is_said_why() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3072, 3))
    part = look_once(Classifier.from_module(net, size=32), shapes_data(SHAPES.draw(torch.arange(9)), SHAPES))
    bare = Kept.of(part.kept.logits, labels=part.kept.labels)
    found = run_checks(Examined(Part(bare)), CARDS)
    assert {one.name for one in found.not_checked} == {"corruption_accuracy", "smallest_change"}
    assert "gradients" in next(one.why for one in found.not_checked if one.name == "smallest_change")
