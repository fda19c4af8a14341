"""What modules return, and that the logits in it are found or refused with a way out."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import attack
from backlight.classifier import Classifier
from backlight.classifier.returned import find_output
from backlight.core.chunks import in_chunks
from backlight.core.errors import ModelError
from backlight.explain import explain
from backlight.images import Resize

IMAGES = torch.linspace(0, 1, 3 * 3 * 4 * 4).view(3, 3, 4, 4)


@dataclass
class Answer:
    logits: Tensor
    hidden_states: tuple[Tensor, ...] = ()


@dataclass
class Scores:
    scores: Tensor


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
        lambda z: Scores(z),
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
        (lambda z: Scores(z[:1]), r"Scores \(scores: \[1, 5\]\).*images\).scores"),
        (lambda z: z.to(torch.complex64), r"complex64.*\.real"),
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


def test_sparse_outputs_are_read_as_dense() -> None:
    values = torch.tensor([[0.5, 0.0], [0.0, 2.0]])
    assert torch.equal(find_output(values.to_sparse(), 2).values, values)


class BackwardsOnly(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(_ctx: Any, slope: Tensor) -> Tensor:  # type: ignore[override]
        raise ArithmeticError("no way\nback")


def raising(error: Exception) -> Callable[[Tensor], Tensor]:
    def fail(_z: Tensor) -> Tensor:
        raise error

    return fail


@pytest.mark.parametrize("error", [ValueError("tired\nof it"), KeyError("x"), StopIteration(), RecursionError("deep")])
@pytest.mark.parametrize("size", [4, None])
def test_what_a_model_raises_is_named_as_its_own(error: Exception, size: int | None) -> None:
    named = f"the model itself failed, given \\[.*, 3, 4, 4\\]: {type(error).__name__}"
    with pytest.raises(ModelError, match=named) as caught:
        Classifier.from_module(Returning(raising(error)), size=size).logits(IMAGES)
    assert caught.value.__cause__ is error
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=named):
        Classifier.from_module(Returning(raising(error)), size=None).replace(resize=Resize(4, (4, 4))).layers()


def test_what_a_model_raises_in_its_backward_pass_is_named_too() -> None:
    classifier = Classifier.from_module(Returning(BackwardsOnly.apply), size=4)
    classifier.logits(IMAGES)
    with pytest.raises(ModelError, match="failed, asked for its gradient: ArithmeticError: no way$"):
        attack(classifier, IMAGES, eps=0.1)
    with pytest.raises(ModelError, match="failed, asked for its gradient: ArithmeticError: no way$"):
        explain(classifier, IMAGES, methods=["saliency"])


def test_a_model_that_catches_exceptions_itself_does_not_catch_the_end_of_a_pass() -> None:
    class Falls(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.back = nn.Flatten(), nn.Linear(48, 3), 0

        def forward(self, images: Tensor) -> Tensor:
            try:
                return self.second(self.first(images))
            except Exception:
                self.back += 1
                raise

    net = Falls()
    Classifier.from_module(net, size=4).features(IMAGES, ["first"])
    assert net.back == 0


def test_memory_that_runs_out_inside_of_a_model_halves_the_batch() -> None:
    """The error that names the model's exception is still known as what it is."""
    seen: list[int] = []

    def few(z: Tensor) -> Tensor:
        seen.append(len(z))
        if len(z) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return z

    classifier = Classifier.from_module(Returning(few))
    parts = in_chunks(lambda part: classifier.logits(IMAGES[part]), 3, 3)
    assert torch.allclose(torch.cat(list(parts)), classifier.module.net(IMAGES), atol=1e-6)
    assert seen[-3:] == [1, 1, 1]
    with pytest.raises(ModelError, match="OutOfMemoryError.*try: fewer pictures"):
        classifier.logits(IMAGES)
