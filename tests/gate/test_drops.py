"""A drop counts when a test finds it: closed forms, brute force, tables that pair, tables that do not belong."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backlight.core.errors import FileError, UsageError
from backlight.evaluate.calibration import reliability
from backlight.gate import Gate, Result, Verdict, check
from backlight.table import Table
from backlight.table.statistics import mcnemar, paired_interval, unpaired_interval
from tests.gate.documents import AUDIT, CORRUPTIONS, EXPLANATIONS, evaluation, saved

DROP = Gate("accuracy", "max_drop", 0.01)


def against(result: Result, baseline: Result, gate: Gate = DROP) -> Any:
    judged = check(result, [gate], baseline).judged[0]
    return judged.against | {"passed": judged.passed, "sentence": judged.sentence}


def test_forty_against_forty_three_of_five_hundred_is_no_drop_and_thirty_is() -> None:
    before = evaluation(215, 500)
    assert check(evaluation(200, 500), [DROP], before).passed is True
    assert check(evaluation(150, 500), [DROP], before).passed is False
    assert check(evaluation(230, 500), [DROP], before).passed is True
    assert "may be chance" in check(evaluation(200, 500), [DROP], before).judged[0].sentence


def test_a_small_drop_that_is_real_is_allowed_up_to_the_threshold() -> None:
    before, now = evaluation(90_000, 100_000), evaluation(89_400, 100_000)
    assert against(now, before)["p"] < 0.001
    assert check(now, [DROP], before).passed is True
    assert check(now, [Gate("accuracy", "max_drop", 0.005)], before).passed is False


def fisher(a: int, b: int, c: int, d: int) -> float:
    """Sum the probabilities of all tables with these margins that are no likelier than this one."""
    total = math.comb(a + b + c + d, a + c)

    def likely(x: int) -> float:
        return math.comb(a + b, x) * math.comb(c + d, a + c - x) / total

    possible = range(max(0, a - d), min(a + b, a + c) + 1)
    return sum(one for x in possible if (one := likely(x)) <= likely(a) * (1 + 1e-7))


@pytest.mark.parametrize(("now", "before"), [((3, 10), (9, 10)), ((40, 50), (45, 60)), ((0, 7), (7, 7))])
def test_counts_are_compared_by_the_exact_test(now: tuple[int, int], before: tuple[int, int]) -> None:
    found = against(evaluation(*now), evaluation(*before))
    expected = fisher(now[0], now[1] - now[0], before[0], before[1] - before[0])
    assert found["p"] == pytest.approx(expected)
    assert found["interval"] == pytest.approx(unpaired_interval(before, now))
    assert "unpaired" in found["test"]


def test_the_paired_test_is_the_binomial_one_of_those_that_differ() -> None:
    for first, second in itertools.product(range(8), range(8)):
        n = first + second
        weights = [math.comb(n, k) / 2**n for k in range(n + 1)]
        by_hand = sum(one for one in weights if one <= weights[first] * (1 + 1e-9)) if n else 1.0
        assert mcnemar(first, second) == pytest.approx(by_hand)


def test_pictures_are_paired_through_the_tables(tmp_path: Path) -> None:
    # 430 of 500 before; of these 15 fell and none rose: no test on counts sees it, a paired one does.
    before = [True] * 430 + [False] * 70
    now = [False] * 15 + [True] * 415 + [False] * 70
    old, new = saved(tmp_path / "old", "e.json", before), saved(tmp_path / "new", "e.json", now)
    found = against(new, old)
    assert found["p"] == pytest.approx(2 * 0.5**15)
    assert found["interval"] == pytest.approx(paired_interval(0, 15, 500))
    assert "McNemar" in found["test"]
    assert found["passed"] is False
    bare = [Result(one.document, one.name) for one in (new, old)]
    assert against(*bare)["passed"] is True
    assert "unpaired" in against(*bare)["test"]


def test_order_does_not_matter_and_only_shared_pictures_count(tmp_path: Path) -> None:
    old = saved(tmp_path / "old", "e.json", [True] * 60)
    new = saved(tmp_path / "new", "e.json", [False] * 10 + [True] * 30, start=30)
    shuffled = Table.read(tmp_path / "new" / "samples.parquet").sort("id", descending=True)
    shuffled.write(tmp_path / "new" / "samples.parquet")
    found = against(new, old)
    assert (found["n"], found["value"], found["difference"]) == (30, 1.0, pytest.approx(-1 / 3))
    assert any("of 60 pictures, this is of 40" in one for one in check(new, [DROP], old).notes)
    strangers = saved(tmp_path / "other", "e.json", [True] * 40, start=500)
    assert "unpaired" in against(strangers, old)["test"]


def test_by_class_pictures_of_a_class_are_paired_and_many_tests_ask_for_more(tmp_path: Path) -> None:
    labels = [0] * 50 + [1] * 50
    old = saved(tmp_path / "old", "e.json", [True] * 100, labels=labels)
    new = saved(tmp_path / "new", "e.json", [True] * 50 + [False] * 10 + [True] * 40, labels=labels)
    judged = check(new, [Gate("accuracy", "max_drop", 0.05, "class")], old).judged[0]
    assert [part.passed for part in judged.parts] == [True, False]
    assert "dog" in judged.sentence
    assert judged.against is not None
    assert judged.against["p"] == pytest.approx(2 * 0.5**10)
    # Six of six that fell are 0.031: enough for one question, not for two.
    fell = saved(tmp_path / "six", "e.json", [True] * 50 + [False] * 6 + [True] * 44, labels=labels)
    assert check(fell, [DROP], old).passed is False
    assert check(fell, [Gate("accuracy", "max_drop", 0.01, "class")], old).passed is True


def test_too_few_pictures_to_tell_any_drop_are_not_judged() -> None:
    assert check(evaluation(2, 3), [DROP], evaluation(3, 3)).passed is None
    assert check(evaluation(0, 3), [DROP], evaluation(3, 3)).passed is None
    assert check(evaluation(0, 4), [DROP], evaluation(4, 4)).passed is False
    assert "too few" in check(evaluation(2, 3), [DROP], evaluation(3, 3)).judged[0].sentence


def test_a_baseline_that_was_nearly_always_wrong_cannot_drop() -> None:
    assert check(evaluation(0, 500), [DROP], evaluation(2, 500)).passed is None
    assert check(evaluation(200, 500), [DROP], evaluation(2, 500)).passed is True


def test_what_should_stay_low_must_not_rise() -> None:
    def stability(share: float) -> Result:
        return Result({"n": 400, "kinds": {}, "stability": {"rotate": {"flip_share": share}}}, "c.json")

    gate = Gate("stability.rotate.flip_share", "max_rise", 0.01)
    assert check(stability(0.3), [gate], stability(0.1)).passed is False
    assert check(stability(0.11), [gate], stability(0.1)).passed is True
    assert check(stability(0.01), [gate], stability(0.1)).passed is True


def test_means_that_are_no_shares_are_compared_by_drawing_pictures_again(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    scores = draw.normal(0.5, 0.2, 200)

    def scored(name: str, values: np.ndarray) -> Result:
        folder = tmp_path / name
        folder.mkdir()
        Table.of({"id": list(range(len(values))), "gradcam.deletion": values}).write(folder / "scores.parquet")
        entry = {"mean": float(values.mean()), "standard_error": float(values.std() / len(values) ** 0.5)}
        return Result({"n": len(values), "methods": {"gradcam": {"deletion": entry}}}, "x.json", folder)

    gate = Gate("methods.gradcam.deletion.mean", "max_drop", 0.0)
    old, lower = scored("old", scores), scored("lower", scores - 0.02 + draw.normal(0, 0.05, 200))
    found = against(lower, old, gate)
    assert found["test"] == "a paired bootstrap"
    assert found["passed"] is False
    # The normal interval of a mean of paired differences, to a tenth of its width.
    apart = Table.read(tmp_path / "lower" / "scores.parquet")["gradcam.deletion"] - scores
    half = 1.96 * float(apart.std(ddof=1)) / 200**0.5
    assert found["interval"] == pytest.approx([apart.mean() - half, apart.mean() + half], abs=half / 5)
    assert against(lower, old, gate) == found, "drawn by a key, so the same each time"
    assert against(scored("same", scores), old, gate)["p"] == 1.0
    noisy = scored("noisy", scores + draw.normal(0, 0.2, 200) - 0.005)
    assert against(noisy, old, gate)["passed"] is True
    assert against(scored("few", scores[:5] - 1), scored("few_old", scores[:5]), gate)["passed"] is None


def test_the_calibration_error_is_compared_by_drawing_pictures_again(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    confidence, right = draw.uniform(0.5, 1, 400), np.zeros(400, dtype=bool)
    right[draw.uniform(size=400) < confidence] = True

    def claims(name: str, confidence: np.ndarray) -> Result:
        folder = tmp_path / name
        folder.mkdir()
        columns = {"id": list(range(400)), "label": [0] * 400, "prediction": np.where(right, 0, 1)}
        table = Table.of(columns | {"confidence": confidence})
        table.write(folder / "samples.parquet")
        return Result({"n": 400, "ece": reliability(table).ece, "per_class": {}}, "e.json", folder)

    gate, old = Gate("ece", "max_rise", 0.02), claims("old", confidence)
    boasting = against(claims("boasting", confidence**0.2), old, gate)
    assert (boasting["test"], boasting["passed"]) == ("a paired bootstrap", False)
    assert boasting["interval"][0] > 0.02
    assert against(claims("alike", confidence * 0.99), old, gate)["passed"] is True


def test_intervals_alone_are_compared_too() -> None:
    document = {
        "findings": [{"name": "ece", "section": "calibration", "value": 0.05, "interval": [0.03, 0.07], "n": 9}]
    }
    worse = json.loads(json.dumps(document))
    worse["findings"][0] |= {"value": 0.12, "interval": [0.10, 0.14]}
    gate = Gate("ece", "max_rise", 0.01)
    found = against(Result(worse, "new.json"), Result(document, "old.json"), gate)
    assert found["passed"] is False
    # Two half widths of 0.02: 0.07 is 1.96 * 0.07 / 0.02828 = 4.85 standard deviations.
    assert found["p"] == pytest.approx(math.erfc(1.959964 * 0.07 / (0.02 * 2**0.5) / 2**0.5), rel=1e-4)
    assert (
        check(Result(EXPLANATIONS, "x.json"), [Gate("n", "max_drop", 0)], Result(EXPLANATIONS, "y.json")).passed is None
    )


def test_findings_that_are_shares_of_pictures_are_compared_by_counts() -> None:
    better = json.loads(json.dumps(AUDIT))
    found = against(Result(better, "new.json"), Result(AUDIT, "old.json"))
    assert found["test"].startswith("Fisher")
    wrong = against(Result(better, "new.json"), Result(AUDIT, "old.json"), Gate("label_errors", "max_rise", 0.01))
    assert wrong["test"] == "both intervals, unpaired"


def test_kinds_and_their_mean_are_paired(tmp_path: Path) -> None:
    label = np.zeros(20, dtype=np.int64)
    fog, snow = np.zeros((20, 2), dtype=np.int64), np.zeros((20, 2), dtype=np.int64)
    snow[:10, 1] = 1

    def study(name: str, fog: np.ndarray, snow: np.ndarray) -> Result:
        folder = tmp_path / name
        folder.mkdir()
        columns = {"id": list(range(20)), "label": label, "prediction": label}
        Table.of(columns | {"fog.prediction": fog, "snow.prediction": snow}).write(folder / "corruptions.parquet")
        means = {kind: (said == 0).mean(0).tolist() for kind, said in (("fog", fog), ("snow", snow))}
        document = CORRUPTIONS | {"n": 20, "kinds": {kind: {"accuracy": one} for kind, one in means.items()}}
        document |= {"mean_accuracy": float(np.mean(list(means.values()))), "clean_accuracy": 1.0}
        return Result(document, "corruptions.json", folder)

    old = study("old", fog, snow)
    fallen = fog.copy()
    fallen[:12, 0] = 1
    new = study("new", fallen, snow)
    place = against(new, old, Gate("kinds.fog.accuracy[0]", "max_drop", 0.01))
    assert (place["test"], place["p"]) == ("McNemar's exact test", pytest.approx(2 * 0.5**12))
    assert against(new, old, Gate("kinds.fog.accuracy[1]", "max_drop", 0.01))["p"] == 1.0
    mean = against(new, old, Gate("mean_accuracy", "max_drop", 0.01))
    assert (mean["test"], mean["difference"]) == ("a paired bootstrap", pytest.approx(-12 / 80))
    by = check(new, [Gate("accuracy", "max_drop", 0.1, "corruption")], old).judged[0]
    assert [part.passed for part in by.parts] == [False, True]


def test_a_table_of_another_result_is_not_taken(tmp_path: Path) -> None:
    old, new = (saved(tmp_path / name, "e.json", [True] * 90 + [False] * 10) for name in ("old", "new"))
    saved(tmp_path / "other", "e.json", [False] * 100)
    (tmp_path / "other" / "samples.parquet").replace(tmp_path / "new" / "samples.parquet")
    assert "unpaired" in against(new, old)["test"]


def test_a_document_leads_to_no_table_outside_of_its_folder(tmp_path: Path) -> None:
    old = saved(tmp_path / "old", "e.json", [True] * 100)
    new = saved(tmp_path / "new", "e.json", [True] * 90 + [False] * 10)
    (tmp_path / "new" / "samples.parquet").rename(tmp_path / "secret.parquet")
    for name in ("../secret.parquet", str(tmp_path / "secret.parquet"), "\0", "/dev/zero", "."):
        stranger = Result(new.document | {"table": name}, new.name, new.folder)
        assert stranger.tables == ()
        assert "unpaired" in against(stranger, old)["test"]


def test_the_table_beside_the_page_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old, new = (saved(tmp_path / name, "e.json", [True] * 90 + [False] * 10) for name in ("old", "new"))
    moved = [Result(one.document | {"html": f"{name}/report.html"}, "e.json", tmp_path) for name, one in
             (("old", old), ("new", new))]  # fmt: skip
    assert "McNemar" in against(moved[1], moved[0])["test"]


def test_tables_that_are_none_and_columns_of_text_are_told(tmp_path: Path) -> None:
    old, new = (saved(tmp_path / name, "e.json", [True] * 90 + [False] * 10) for name in ("old", "new"))
    (tmp_path / "new" / "samples.parquet").write_text("no table")
    with pytest.raises(FileError, match=r"samples\.parquet"):
        check(new, [DROP], old)
    Table.of(id=["a"], label=["x"], prediction=["y"]).write(tmp_path / "new" / "samples.parquet")
    with pytest.raises(FileError, match="'label'"):
        check(new, [DROP], old)


@pytest.mark.parametrize(("name", "value"), [("split", "val"), ("attack", "fgsm"), ("eps", 0.1), ("severities", [1])])
def test_results_of_different_questions_are_refused(name: str, value: Any) -> None:
    one, other = evaluation(9, 10, **{name: value}), evaluation(9, 10, attack="pgd", eps=0.03, severities=[1, 2])
    with pytest.raises(UsageError, match=name):
        check(one, [DROP], other)


def test_other_data_are_said() -> None:
    prints = [{"fingerprint": one} for one in ("aa", "bb")]
    verdict = check(evaluation(9, 10, data=prints[0]), [DROP], evaluation(9, 10, data=prints[1]))
    assert "fingerprints" in verdict.notes[0]
    assert check(evaluation(9, 10, data=prints[0]), [DROP], evaluation(9, 10, data=prints[0])).notes == ()


def test_without_a_gate_the_accuracies_must_not_have_dropped() -> None:
    def passed(right: int) -> Verdict:
        return check(evaluation(right, 500), baseline=evaluation(215, 500))

    assert passed(200).passed is True
    assert passed(150).passed is False
    assert [one.gate.metric for one in passed(150).judged] == ["accuracy"]
    both = check(Result(AUDIT, "new.json"), baseline=Result(AUDIT, "old.json"))
    assert [one.gate.metric for one in both.judged] == ["findings", "accuracy"]


def test_a_baseline_without_the_class_is_not_judged_and_without_the_metric_an_error() -> None:
    cats = {"cat": {"n": 100, "accuracy": 0.9}}
    owls = cats | {"owl": {"n": 100, "accuracy": 0.9}}
    gate = Gate("accuracy", "max_drop", 0.1, "class")
    judged = check(evaluation(9, 10, per_class=owls), [gate], evaluation(9, 10, per_class=cats)).judged[0]
    assert [part.passed for part in judged.parts] == [True, None]
    with pytest.raises(UsageError, match="no top5"):
        check(evaluation(9, 10, top5=1.0), [Gate("top5", "max_drop", 0.1)], evaluation(9, 10))
    with pytest.raises(UsageError, match="--baseline"):
        check(evaluation(9, 10), [DROP])
