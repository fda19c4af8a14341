"""What modules return, and that the logits in it are found or refused with a way out."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.returned import find_output
from backlight.core.errors import ModelError

IMAGES = torch.linspace(0, 1, 3 * 3 * 4 * 4).view(3, 3, 4, 4)


@dataclass
class Answer:
    logits: Tensor
    hidden_states: tuple[Tensor, ...] = ()


class Mapped(OrderedDict):
    """What transformers returns: a mapping whose keys are attributes too."""

    @property
    def logits(self) -> Tensor:
        return self["logits"]


Both = namedtuple("Both", "logits aux_logits")


class Returning(nn.Module):
    def __init__(self, kind: Callable[[Tensor], Any], classes: int = 5) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net, self.kind = nn.Sequential(nn.Flatten(), nn.Linear(48, classes)), kind

    def forward(self, images: Tensor) -> Any:
        return self.kind(self.net(images))


@pytest.mark.parametrize(
    "kind",
    [
        lambda z: Answer(z),
        lambda z: Mapped(loss=None, logits=z),
        lambda z: {"features": z[:, :2], "logits": z},
        lambda z: {"scores": z, "maps": z[:, :, None, None]},
        lambda z: Both(z, z * 2),
        lambda z: (z, z[:, :3]),
        lambda z: [z[:, :, None, None], z],
        lambda z: (None, z.argmax(1), z),
    ],
)
@pytest.mark.parametrize("size", [4, None])
def test_logits_are_found_and_what_is_dropped_is_said(kind: Callable[[Tensor], Any], size: int | None) -> None:
    net = Returning(kind)
    classifier = Classifier.from_module(net, size=size)
    assert torch.equal(classifier.logits(IMAGES), net.net(IMAGES))
    assert any("dropped" in note for note in classifier.notes)
    classifier.logits(IMAGES)
    assert len(classifier.notes) == 1


def test_labels_decide_between_several_tensors() -> None:
    net = Returning(lambda z: (torch.cat([z, z], 1), z))
    named = Classifier.from_module(net, size=4, labels=list("abcde"))
    assert torch.equal(named.logits(IMAGES), net.net(IMAGES))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (lambda z: z.mean(0, keepdim=True), r"\[1, 5\] for 2 pictures.*one row per picture"),
        (lambda z: z[: len(z) // 2], r"\[1, 5\] for 2 pictures"),
        (lambda z: torch.cat([z, z]), r"\[4, 5\] for 2 pictures"),
        (lambda z: z.sum(), r"\[\] for 2 pictures"),
        (lambda z: (z[:1],), r"tuple \(0: \[1, 5\]\).*wrap it"),
        (lambda z: z.argmax(1), "int64.*leave out its argmax"),
        (lambda z: z > 0, "bool"),
        (lambda z: z[:, :, None, None], r"nn.Flatten\(\)"),
        (lambda z: z[:, :, None, None].expand(-1, -1, 2, 2), r"mean\(\(2, 3\)\)"),
        (lambda z: {"out": z[:, :, None, None]}, r"dict \('out': \[2, 5, 1, 1\]\).*wrap it"),
        (lambda z: None, "NoneType.*wrap it"),
        (lambda z: z.detach().numpy(), "ndarray.*wrap it"),
        (lambda z: [], "list .nothing."),
    ],
)
def test_anything_else_is_refused_with_a_way_out(kind: Callable[[Tensor], Any], message: str) -> None:
    classifier = Classifier.from_module(Returning(kind))
    with pytest.raises(ModelError, match=message):
        classifier.logits(IMAGES[:2])


def test_rows_and_classes_are_counted_on_every_pass() -> None:
    class Changing(Returning):
        rows, columns = 9, 9

        def forward(self, images: Tensor) -> Tensor:
            return self.net(images)[: self.rows, : self.columns]

    net = Changing(lambda z: z)
    classifier = Classifier.from_module(net, size=4)
    classifier.logits(IMAGES)
    net.columns = 4
    with pytest.raises(ModelError, match="4 classes, and 5 on an earlier pass"):
        classifier.logits(IMAGES)
    net.columns, net.rows = 9, 2
    with pytest.raises(ModelError, match=r"\[2, 5\] for 3 pictures"):
        classifier.logits(IMAGES)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantized_outputs_are_read_as_floats() -> None:
    values = torch.tensor([[0.5, 1.0], [1.5, 2.0]])
    quantized = torch.quantize_per_tensor(values, 0.5, 0, torch.quint8)
    assert torch.equal(find_output(quantized, 2).values, values)
