"""One module under the eyes of several threads: the guard, the passes and the hooks of each are its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import attack
from backlight.classifier import Classifier
from backlight.classifier.guard import untouched
from backlight.explain import explain
from backlight.testing import small_net, unchanged

IMAGES = torch.linspace(0, 1, 4 * 3 * 8 * 8).view(4, 3, 8, 8)
LABELS = torch.tensor([0, 1, 2, 3])


class Remembers(nn.Module):
    """Keep what was last seen on the module itself, as attention maps often are, and let other threads in between."""

    def forward(self, images: Tensor) -> Tensor:
        self.last = images * 2
        time.sleep(0)
        return self.last


def in_threads(work: Callable[[], object], threads: int = 3, rounds: int = 15) -> list[object]:
    found: list[object] = []

    def repeat() -> None:
        for _ in range(rounds):
            try:
                found.append(work())
            except Exception as error:
                found.append(error)

    running = [threading.Thread(target=repeat) for _ in range(threads)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    return found


def test_three_threads_get_what_one_gets_and_the_module_comes_back() -> None:
    net = nn.Sequential(Remembers(), *small_net()).train()
    classifier = Classifier.from_module(net, size=8)

    def work() -> list[Tensor]:
        methods = ["saliency", "gradcam", "guided_backprop", "ablationcam"]
        maps = explain(classifier, IMAGES, 1, methods=methods, layer="5")
        fooled = attack(classifier, IMAGES, LABELS, method="pgd", eps="8/255", steps=2)
        return [*(one.attributions for one in maps.values()), fooled.images, classifier.features(IMAGES, ["1"])["1"]]

    alone = work()
    with unchanged(net):
        found = in_threads(work)
    assert len(found) == 45
    for one in found:
        assert isinstance(one, list), one
        assert all(torch.equal(a, b) for a, b in zip(one, alone, strict=True))


def test_the_last_to_leave_restores_whoever_came_first() -> None:
    net = small_net()
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with untouched(net):
            entered.set()
            leave.wait()

    with unchanged(net):
        other = threading.Thread(target=hold)
        with untouched(net):
            other.start()
            entered.wait()
        assert not net.training
        assert not any(parameter.requires_grad for parameter in net.parameters())
        leave.set()
        other.join()


def test_modules_that_share_parts_are_put_back_by_the_last_one() -> None:
    net = small_net()
    one, other = nn.Sequential(net), nn.Sequential(net)
    with unchanged(net):
        first = untouched(one)
        first.__enter__()
        with untouched(other):
            first.__exit__(None, None, None)
            assert not net.training
        assert net.training


def test_a_guard_that_cannot_be_entered_leaves_nothing_behind() -> None:
    class Stubborn(nn.Parameter):
        def requires_grad_(self, requires_grad: bool = True) -> Tensor:
            raise RuntimeError("never")

    net = nn.Sequential(nn.Dropout(), nn.Linear(2, 2)).train()
    net[1].weight = Stubborn(torch.zeros(2, 2))
    with pytest.raises(RuntimeError, match="never"), untouched(net):
        pass
    assert net.training
    assert net[0].training
