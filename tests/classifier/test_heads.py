"""What a last layer means: logits, probabilities, one logit for two classes, a sigmoid per label."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.heads import Head, predicted_classes, well_defined
from backlight.core.errors import InputError, ModelError

IMAGES = torch.linspace(0, 1, 3 * 3 * 4 * 4).view(3, 3, 4, 4)
NAN, INF = math.nan, math.inf


def network(classes: int, *tail: nn.Module, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, classes), *tail)


class Then(nn.Module):
    """A network and what is done with its output, by any spelling."""

    def __init__(self, net: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.function = net, function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(self.net(images))


@pytest.mark.parametrize("size", [4, None])
@pytest.mark.parametrize("tail", [(), (nn.Sigmoid(),), (nn.Flatten(0),), (nn.Sigmoid(), nn.Flatten(0))])
def test_a_binary_head_is_two_classes_with_the_probability_of_its_sigmoid(
    size: int | None, tail: tuple[nn.Module, ...]
) -> None:
    net = network(1)
    found = Classifier.from_module(nn.Sequential(net, *tail), size=size, labels=["no", "yes"], outputs="binary")
    p = net(IMAGES).sigmoid()
    assert torch.allclose(found.probabilities(IMAGES), torch.cat([1 - p, p], 1), atol=1e-6)
    assert torch.equal(found.logits(IMAGES)[:, 0], torch.zeros(3))
    assert found.classes == 2
    assert found.class_index("yes") == 1


def test_a_binary_head_has_the_gradient_of_its_logit_in_float64() -> None:
    net = network(1).double()
    images = IMAGES.double().requires_grad_(True)
    for tail in ((), (nn.Sigmoid(),)):
        found = Classifier.from_module(nn.Sequential(net, *tail), outputs="binary").logits(images)[:, 1].sum()
        expected = torch.autograd.grad(net(images).sum(), images)[0]
        assert torch.allclose(torch.autograd.grad(found, images)[0], expected, atol=1e-9)


@pytest.mark.parametrize("size", [4, None])
def test_one_output_is_refused_and_binary_is_offered(size: int | None) -> None:
    for net in (network(1), network(1, nn.Sigmoid()), network(1, nn.Flatten(0))):
        with pytest.raises(ModelError, match=r"outputs='binary'.*--outputs binary.*\[0, z\]"):
            Classifier.from_module(net, size=size).logits(IMAGES)
    with pytest.raises(ModelError, match="3 values per picture"):
        Classifier.from_module(network(3), size=size, outputs="binary").logits(IMAGES)
    with pytest.raises(ModelError, match="1 labels for a binary model; expected 2"):
        Classifier.from_module(network(1), size=size, outputs="binary", labels=["defect"])


SIGMOIDS = {
    "module": torch.nn.Sigmoid(),
    "function": torch.sigmoid,
    "in place": lambda z: z.clone().sigmoid_(),
    "behind views and copies": lambda z: z.sigmoid().view(-1).clone().view(z.shape).float(),
    "hard": torch.nn.functional.hardsigmoid,
    "bounded": lambda z: z.sigmoid().clamp(1e-6, 1 - 1e-6),
    "per label": lambda z: torch.cat([one.sigmoid() for one in z.split(1, 1)], 1),
}


@pytest.mark.parametrize("name", SIGMOIDS)
@pytest.mark.parametrize("size", [4, None])
@pytest.mark.parametrize("inference", [False, True])
def test_a_sigmoid_tail_is_never_taken_for_logits(name: str, size: int | None, inference: bool) -> None:
    net = Then(network(5), SIGMOIDS[name])
    with torch.inference_mode(inference), pytest.raises(ModelError, match="ends in a sigmoid.*'multilabel'"):
        Classifier.from_module(net, size=size).logits(IMAGES)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_sigmoid_tail_is_seen_inside_torchscript_and_functions() -> None:
    net = network(5, nn.Sigmoid()).eval()
    for one in (torch.jit.script(net), torch.jit.trace(net, IMAGES), lambda images: net(images)):
        with pytest.raises(ModelError, match="sigmoid"):
            Classifier.from_module(one).logits(IMAGES)


def test_small_positive_logits_and_sigmoids_inside_are_no_sigmoid_tail() -> None:
    means = Classifier.from_module(lambda images: images.mean((2, 3)))
    assert torch.equal(means.logits(IMAGES), IMAGES.mean((2, 3)))
    gated = Then(network(4), lambda z: z * z.sigmoid() * 0.1 + 0.4)
    assert torch.equal(Classifier.from_module(gated).logits(IMAGES), gated(IMAGES))


@pytest.mark.parametrize("size", [4, None])
@pytest.mark.parametrize("tail", [(), (nn.Sigmoid(),)])
def test_each_label_of_a_multilabel_head_keeps_its_own_probability(
    size: int | None, tail: tuple[nn.Module, ...]
) -> None:
    net = network(5)
    many = Classifier.from_module(nn.Sequential(net, *tail), size=size, labels=list("abcde"), outputs="multilabel")
    assert torch.allclose(many.probabilities(IMAGES), net(IMAGES).sigmoid(), atol=1e-6)
    assert torch.allclose(many.logits(IMAGES), net(IMAGES), atol=1e-5)
    asked = many.question("c")
    assert asked.labels == ("not c", "c")
    p = net(IMAGES).sigmoid()[:, 2:3]
    assert torch.allclose(asked.probabilities(IMAGES), torch.cat([1 - p, p], 1), atol=1e-6)
    assert asked.module is many.module
    assert (many.multilabel, asked.multilabel, asked.classes) == (True, False, 2)
    with pytest.raises(InputError, match="no class 'f'"):
        many.question("f")
    with pytest.raises(ModelError, match="no multi-label model"):
        asked.question("c")


def softmax_by_hand(z: Tensor) -> Tensor:
    return z.exp() / z.exp().sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("tail", "name"),
    [
        (nn.Softmax(1), "probabilities"),
        (softmax_by_hand, "probabilities"),
        (lambda z: z.bfloat16().softmax(1), "probabilities"),
        (nn.LogSoftmax(1), "log-probabilities"),
        (lambda z: z - z.logsumexp(1, keepdim=True), "log-probabilities"),
        (lambda z: softmax_by_hand(z).log(), "log-probabilities"),
    ],
)
def test_a_softmax_tail_of_any_spelling_is_refused_without_a_size_too(tail: nn.Module, name: str) -> None:
    net = network(4)
    for images in (IMAGES, IMAGES[:1]):
        with pytest.raises(ModelError, match=f"outputs='{name}'"):
            Classifier.from_module(Then(net, tail)).logits(images)
    declared = Classifier.from_module(Then(net, tail), outputs=name)
    assert torch.allclose(declared.probabilities(IMAGES), net(IMAGES).softmax(1), atol=2e-2)


@pytest.mark.parametrize("name", ["probabilities", "log-probabilities"])
def test_declared_probabilities_are_checked_on_every_pass(name: str) -> None:
    class Leaves(nn.Module):
        right = True

        def forward(self, images: Tensor) -> Tensor:
            z = images.mean((2, 3)) * 4
            p = z.softmax(1) if self.right else z.sigmoid()
            return p if name == "probabilities" else p.log()

    net = Leaves()
    classifier = Classifier.from_module(net, size=4, outputs=name)
    classifier.logits(IMAGES)
    net.right = False
    with pytest.raises(ModelError, match=r"sums to .*outputs='multilabel'"):
        classifier.logits(IMAGES)


def test_rows_that_happen_to_sum_to_one_later_are_still_logits() -> None:
    classifier = Classifier.from_module(lambda images: images.flatten(1)[:, :2])
    classifier.logits(torch.stack([torch.full((3, 2, 2), 0.9), torch.full((3, 2, 2), 0.8)]))
    half = torch.full((1, 3, 2, 2), 0.5)
    assert classifier.logits(half).tolist() == [[0.5, 0.5]]


def test_saturated_sigmoids_have_finite_logits_and_nan_stays_nan() -> None:
    head = Head("binary", tail="sigmoid")
    logits = head.logits(torch.tensor([[0.0], [1.0], [NAN]]))[:, 1]
    assert logits[:2].isfinite().all()
    assert logits[:2].sigmoid().tolist() == pytest.approx([0.0, 1.0], abs=1e-7)
    assert logits[2].isnan()
    with pytest.raises(ModelError, match="0 to 1"):
        head.logits(torch.tensor([[1.5]]))


def test_only_a_finite_highest_logit_is_a_prediction() -> None:
    rows = torch.tensor(
        [[0.0, 2.0, 1.0], [-INF, 2.0, 1.0], [-INF] * 3, [NAN, 2.0, 1.0], [0.0, 2.0, NAN], [0.0, INF, 1]]
    )
    assert well_defined(rows).tolist() == [True, True, False, False, False, False]
    assert predicted_classes(rows).tolist() == [1, 1, -1, -1, -1, -1]


def test_unknown_outputs_are_refused() -> None:
    with pytest.raises(ModelError, match="multilabel"):
        Classifier.from_module(network(2), outputs="sigmoids")
