"""One step against the same step written out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.train import fit
from backlight.train.adversary import Adversary
from backlight.train.batches import TrainingBatch
from backlight.train.layers import freeze, hold_frozen
from backlight.train.recipe import Recipe
from backlight.train.trainer import Trainer, even_cuts
from tests.train.nets import KEYS, LABELS, PLAIN, QUIET, doubled, network, pictures

IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
BATCH = TrainingBatch(IMAGES, LABELS, KEYS, KEYS, 6)


def small() -> Classifier:
    return doubled(norm=False)


def moved(recipe: Recipe, batch: TrainingBatch = BATCH, weights: Tensor | None = None) -> list[Tensor]:
    """Take one step in double precision; give how far each parameter went."""
    classifier = small()
    before = [one.detach().clone() for one in classifier.module.parameters()]
    doubles = replace(batch, images=batch.images.double(), own=None if batch.own is None else batch.own.double())
    Trainer(classifier, recipe, seed=0, class_weights=weights).step(doubles, 0, recipe.lr)
    return [(one - old).detach() for one, old in zip(classifier.module.parameters(), before, strict=True)]


def expected(targets: Tensor) -> list[Tensor]:
    """Give the step of plain descent on the cross-entropy with target weights `[B,classes]`."""
    classifier = small()
    logits = classifier.module(classifier.normalize(IMAGES.double()))
    loss = -(targets * F.log_softmax(logits, 1)).sum() / len(targets)
    return [-0.1 * one for one in torch.autograd.grad(loss, list(classifier.module.parameters()))]


def close(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.allclose(one, other, rtol=0, atol=1e-12) for one, other in zip(left, right, strict=True))


def test_smoothing_mixing_and_class_weights_are_weights_of_the_targets() -> None:
    others, own, weights = (LABELS + 1) % 3, torch.linspace(0, 1, 6), torch.tensor([0.1, 10.0, 1.0])
    first, second = (F.one_hot(labels, 3).double() for labels in (LABELS, others))
    assert close(moved(PLAIN), expected(first))
    smooth = replace(PLAIN, label_smoothing=0.3)
    assert close(moved(smooth), expected(0.7 * first + 0.1))
    mixed = replace(BATCH, others=others, own=own)
    share = own.double()[:, None]
    assert close(moved(PLAIN, mixed), expected(share * first + (1 - share) * second))
    # Each label brings its own class's weight along, not the first label's.
    heavy = share * first * weights[LABELS, None] + (1 - share) * second * weights[others, None]
    assert close(moved(PLAIN, mixed, weights.double()), expected(heavy))


def test_a_clipped_gradient_has_the_length_that_was_asked_for() -> None:
    steps = moved(replace(PLAIN, clip=1e-3))
    length = torch.cat([one.flatten() for one in steps]).norm()
    assert float(length) == pytest.approx(0.1 * 1e-3, rel=1e-3)


@pytest.mark.promises
def test_parts_of_uneven_size_sum_to_the_whole() -> None:
    assert close(moved(replace(PLAIN, accumulate=4)), moved(PLAIN))


def test_a_batch_is_attacked_in_the_parts_that_it_is_computed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, attack = list[int](), Adversary.attack

    def counted(self: Adversary, classifier: Classifier, images: Tensor, *given: Any, **named: Any) -> Tensor:
        seen.append(len(images))
        return attack(self, classifier, images, *given, **named)

    monkeypatch.setattr(Adversary, "attack", counted)
    hardened = replace(PLAIN, adversary="pgd:eps=0.1,steps=2")
    assert close(moved(replace(hardened, accumulate=4)), moved(hardened))
    assert not close(moved(hardened), moved(PLAIN))
    assert seen == [2, 1, 2, 1, 6, 6]


def test_muon_does_not_depend_on_the_memory_format() -> None:
    found = []
    for form in (torch.contiguous_format, torch.channels_last):
        classifier = network(norm=False, dropout=0.0)
        classifier.module.to(memory_format=form)
        trainer = Trainer(classifier, Recipe(optimizer="muon", lr=0.01), seed=0)
        for number in range(2):
            trainer.step(BATCH, number, 0.01)
        found.append([one.detach().contiguous() for one in classifier.module.parameters()])
    assert max(float((one - other).abs().max()) for one, other in zip(*found, strict=True)) < 1e-3
    start = [one.detach() for one in network(norm=False, dropout=0.0).module.parameters()]
    assert max(float((one - other).abs().max()) for one, other in zip(found[0], start, strict=True)) > 5e-3


@pytest.mark.promises
def test_memory_that_runs_out_leaves_no_trace_in_what_layers_draw() -> None:
    def train(accumulate: int, fail: bool) -> Trainer:
        trainer = Trainer(network(dropout=0.5), Recipe(optimizer="sgd", lr=0.1, accumulate=accumulate), seed=0)
        real, failed = trainer._logits, [fail]

        def once(images: Tensor) -> Tensor:
            logits = real(images)
            if failed.pop(0) if failed else False:
                raise torch.OutOfMemoryError("out of memory")
            return logits

        trainer._logits = once  # type: ignore[method-assign]
        trainer.step(BATCH, 0, 0.1)
        return trainer

    halved, planned = train(1, fail=True), train(2, fail=False)
    assert all(map(torch.equal, halved.module.parameters(), planned.module.parameters()))
    # A resumed run goes on with as many parts, or its batch statistics would be others.
    again = Trainer(network(dropout=0.5), Recipe(optimizer="sgd", lr=0.1), seed=0)
    again.load_state_dict(halved.state_dict())
    assert again.parts == 2


def test_half_precision_is_used_and_the_weights_stay_whole() -> None:
    nets = [network(norm=False, dropout=0.0) for _ in range(2)]
    for net, autocast in zip(nets, (None, torch.bfloat16), strict=True):
        Trainer(net, PLAIN, seed=0, autocast=autocast).step(BATCH, 0, 0.1)
    full, half = ([one.detach() for one in net.module.parameters()] for net in nets)
    assert {one.dtype for one in half} == {torch.float32}
    gaps = [float((one - other).abs().max()) for one, other in zip(full, half, strict=True)]
    assert 0 < max(gaps) < 1e-2


def test_what_comes_before_the_first_free_layer_is_at_rest() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.Dropout(), nn.Linear(144, 3), nn.Dropout()
    )
    net.train()
    hold_frozen(net, freeze(net, -1))
    assert [part.training for part in net] == [False, False, False, False, True, True]
    free = nn.Sequential(nn.Dropout(), nn.Linear(2, 2)).train()
    hold_frozen(free, frozenset())
    assert free[0].training


@pytest.mark.parametrize(
    ("count", "parts", "sizes"), [(7, 3, [3, 2, 2]), (4, 3, [2, 1, 1]), (2, 5, [1, 1]), (6, 3, [2] * 3)]
)
def test_parts_of_a_batch_are_cut_evenly(count, parts, sizes):
    cuts = even_cuts(count, parts)
    assert [cut.stop - cut.start for cut in cuts] == sizes
    assert [row for cut in cuts for row in range(count)[cut]] == list(range(count))


def vectors():
    """Build a network whose normalization sees one value per picture and channel."""
    layers = nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
    return Classifier.from_module(nn.Sequential(*layers), size=8, labels=pictures().label_names)


@pytest.mark.parametrize("settings", [{"batch_size": 1}, {"batch_size": 3, "accumulate": 2}, {"accumulate": 64}])
def test_statistics_of_one_picture_are_refused_before_training(tmp_path, settings):
    train, val = pictures(), pictures(split="val")
    with pytest.raises(UsageError, match=r"a batch of 1 picture.*BatchNorm.*try: --batch-size"):
        fit(vectors(), train, val, tmp_path / "run", recipe=Recipe(epochs=1, **settings), runtime=QUIET)
    assert not (tmp_path / "run").exists()


def test_parts_of_seven_pictures_train_a_batch_norm(tmp_path):
    recipe = Recipe(epochs=1, batch_size=7, accumulate=3)
    assert fit(vectors(), pictures(), pictures(split="val"), tmp_path / "run", recipe=recipe, runtime=QUIET).epochs == 1


def test_single_pictures_train_a_network_that_can(tmp_path):
    recipe = Recipe(epochs=1, batch_size=1)
    few = pictures().limited(4)
    assert fit(network(), few, pictures(split="val"), tmp_path / "run", recipe=recipe, runtime=QUIET).epochs == 1
