"""Unknown inputs from arrays: planted ones are told apart, the known ones are not, and what is missing is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backlight.audit.activations import Activations, Head
from backlight.audit.detectors import DETECTORS
from backlight.audit.kept import Kept, LinearHead
from backlight.audit.unknown import LEFT_OUT, detect_unknown
from backlight.core.errors import InputError


def world(count: int, *, classes: int = 12, width: int = 40, seed: int = 0, far: float = 0.0) -> Activations:
    """Draw pictures of classes; `far` moves them away from all."""
    means = 3 * torch.randn(classes, width, generator=torch.Generator().manual_seed(99))
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    features = (1 - far) * means[labels] + torch.randn(count, width, generator=draw) * (1 + far)
    return Activations.of(features @ means.T / 9, features=features, labels=labels)


HEAD = Head(3 * torch.randn(12, 40, generator=torch.Generator().manual_seed(99)) / 9, torch.zeros(12))


def test_far_pictures_are_told_apart_and_known_ones_are_not() -> None:
    unknown = {"far": world(300, seed=1, far=1.0), "same": world(300, seed=2)}
    found = detect_unknown(world(1000), unknown, head=HEAD)
    assert set(found.detectors) == set(DETECTORS)
    best = found.detectors[found.recommended]
    assert best.sets["far"].auroc > 0.99
    assert best.sets["far"].fpr < 0.05
    for name, one in found.detectors.items():
        low, high = one.sets["same"].auroc_interval
        assert low - 0.03 < 0.5 < high + 0.03, name
    aurocs = [one.mean_auroc for one in found.detectors.values()]
    assert aurocs == sorted(aurocs, reverse=True)
    assert found.correlation.shape == (len(DETECTORS),) * 2


def test_the_threshold_accepts_its_share_of_new_known_pictures() -> None:
    found = detect_unknown(world(2000), {"new": world(2000, seed=5)}, head=HEAD)
    for name, one in found.detectors.items():
        assert one.sets["new"].fpr == pytest.approx(0.95, abs=0.03), name


def test_without_a_linear_head_and_without_features_the_rest_goes_on_and_says_so() -> None:
    known, far = world(400), world(100, seed=1, far=1.0)
    found = detect_unknown(known, {"far": far})
    assert set(found.left_out) == {"vim", "react", "scale", "fdbd"}
    assert "linear" in found.left_out["vim"]
    bare = detect_unknown(Activations(known.logits), {"far": Activations(far.logits)})
    assert set(bare.detectors) == {"gen", "energy", "max_logit", "msp"}


def test_nothing_to_measure_recommends_gen() -> None:
    assert detect_unknown(world(100), {}).recommended == "gen"


def test_left_out_classes_are_a_nearer_set_than_noise() -> None:
    found = detect_unknown(world(1200), {"far": world(300, seed=1, far=1.0)}, head=HEAD, classes_left_out=True)
    near = [one.sets[LEFT_OUT] for one in found.detectors.values()]
    assert all(one.n == 600 for one in near)  # every picture of the half that is fitted is left out once
    assert max(one.auroc for one in near) > 0.8
    assert found.detectors["knn"].sets["far"].auroc >= found.detectors["knn"].sets[LEFT_OUT].auroc - 0.02
    assert LEFT_OUT in detect_unknown(world(8), {}, classes_left_out=True).left_out


def test_training_pictures_are_what_detectors_are_fitted_on() -> None:
    known, far = world(200), {"far": world(100, seed=1, far=1.0)}
    found = detect_unknown(known, far, training=world(1000, seed=9), head=HEAD)
    assert found.n == 200
    assert found.detectors["rmds"].sets["far"].auroc > 0.95


def test_stored_float16_features_of_a_pass_are_taken_as_they_are() -> None:
    seen = world(300)
    kept = Kept.of(seen.logits.numpy(), labels=seen.labels.numpy(), features=seen.features.numpy())
    taken = Activations.of_kept(kept)
    assert taken.features is not None
    assert taken.features.dtype == torch.float16
    head = LinearHead(HEAD.weight.numpy(), HEAD.bias.numpy())
    found = detect_unknown(taken, {"far": world(100, seed=1, far=1.0)}, head=head)
    assert found.detectors[found.recommended].sets["far"].auroc > 0.99
    logits = kept.logits.copy()
    logits[3] = np.nan
    assert len(Activations.of_kept(Kept.of(logits))) == 299


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(InputError, match="columns"):
        detect_unknown(world(40), {"x": Activations(torch.zeros(3, 5))})
    with pytest.raises(InputError, match="empty"):
        detect_unknown(world(40), {"x": Activations(torch.zeros(0, 12))})
    with pytest.raises(InputError, match="known"):
        detect_unknown(world(3), {})
