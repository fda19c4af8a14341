"""Before and after hardening: every number against what is counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from backlight.attack import Robustness, RobustnessRequest
from backlight.audit.hardening import Hardening, HardeningRequest, Measurements
from backlight.core.errors import UsageError
from backlight.corrupt import CorruptionRequest, CorruptionStudy
from backlight.evaluate import Evaluation
from backlight.report.hardening import hardening_section, hardening_words, paying_words
from backlight.table import Table
from backlight.table.statistics import expected_calibration_error, mcnemar, paired_interval

NAMES = ("cat", "<b>dog</b>")
N = 40
LABELS = np.arange(N) % 2
REQUEST = HardeningRequest(("pgd:steps=2", "fgsm"))


def measured(right: np.ndarray, robust: np.ndarray, foggy: np.ndarray, sure: np.ndarray) -> Measurements:
    """Make what a model came to of bools per picture; `foggy` is one per severity."""
    ids = [f"{place:02}" for place in range(N)]
    prediction = np.where(right, LABELS, 1 - LABELS)
    clean = {"id": ids, "label": LABELS, "prediction": prediction, "confidence": sure}
    under = {"id": ids, "label": LABELS, "prediction": prediction, "robust": robust}
    under |= {name: [False] * N for name in ("undecided",)} | {"broken_by": np.where(robust, "", "fgsm")}
    under |= {name: np.zeros(N) for name in ("distance", "margin", "zero_grads", "steps")}
    fog = np.where(foggy, LABELS[:, None], 1 - LABELS[:, None])
    corrupted = Table.of({**clean, "fog.prediction": fog, "fog.confidence": np.full(fog.shape, 0.5)})
    attacked = tuple(Robustness(Table.of(under), one, NAMES, N) for one in REQUEST.robustness)
    return Measurements(
        Evaluation(Table.of({**clean, "loss": np.zeros(N)}), NAMES),
        attacked,
        CorruptionStudy(corrupted, CorruptionRequest.of("fog", severities="1,2"), NAMES),
    )


def hardened() -> Hardening:
    """Lose the second half of the cats, gain robustness for every fourth picture, and get surer."""
    place = np.arange(N)
    all_right, lost = place >= 0, (LABELS == 1) | (place < N // 2)
    before = measured(all_right, place < 0, np.stack([all_right, place < 10], 1), np.full(N, 0.7))
    after = measured(lost, place % 4 == 1, np.stack([lost, place < 30], 1), np.full(N, 0.9))
    return Hardening(before, after, REQUEST)


def test_shares_are_compared_picture_by_picture() -> None:
    found = hardened()
    clean = found.gains["clean"].change
    assert (clean.before, clean.now, clean.n) == (1.0, 0.75, N)
    assert clean.interval == paired_interval(0, 10, N)
    assert clean.p == mcnemar(0, 10)
    robust = found.gains["fgsm"].change
    assert (robust.before, robust.now) == (0.0, 0.25)
    assert robust.interval == paired_interval(10, 0, N)
    assert found.strongest == "fgsm"


def test_corruptions_and_calibration_are_means_over_looks_and_pictures() -> None:
    found = hardened()
    corrupted = found.gains["corruptions"].change
    assert corrupted.before == pytest.approx((1 + 10 / N) / 2)
    assert corrupted.now == pytest.approx((0.75 + 30 / N) / 2)
    calibration = found.gains["calibration_error"]
    right = (LABELS == 1) | (np.arange(N) < N // 2)
    assert calibration.change.before == pytest.approx(expected_calibration_error(np.full(N, 0.7), np.ones(N, bool)))
    assert calibration.change.now == pytest.approx(expected_calibration_error(np.full(N, 0.9), right))
    assert calibration.intervals is None


def test_who_pays_is_told_only_where_it_is_more_than_chance() -> None:
    found = hardened()
    assert [one.name for one in found.classes] == ["cat", NAMES[1]]
    assert [(one.clean.change.now, one.robust.change.now) for one in found.classes] == [(0.5, 0.0), (1.0, 0.5)]
    assert [one.name for one in found.paying] == ["cat"]
    assert paying_words(found).startswith("cat pays for it")
    same = Hardening(found.before, found.before, REQUEST)
    assert same.paying == ()
    assert paying_words(same) == "No class pays for it."
    few = hardened()
    chance = Hardening(few.before, few.before._replace(evaluation=_without(few.before.evaluation, 2)), REQUEST)
    assert chance.paying == ()
    assert "may be chance" in paying_words(chance)


def test_the_same_model_twice_has_gained_and_lost_nothing() -> None:
    found = hardened()
    same = Hardening(found.after, found.after, REQUEST)
    assert {one.change.difference for one in same.gains.values()} == {0.0}
    assert not any(one.clear or one.costs for one in same.gains.values())


def test_the_document_and_the_section_hold_the_numbers_escaped() -> None:
    found = hardened()
    document = found.to_json()
    assert document["attacks"] == ["pgd:steps=2", "fgsm"]
    assert document["eps"] == 8 / 255
    assert document["paying"] == ["cat"]
    assert document["gains"]["clean"]["difference"] == -0.25
    assert document["classes"]["cat"]["clean"]["before_interval"][1] == 1.0
    html = str(hardening_section(found, ("<i>", "after"), data="some").html)
    assert "&lt;i&gt;" in html
    assert "<b>dog" not in html
    assert "<i>" not in html.replace("<i></i>", "")
    words = hardening_words(found)
    assert "withstands <strong>25%</strong> of the pictures, before it was 0%: +25 points" in words[0]
    assert "may be chance" not in words[1]


def test_attacks_without_a_size_and_none_at_all_are_refused() -> None:
    with pytest.raises(UsageError, match="no attack"):
        HardeningRequest(())
    with pytest.raises(UsageError, match="without an eps"):
        HardeningRequest(("fmn",))
    with pytest.raises(UsageError, match="no attack 'pdg'"):
        HardeningRequest(("pdg",))
    assert [one.threat.eps for one in HardeningRequest(("fgsm",), "4/255").robustness] == [4 / 255]
    assert isinstance(REQUEST.robustness[0], RobustnessRequest)


def _without(found: Evaluation, count: int) -> Evaluation:
    prediction = found.table["prediction"].copy()
    prediction[:count] = 1 - prediction[:count]
    return Evaluation(found.table.with_columns(prediction=prediction), found.labels)
