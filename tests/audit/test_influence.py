"""Influence against gradients of a real last layer, training picture by training picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backlight.audit.influence import last_layer_influence
from backlight.core.errors import InputError


def layer(count: int, seed: int, width: int = 7, classes: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, width))
    logits = torch.tensor(features @ np.random.default_rng(9).normal(size=(width, classes)))
    return features, logits.softmax(1).numpy(), rng.integers(0, classes, count)


@pytest.mark.parametrize("bias", [False, True])
def test_equal_to_products_of_gradients(bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, train = layer(6, 0), layer(83, 1)
    last = torch.nn.Linear(7, 4).double()
    last.weight.data = torch.tensor(np.random.default_rng(9).normal(size=(7, 4)).T)
    last.bias.data.zero_()

    def gradient(feature: np.ndarray, label: int) -> torch.Tensor:
        loss = torch.nn.functional.cross_entropy(last(torch.tensor(feature))[None], torch.tensor([label]))
        both = torch.autograd.grad(loss, [last.weight, last.bias])
        return torch.cat([both[0].flatten(), both[1]]) if bias else both[0].flatten()

    mine, theirs = ([gradient(f, int(y)) for f, y in zip(one[0], one[2])] for one in (queries, train))
    expected = (torch.stack(mine) @ torch.stack(theirs).T).numpy()
    for pairs in (2**23, 40):
        monkeypatch.setattr("backlight.audit.influence._PAIRS", pairs)
        found = last_layer_influence(*queries, *train, count=5, bias=bias)
        assert np.abs(found.helped - -np.sort(-expected, 1)[:, :5]).max() < 1e-5
        assert np.abs(found.harmed - np.sort(expected, 1)[:, :5]).max() < 1e-5
        assert np.abs(np.take_along_axis(expected, found.helpful, 1) - found.helped).max() < 1e-5
        assert np.abs(np.take_along_axis(expected, found.harmful, 1) - found.harmed).max() < 1e-5


def test_a_step_on_a_helpful_picture_lowers_the_loss() -> None:
    (features, probabilities, labels), train = layer(1, 0), layer(50, 1)
    found = last_layer_influence(features, probabilities, labels, *train, count=1)
    weight = torch.tensor(np.random.default_rng(9).normal(size=(7, 4)))

    def loss_after(row: int) -> float:
        error = torch.tensor(train[1][row]) - torch.nn.functional.one_hot(torch.tensor(train[2][row]), 4)
        moved = weight - 1e-3 * torch.outer(torch.tensor(train[0][row]), error)
        return float(torch.nn.functional.cross_entropy(torch.tensor(features) @ moved, torch.tensor(labels)))

    before = float(torch.nn.functional.cross_entropy(torch.tensor(features) @ weight, torch.tensor(labels)))
    assert loss_after(int(found.helpful[0, 0])) < before < loss_after(int(found.harmful[0, 0]))


def test_within_one_set_a_picture_does_not_explain_itself() -> None:
    data = layer(20, 0)
    found = last_layer_influence(*data, *data, count=19, own=np.arange(20))
    assert all(sorted([*found.helpful[row].tolist(), row]) == list(range(20)) for row in range(20))
    few = last_layer_influence(*(one[:2] for one in data), *(one[:2] for one in data), count=3, own=np.arange(2))
    assert few.helpful.tolist() == [[1, -1, -1], [0, -1, -1]]
    assert few.helped[:, 1:].tolist() == [[0, 0], [0, 0]]


def test_a_mislabeled_twin_is_the_most_harmful_picture() -> None:
    features, probabilities, labels = layer(60, 3)
    probabilities[[0, 7]], labels[[0, 7]] = [0.4, 0.4, 0.1, 0.1], [0, 1]
    features[7] = 9 * features[0]
    found = last_layer_influence(
        features[:1], probabilities[:1], labels[:1], features[1:], probabilities[1:], labels[1:]
    )
    assert found.harmful[0, 0] == 6


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="7 features and 4 classes"):
        last_layer_influence(*layer(3, 0), *layer(3, 1, width=6))
    with pytest.raises(InputError, match="2 rows of features"):
        last_layer_influence(layer(2, 0)[0], *layer(3, 0)[1:], *layer(3, 1))
