import pytest
import torch
from torch import nn

from backlight.core.errors import InputError, LayerError
from backlight.pixels import View
from backlight.testing import small_net
from tests.pixels.problems import classifier_of, pictures


def test_undeclared_layers_raise_and_name_the_declared() -> None:
    view = View(classifier_of(), pictures(2), layers=["4"])
    with pytest.raises(LayerError, match=r"'logits' was not declared; expected one of \['4'\]"):
        _ = view.logits
    assert view["4"].shape == (2, 12, 4, 4)


def test_one_forward_serves_all_layers_and_stops_at_the_deepest() -> None:
    net, ran = small_net(5), []
    for index, part in enumerate(net):
        part.register_forward_hook(lambda *_, index=index: ran.append(index))
    classifier = classifier_of(net)
    classifier.layers()
    ran.clear()
    view = View(classifier, pictures(2), layers=["1", "4"])
    assert ran == []
    assert view["1"].shape == (2, 8, 8, 8)
    assert view["4"].shape == (2, 12, 4, 4)
    assert ran == [0, 1, 2, 3, 4]


def test_layers_without_a_classifier_raise() -> None:
    with pytest.raises(InputError, match="without a classifier"):
        _ = View(None, pictures(1), layers=["logits"]).logits


def test_pick_takes_rows_and_shares_the_rest() -> None:
    view = View(None, pictures(2), rows=torch.tensor([4, 1]), batch=6)
    assert torch.equal(view.pick(torch.arange(12).view(6, 2)), torch.tensor([[8, 9], [2, 3]]))
    assert view.pick(0.5) == 0.5
    assert view.pick(torch.tensor(3.0)) == 3.0
    assert torch.equal(view.pick(torch.ones(1, 3)), torch.ones(1, 3))
    with pytest.raises(InputError, match="2 values for 6 images"):
        view.pick(torch.ones(2))  # as many as the view has, yet not as many as the batch


def test_pick_gives_tensors_that_autograd_can_save() -> None:
    with torch.inference_mode():
        shared, batch = torch.full((1,), 2.0), torch.arange(3.0)
    view = View(None, pictures(3))
    weight = torch.ones(3, requires_grad=True)
    (weight * view.pick(shared) * view.pick(batch)).sum().backward()
    assert weight.grad.tolist() == [0, 2, 4]


def test_a_batch_of_one_picks_its_row() -> None:
    assert View(None, pictures(1)).pick(torch.tensor([7])).tolist() == [7]
    empty = View(None, pictures(0), rows=torch.zeros(0, dtype=torch.long), batch=1)
    assert nn.Identity()(empty.pick(torch.tensor([7]))).shape == (1,)
