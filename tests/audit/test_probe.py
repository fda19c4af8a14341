"""The linear probe: at its optimum, blind to held-out labels, the same for any order, honest about lonely classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backlight.audit.probe import MOST_ROWS, PENALTIES, fit_probe, out_of_fold, stratified_folds
from backlight.core.errors import InputError


def clusters(count: int, classes: int = 3, width: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw points around one center per class, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    return (4 * rng.normal(size=(classes, width))[labels] + rng.normal(size=(count, width))), labels


def test_the_probe_is_where_the_gradient_of_its_loss_is_zero() -> None:
    features, labels = clusters(200)
    probe = fit_probe(features, labels, penalty=0.1, iterations=500)
    standard = torch.tensor((features - features.mean(0)) / features.std(0))
    assert torch.allclose((torch.tensor(features).float() - probe.mean) / probe.scale, standard.float(), atol=1e-4)
    weight, bias = probe.weight.double().requires_grad_(), probe.bias.double().requires_grad_()
    loss = torch.nn.functional.cross_entropy(standard @ weight + bias, torch.tensor(labels))
    (loss + 0.05 * weight.square().sum()).backward()
    assert weight.grad is not None
    assert bias.grad is not None
    assert max(float(weight.grad.abs().max()), float(bias.grad.abs().max())) < 2e-3


def test_probes_of_folds_are_what_each_fold_alone_gives() -> None:
    features, labels = clusters(120)
    found = out_of_fold(features, labels, penalty=0.1, folds=4)
    for fold in range(4):
        rest, held = found.folds != fold, found.folds == fold
        alone = fit_probe(features[rest], labels[rest], penalty=0.1)
        # Standardized by fewer pictures, so the penalty means a little less or more.
        assert np.abs(alone.probabilities(features[held]) - found.probabilities[held]).max() < 0.05


def test_a_picture_is_judged_by_a_probe_that_has_not_seen_it() -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(200, 400)), rng.integers(0, 2, 200)
    seen = (fit_probe(features, labels, penalty=0.001).probabilities(features).argmax(1) == labels).mean()
    unseen = (out_of_fold(features, labels, penalty=0.001).probabilities.argmax(1) == labels).mean()
    assert seen == 1
    assert 0.35 < unseen < 0.65


def test_folds_are_stratified_and_follow_the_ids() -> None:
    labels = np.repeat([0, 1, 2, 3], [50, 23, 7, 1])
    ids = [f"{row}.png" for row in range(len(labels))]
    folds = stratified_folds(labels, 5, ids=ids, seed=3)
    for label in range(4):
        sizes = np.bincount(folds[labels == label], minlength=5)
        assert sizes.max() - sizes.min() <= 1
    assert np.ptp(np.bincount(folds)) <= 1
    order = np.random.default_rng(0).permutation(len(labels))
    assert stratified_folds(labels[order], 5, ids=[ids[row] for row in order], seed=3).tolist() == folds[order].tolist()
    assert (stratified_folds(labels, 5, ids=ids, seed=4) != folds).any()


def test_a_class_of_one_picture_is_not_judged() -> None:
    features, labels = clusters(60)
    labels[7] = 3
    found = out_of_fold(features, labels)
    assert np.flatnonzero(~found.seen).tolist() == [7]
    assert np.isfinite(found.probabilities).all()
    assert np.allclose(found.probabilities.sum(1), 1, atol=1e-5)


def test_many_classes_are_fitted_fold_by_fold_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clusters(300, classes=20)
    together = out_of_fold(features, labels, penalty=0.1)
    monkeypatch.setattr("backlight.audit.probe._MOST_LOGITS", 300 * 20)
    alone = out_of_fold(features, labels, penalty=0.1)
    assert np.abs(together.probabilities - alone.probabilities).max() < 0.02


def test_of_more_pictures_a_keyed_sample_is_fitted_and_all_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clusters(600)
    monkeypatch.setattr("backlight.audit.probe.MOST_ROWS", 200)
    found = out_of_fold(features, labels)
    assert (found.probabilities.argmax(1) == labels).mean() > 0.95
    assert MOST_ROWS == 50_000


def test_features_may_lie_in_a_file_or_be_constant_or_tensors(tmp_path: Path) -> None:
    features, labels = clusters(100)
    features[:, 0] = 5
    half = features.astype(np.float16)
    half.tofile(tmp_path / "features")
    mapped = np.memmap(tmp_path / "features", np.float16, "r", shape=half.shape)
    from_file = out_of_fold(mapped, labels, penalty=0.1).probabilities
    assert np.array_equal(from_file, out_of_fold(half, labels, penalty=0.1).probabilities)
    assert np.array_equal(
        from_file, out_of_fold(torch.from_numpy(half), torch.from_numpy(labels), penalty=0.1).probabilities
    )
    assert np.abs(from_file - out_of_fold(features[:, 1:], labels, penalty=0.1).probabilities).max() < 0.02


def test_the_penalty_grows_with_the_noise() -> None:
    features, labels = clusters(400, width=100)
    noisy = np.where(np.random.default_rng(1).random(400) < 0.5, (labels + 1) % 3, labels)
    assert fit_probe(features, noisy).penalty > fit_probe(features, labels).penalty


@pytest.mark.parametrize(("classes", "noise"), [(3, 0.0), (3, 0.5), (20, 0.2)])
def test_the_penalty_is_the_one_that_full_fits_choose(classes: int, noise: float) -> None:
    features, labels = clusters(400, classes=classes, width=100)
    rng = np.random.default_rng(1)
    noisy = np.where(rng.random(400) < noise, rng.permutation(labels), labels)
    held = np.flatnonzero(stratified_folds(noisy) == 0)
    losses = {
        one: -np.log(out_of_fold(features, noisy, penalty=one).probabilities[held, noisy[held]]).mean()
        for one in PENALTIES
    }
    assert losses[out_of_fold(features, noisy).penalty] < 1.02 * min(losses.values())


def test_what_cannot_be_fitted_says_why() -> None:
    with pytest.raises(InputError, match="fewer than two classes"):
        fit_probe(np.eye(3), np.zeros(3, int))
    with pytest.raises(InputError, match="not finite"):
        fit_probe(np.array([[np.inf], [0.0]]), np.array([0, 1]))
    with pytest.raises(InputError, match="labels from 0 to 5"):
        fit_probe(np.eye(2), np.array([0, 5]), classes=2)
    with pytest.raises(InputError, match="at least 2"):
        stratified_folds(np.array([0, 1]), 1)
