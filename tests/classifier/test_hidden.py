"""Modules that functions hide are found, held in evaluation mode and left as they were; or the function is refused."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.hidden import hidden_modules
from backlight.core.errors import ModelError
from backlight.testing import small_net, unchanged

IMAGES = torch.linspace(0, 1, 4 * 3 * 8 * 8).view(4, 3, 8, 8)
NET = small_net(seed=3)
SHELF = {"nets": [NET]}


class Service:
    __slots__ = ("net",)

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def answer(self, images: Tensor) -> Tensor:
        return self.net(images)

    def __call__(self, images: Tensor) -> Tensor:
        return self.answer(images)


class Unregistered(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.nets = [net]

    def forward(self, images: Tensor) -> Tensor:
        return self.nets[0](images)


def apply(net: nn.Module, images: Tensor) -> Tensor:
    return net(images)


def by_global(images: Tensor) -> Tensor:
    return NET(images)


def by_shelf(images: Tensor) -> Tensor:
    return (lambda: SHELF["nets"][0](images))()


def decorated(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    @functools.wraps(function)
    def call(images: Tensor) -> Tensor:
        return function(images)

    return call


WAYS: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
    "closure": lambda: (lambda net: lambda images: net(images))(NET),
    "closure of a closure": lambda: (lambda inner: lambda images: inner(images))(lambda images: NET(images)),
    "bound forward": lambda: NET.forward,
    "bound method of an object": lambda: Service(NET).answer,
    "callable object": lambda: Service(NET),
    "partial": lambda: functools.partial(apply, NET),
    "partial of a keyword": lambda: functools.partial(lambda images, net: net(images), net=NET),
    "default": lambda: lambda images, net=NET: net(images),
    "global": lambda: by_global,
    "dictionary of lists": lambda: by_shelf,
    "decorator": lambda: decorated(by_global),
    "another classifier": lambda: Classifier.from_module(NET).logits,
    "a list of a module": lambda: Unregistered(NET),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [8, None])
def test_a_hidden_module_in_training_mode_is_evaluated_and_left_alone(way: str, size: int | None) -> None:
    expected = copy.deepcopy(NET).eval()(IMAGES)
    with unchanged(NET):
        classifier = Classifier.from_module(WAYS[way](), size=size)
        found = classifier.logits(IMAGES)
        again = classifier.logits(IMAGES[:1])
    assert torch.equal(found, expected)
    assert torch.allclose(again, expected[:1], atol=1e-6)


def test_a_hidden_modules_layers_and_precision_are_seen() -> None:
    net = small_net().double()
    classifier = Classifier.from_module(lambda images: net(images), size=8)
    assert classifier.dtype == torch.float64
    assert [layer.name for layer in classifier.layers()][:3] == ["net", "net.0", "net.1"] or "net.0" in {
        layer.name for layer in classifier.layers()
    }
    assert torch.equal(classifier.features(IMAGES, ["net.0"])["net.0"], net[0](IMAGES.double()))


def test_names_tell_several_modules_apart_and_parts_are_not_named_twice() -> None:
    first, second = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2))
    part = second[0]
    assert hidden_modules(lambda x: first(second(part(x)))) == {"first": first, "second": second}
    assert len(hidden_modules(functools.partial(lambda *nets: nets, first, second))) == 2
    assert hidden_modules(torch.nn.functional.softmax) == {}
    assert hidden_modules(second) == {}


class Secret:
    """Reach a module by a way that nothing can follow."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def __getattribute__(self, name: str) -> object:
        return {} if name == "__dict__" else super().__getattribute__(name)

    def __call__(self, images: Tensor) -> Tensor:
        return self.net(images)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 4)), "two passes.*differ"),
        (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Linear(192, 4)), "changes with the other pictures"),
    ],
)
@pytest.mark.parametrize("size", [8, None])
def test_what_cannot_be_found_and_trains_is_refused(net: nn.Module, message: str, size: int | None) -> None:
    with pytest.raises(ModelError, match=message):
        Classifier.from_module(Secret(net.train()), size=size).logits(IMAGES)
    assert torch.equal(Classifier.from_module(Secret(net.eval())).logits(IMAGES), net(IMAGES))


def test_a_copy_of_a_function_never_runs_the_originals_modules() -> None:
    closed = Classifier.from_module(lambda images: NET(images), size=8)
    with pytest.raises(ModelError, match="function around 'NET'.*an nn.Module"):
        copy.deepcopy(closed.module)
    bound = Classifier.from_module(Service(small_net()).answer, size=8)
    twin = copy.deepcopy(bound.module)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert not twin.eval()(IMAGES).any()
    assert bound.logits(IMAGES).any()
    assert copy.deepcopy(Classifier.from_module(torch.relu).module) is not None


def test_parallel_wrappers_are_seen_through() -> None:
    assert Classifier.from_module(nn.DataParallel(NET)).module is NET
