"""Learning one change from many pictures: closed forms, keyed randomness, and what it must not do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from backlight.attack.universal.learning import Learned, learn
from backlight.attack.universal.request import PatchRequest, PerturbationRequest, UniversalRequest
from backlight.classifier import Classifier
from backlight.core.chunks import Chunk
from backlight.core.errors import ModelError, UsageError
from backlight.data import Dataset
from tests.attack.nets import sharp_net

LABELS = ("a", "b", "c", "d", "e")
EPS = 8 / 255


def linear(side: int = 4, dtype: torch.dtype = torch.float64) -> tuple[Classifier, Tensor]:
    """Give a linear net of two classes and the gradient of the second logit minus the first."""
    draw = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * side**2, 2)).to(dtype)
    with torch.no_grad():
        net[1].weight.copy_(0.1 * torch.randn(2, 3 * side**2, generator=draw))
        net[1].bias.copy_(torch.tensor([9.0, 0.0]) / 4)
    weight = net[1].weight.detach()
    return Classifier.from_module(net, size=side), (weight[1] - weight[0]).view(3, side, side)


def pictures(count: int, side: int = 4, label: int | None = 0) -> Dataset:
    draw = torch.Generator().manual_seed(1)
    values = torch.randint(0, 256, (count, 3, side, side), generator=draw, dtype=torch.uint8)
    return Dataset.of(values, [label or 0] * count, ["first", "second"])


def test_of_a_linear_model_it_is_the_sign_of_the_summed_gradient() -> None:
    classifier, slope = linear()
    found = learn(classifier, pictures(20), PerturbationRequest(eps=EPS, pictures=20), None)
    assert (found.values - EPS * slope.sign()).abs().max() < 1e-12
    assert (found.course[:, 0].diff() > 0).all()


def test_in_l2_it_is_the_gradient_at_full_length() -> None:
    classifier, slope = linear()
    found = learn(classifier, pictures(20), PerturbationRequest(eps=1.5, norm="l2"), None)
    assert (found.values - 1.5 * slope / slope.norm()).abs().max() < 1e-9


def test_black_and_white_pictures_are_moved_too() -> None:
    """The gradient of a cut at 0 and 1 is zero there: nothing would ever begin to move."""
    classifier, slope = linear()
    half = torch.zeros(6, 3, 4, 4, dtype=torch.uint8)
    half[:, :, :2] = 255
    found = learn(classifier, Dataset.of(half, [0] * 6, ["first", "second"]), PerturbationRequest(eps=EPS), None)
    assert (found.values - EPS * slope.sign()).abs().max() < 1e-12


def test_a_target_that_is_far_off_is_approached() -> None:
    """A bound on the cross-entropy of the target itself would leave it without a gradient."""
    classifier, slope = linear()
    with torch.no_grad():
        classifier.module[1].bias.copy_(torch.tensor([40.0, 0.0]))
    found = learn(classifier, pictures(5), PerturbationRequest(eps=EPS), 1)
    assert (found.values - EPS * slope.sign()).abs().max() < 1e-12
    assert not found.course[:, 2].any()


def test_one_that_is_fooled_by_far_does_not_outweigh_the_others() -> None:
    """Its cross-entropy of 14 is above 9, where it has no gradient; unbounded, it alone would decide the sign."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double()
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([torch.zeros(12), torch.full((12,), 1.2)]))
        net[1].bias.zero_()
    classifier = Classifier.from_module(net, size=2)
    fooled, others = torch.full((1, 3, 2, 2), 250, dtype=torch.uint8), torch.full((3, 3, 2, 2), 50, dtype=torch.uint8)
    data = Dataset.of(torch.cat([fooled, others]), [0, 1, 1, 1], ["first", "second"])
    found = learn(classifier, data, PerturbationRequest(eps=EPS), None)
    assert (found.values + EPS).abs().max() < 1e-12


REQUESTS: dict[str, UniversalRequest] = {
    "perturbation": PerturbationRequest(eps="16/255", epochs=3, pictures=7),
    "l2": PerturbationRequest(eps=2.0, norm="l2", epochs=2, pictures=7),
    "patch": PatchRequest(steps=6, pictures=7, size="0.3-0.7"),
    "square": PatchRequest(steps=6, pictures=7, shape="square", target="b"),
}


def sharp() -> tuple[Classifier, Dataset]:
    classifier = Classifier.from_module(sharp_net(scale=3.0).double(), size=16, labels=LABELS)
    values = torch.randint(0, 256, (18, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return classifier, Dataset.of(values, classifier.logits(values / 255).argmax(1), LABELS)


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_for_any_order_and_chunk(name: str) -> None:
    """Bit for bit in another order; in other chunks, which only a lack of memory makes, up to float64's rounding."""
    classifier, data = sharp()
    request = REQUESTS[name]
    target = None if request.target is None else classifier.class_index(request.target)

    def found(data: Dataset, chunk: int) -> Learned:
        return learn(classifier, data, request, target, chunk=Chunk(chunk))

    first, turned = found(data, 64), found(data.take(list(range(17, -1, -1))), 64)
    assert turned.values.equal(first.values)
    assert turned.course.equal(first.course)
    for chunk in (1, 3):
        again = found(data, chunk)
        assert (again.values - first.values).abs().max() < 1e-9
        assert (again.course - first.course).abs().max() < 1e-9
    other = learn(classifier, data, request, target, seed=1)
    assert not other.values.equal(first.values)


def test_a_patch_keeps_to_its_range_and_its_corners_are_white() -> None:
    classifier, data = sharp()
    found = learn(classifier, data, PatchRequest(steps=20, step_size=0.4, size=0.5), None)
    assert found.values.shape == (3, 8, 8)
    assert found.values.min() >= 0
    assert found.values.max() <= 1
    assert (found.values[:, [0, 0, -1, -1], [0, -1, 0, -1]] == 1).all()


def test_a_model_without_gradients_is_named() -> None:
    class Blind(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.detach().flatten(1)[:, :2]

    with pytest.raises(ModelError, match="not differentiable"):
        learn(Classifier.from_module(Blind(), size=4), pictures(4), PerturbationRequest(), None)


def test_blind_steps_are_counted() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].bias.copy_(torch.tensor([1.0, 0.0]))
    found = learn(Classifier.from_module(net, size=4), pictures(4), PerturbationRequest(epochs=2), None)
    assert found.course[:, 2].tolist() == [1.0, 1.0]
    assert not found.values.any()


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (PerturbationRequest(eps=0), "eps 0; expected more than 0"),
        (PerturbationRequest(eps=8), "looks like the scale 0..255"),
        (PerturbationRequest(norm="l1"), "norm 'l1'"),
        (PerturbationRequest(epochs=0), "0 epochs"),
        (PerturbationRequest(share=1.0), "a share of 1 to learn from"),
        (PerturbationRequest(pictures=0), "0 pictures in a step"),
        (PatchRequest(size=1.2), "larger than the picture"),
        (PatchRequest(size="0.5-1.5"), "larger than the picture"),
        (PatchRequest(size="0.5-0.2"), "a patch of the size 0.5-0.2"),
        (PatchRequest(size="wide"), "is not a number"),
        (PatchRequest(shape="star"), "a patch in the shape 'star'"),
        (PatchRequest(steps=0), "0 steps"),
        (PatchRequest(degrees=200), "a turn of up to 200 degrees"),
        (PatchRequest(step_size=0), "a step size of 0"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_sentence(request_: UniversalRequest, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        request_.check()


def test_what_rounding_takes_away_is_refused() -> None:
    classifier, _ = linear()
    with pytest.raises(UsageError, match="rounding to a file takes away"):
        learn(classifier, pictures(4), PerturbationRequest(eps="0.5/255"), None)
    with pytest.raises(UsageError, match="one pixel or more"):
        learn(classifier, pictures(4), PatchRequest(size=0.1), None)
