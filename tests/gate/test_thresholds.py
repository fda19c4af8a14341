"""Numbers of every verb against thresholds: values, worse ends of intervals, too few pictures, by class and kind."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from backlight.core.errors import FileError, UsageError
from backlight.gate import Gate, Result, check
from backlight.gate.keys import parse_key
from backlight.gate.measure import measure
from backlight.table.statistics import wilson
from tests.gate.documents import AUDIT, CORRUPTIONS, EXPLANATIONS, ROBUSTNESS, evaluation

CLASSES = {"cat": {"n": 100, "accuracy": 0.9, "precision": 0.8}, "dog": {"n": 100, "accuracy": 0.6, "precision": 0.7}}
SLICES = [{"value": "night", "n": 50, "accuracy": 0.5, "interval": [0.37, 0.63]},
          {"value": "day", "n": 50, "accuracy": 0.9, "interval": [0.79, 0.96]}]  # fmt: skip


def of(document: Any) -> Result:
    return Result(document, "result.json")


@pytest.mark.parametrize(
    ("document", "key", "value", "interval"),
    [
        (evaluation(90, 100).document, "accuracy", 0.9, wilson(90, 100)),
        (evaluation(90, 100, top5=0.98).document, "top5", 0.98, wilson(98, 100)),
        (evaluation(90, 100, per_class=CLASSES).document, "per_class.dog.accuracy", 0.6, wilson(60, 100)),
        (evaluation(90, 100, per_class=CLASSES).document, "per_class.dog.precision", 0.7, None),
        (evaluation(90, 100, per_class=CLASSES).document, "per_class.dog", 0.6, wilson(60, 100)),
        (evaluation(90, 100, slices=SLICES).document, "slices.night.accuracy", 0.5, (0.37, 0.63)),
        (evaluation(90, 100).document, "ece", 0.1, None),
        (evaluation(90, 100, second=evaluation(45, 50).document).document, "second.accuracy", 0.9, wilson(45, 50)),
        (ROBUSTNESS, "clean_accuracy", 0.9, (0.85, 0.93)),
        (ROBUSTNESS, "robust_accuracy", 0.4, (0.33, 0.47)),
        (ROBUSTNESS, "by_attack.apgd-ce", 0.45, wilson(90, 200)),
        (CORRUPTIONS, "clean_accuracy", 0.9, (0.82, 0.94)),
        (CORRUPTIONS, "kinds.fog.accuracy[1]", 0.6, (0.5, 0.69)),
        (CORRUPTIONS, "kinds.fog.accuracy", 0.7, wilson(70, 100)),
        (CORRUPTIONS, "stability.rotate", 0.1, (0.05, 0.18)),
        (CORRUPTIONS, "stability.rotate.flip_share", 0.1, (0.05, 0.18)),
        (EXPLANATIONS, "methods.gradcam.deletion", 0.25, (0.25 - 1.959964 * 0.01, 0.25 + 1.959964 * 0.01)),
        (AUDIT, "label_errors", 0.06, (0.04, 0.09)),
        (AUDIT, "findings.label_errors.value", 0.06, (0.04, 0.09)),
        ([{"path": "a.png", "maps": [{"method": "saliency", "gap": 0.01}]}], "[0].maps.0.gap", 0.01, None),
    ],
)
def test_numbers_of_every_verb_are_found_with_their_intervals(
    document: Any, key: str, value: float, interval: tuple[float, float] | None
) -> None:
    found = measure(of(document), parse_key(key))
    assert found.value == pytest.approx(value)
    assert found.interval == (None if interval is None else pytest.approx(interval, abs=1e-6))


@pytest.mark.parametrize(
    ("right", "n", "gate", "passed"),
    [
        (92, 100, Gate("accuracy", "min", 0.92), True),
        (91, 100, Gate("accuracy", "min", 0.92), False),
        (92, 100, Gate("accuracy", "max", 0.92), True),
        (93, 100, Gate("accuracy", "max", 0.92), False),
        # The lower end of 95 of 100 is 0.8883, of 950 of 1,000 0.9347; the upper end of 950 is 0.9619.
        (95, 100, Gate("accuracy", "min", 0.92, worse_end=True), False),
        (950, 1000, Gate("accuracy", "min", 0.92, worse_end=True), True),
        (950, 1000, Gate("accuracy", "max", 0.96, worse_end=True), False),
        (950, 1000, Gate("accuracy", "max", 0.97, worse_end=True), True),
        # 44 of 44 reach 0.9197 only and 45 of 45 reach 0.9214: below 45 pictures nobody could pass.
        (44, 44, Gate("accuracy", "min", 0.92, worse_end=True), None),
        (45, 45, Gate("accuracy", "min", 0.92, worse_end=True), True),
        (5, 44, Gate("accuracy", "min", 0.92, worse_end=True), False),
        (0, 44, Gate("accuracy", "max", 0.08, worse_end=True), None),
        (0, 45, Gate("accuracy", "max", 0.08, worse_end=True), True),
        (40, 44, Gate("accuracy", "max", 0.08, worse_end=True), False),
        (29, 29, Gate("accuracy", "min", 0.5, pictures=30), None),
        (30, 30, Gate("accuracy", "min", 0.5, pictures=30), True),
    ],
)
def test_thresholds_by_hand(right: int, n: int, gate: Gate, passed: bool | None) -> None:
    verdict = check(evaluation(right, n), [gate])
    assert verdict.passed is passed, verdict.judged[0].sentence


def test_too_few_pictures_say_how_many_would_do() -> None:
    sentence = check(evaluation(44, 44), [Gate("accuracy", "min", 0.92, worse_end=True)]).judged[0].sentence
    assert "44 pictures are too few" in sentence
    assert "45 could" in sentence


def test_without_interval_or_counts_nothing_is_judged_at_the_worse_end() -> None:
    assert check(evaluation(9, 10), [Gate("ece", "max", 0.2, worse_end=True)]).passed is None
    assert check(evaluation(9, 10), [Gate("ece", "max", 0.2)]).passed is True
    assert check(evaluation(9, 10, ece=None), [Gate("ece", "max", 0.2)]).passed is None


def test_each_class_slice_and_corruption_must_hold_and_those_that_do_not_are_named() -> None:
    result = evaluation(150, 200, per_class=CLASSES, slices=SLICES)
    by_class = check(result, [Gate("accuracy", "min", 0.7, "class")]).judged[0]
    assert (by_class.passed, by_class.value) == (False, 0.6)
    assert "1 of 2 fails: dog (60%" in by_class.sentence
    assert [part.passed for part in by_class.parts] == [True, False]
    by_slice = check(result, [Gate("accuracy", "min", 0.6, "slice")]).judged[0]
    assert "night (50%" in by_slice.sentence
    by_kind = check(of(CORRUPTIONS), [Gate("accuracy", "min", 0.5, "corruption")]).judged[0]
    assert (by_kind.passed, by_kind.value) == (False, pytest.approx(0.3))
    assert "snow (30%" in by_kind.sentence
    severest = check(of(CORRUPTIONS), [Gate("accuracy[0]", "min", 0.4, "corruption")]).judged[0]
    assert severest.passed is True


def test_a_class_without_pictures_is_not_judged_and_a_failing_one_decides() -> None:
    lacking = {**CLASSES, "owl": {"n": 0, "accuracy": None}}
    assert check(evaluation(9, 10, per_class=lacking), [Gate("accuracy", "min", 0.5, "class")]).passed is None
    assert check(evaluation(9, 10, per_class=lacking), [Gate("accuracy", "min", 0.7, "class")]).passed is False
    assert check(evaluation(9, 10, per_class={}), [Gate("accuracy", "min", 0.7, "class")]).passed is None


def test_groups_that_a_document_does_not_have_are_told_with_the_verb_that_has_them() -> None:
    for by, words in (("slice", "evaluate --slice"), ("corruption", "corruptions")):
        with pytest.raises(UsageError, match=words):
            check(evaluation(9, 10), [Gate("accuracy", "min", 0.7, by)])


def test_an_audit_is_judged_by_its_findings() -> None:
    bad = check(of(AUDIT))
    assert bad.passed is False
    assert "label_errors" in bad.judged[0].sentence
    assert "1 finding could not be judged" in bad.judged[0].sentence
    mended = copy.deepcopy(AUDIT)
    mended["findings"][1]["judgement"] = "look"
    assert check(of(mended)).passed is True
    assert check(of(mended), [Gate("findings", "judgement", "good")]).passed is False
    assert check(of(mended), [Gate("label_errors", "judgement", "look")]).passed is True
    assert check(of(mended), [Gate("leaked_pictures", "judgement", "look")]).passed is None
    assert check(of({"findings": []})).passed is None
    assert check(of(AUDIT), [Gate("label_errors", "max", 0.05, worse_end=True)]).judged[0].section == "labels"
    assert check(of(AUDIT), [Gate("leaked_pictures", "max", 0.05)]).passed is None


def test_other_results_need_a_gate_or_a_baseline() -> None:
    with pytest.raises(UsageError, match="--gate"):
        check(evaluation(9, 10))
    with pytest.raises(UsageError, match="no findings"):
        check(evaluation(9, 10), [Gate("findings", "judgement", "look")])
    with pytest.raises(UsageError, match="no judgement"):
        check(evaluation(9, 10), [Gate("accuracy", "judgement", "look")])


def test_one_failure_outweighs_what_could_not_be_judged() -> None:
    gates = [Gate("accuracy", "min", 0.95), Gate("ece", "max", 0.2, worse_end=True), Gate("accuracy", "min", 0.1)]
    verdict = check(evaluation(90, 100), gates)
    assert [one.passed for one in verdict.judged] == [False, None, True]
    assert verdict.passed is False
    assert len(verdict.lines()) == 3
    assert check(evaluation(90, 100), gates[1:]).passed is None


def test_a_share_is_asked_for_as_a_share() -> None:
    with pytest.raises(UsageError, match="a share of 1"):
        check(evaluation(90, 100), [Gate("accuracy", "min", 92)])


def test_what_is_just_below_does_not_read_as_if_it_were_enough() -> None:
    sentence = check(evaluation(91_999, 100_000), [Gate("accuracy", "min", 0.92)]).judged[0].sentence
    assert sentence.startswith("accuracy is 91.999%")


@pytest.mark.parametrize("value", ["high", True, float("nan"), float("inf"), {"a": 1}, [1, "2"], [[1]], 10**400])
def test_values_that_are_no_numbers_are_told(value: Any) -> None:
    with pytest.raises(FileError, match="expected"):
        check(evaluation(9, 10, ece=value), [Gate("ece", "max", 0.5)])


@pytest.mark.parametrize(
    "more",
    [
        {"accuracy_interval": "wide"},
        {"accuracy_interval": [0.9, 0.1]},
        {"accuracy_interval": [0.1]},
        {"accuracy_interval": [float("nan"), 1]},
        {"n": -1},
        {"n": "many"},
        {"n": 2.5},
        {"n": True},
    ],
)
def test_intervals_and_counts_that_are_none_are_told(more: dict[str, Any]) -> None:
    with pytest.raises(FileError, match="expected"):
        check(evaluation(9, 10, **more), [Gate("accuracy", "min", 0.5)])


@pytest.mark.parametrize(
    "findings", [{}, "many", [3], [{"name": 3}], [{"name": "a", "value": "b"}], [{"name": "a", "interval": 3}]]
)
def test_findings_that_are_none_are_told(findings: Any) -> None:
    with pytest.raises(FileError):
        check(of({"findings": findings}))


def test_findings_without_a_known_judgement_are_not_judged() -> None:
    for judgement in (None, 3, "superb", "not judged", []):
        assert check(of({"findings": [{"name": "a", "value": 1, "judgement": judgement}]})).passed is None
