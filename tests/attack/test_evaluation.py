"""Robustness on a data set: the table's numbers, resuming, audits, budgets, curves and verdicts."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from backlight.attack import Challenge, ThreatModel
from backlight.attack.audit import most_broken, random_rows
from backlight.attack.checks import check_model, judge_table, not_monotone
from backlight.attack.curve import join, reach_of
from backlight.attack.evaluation import evaluate_robustness
from backlight.attack.known import Known
from backlight.attack.request import RobustnessRequest
from backlight.classifier import Classifier
from backlight.cli.app import app
from backlight.core.errors import DataError, UsageError
from backlight.data.dataset import Dataset
from backlight.report.robustness import robustness_section
from backlight.table import Table
from backlight.testing import small_net, unchanged
from tests.attack.nets import pictures, sharp_net
from tests.processes import run_script


def classifier_of() -> Classifier:
    return Classifier.from_module(sharp_net(), size=16, labels=[str(number) for number in range(5)])


def data(count: int = 30) -> Dataset:
    """Pictures of which every fifth is misclassified."""
    images = (pictures(count) * 255).round().to(torch.uint8)
    labels = classifier_of().logits(images.float() / 255).argmax(1)
    labels[::5] = (labels[::5] + 1) % 5
    return Dataset.of(images, labels, [str(number) for number in range(5)])


PGD = RobustnessRequest("pgd", eps="2/255", options={"steps": 8}, checks=False)


def test_numbers_follow_from_the_table() -> None:
    found = evaluate_robustness(classifier_of(), data(), PGD)
    table, document = found.table, found.to_json()
    assert document["n"] == 30
    assert found.clean_accuracy == pytest.approx(0.8)
    assert found.robust_accuracy == table["robust"].mean()
    assert 0 < found.robust_accuracy < 0.8
    assert found.by_attack == {"pgd": found.robust_accuracy}
    names = table["broken_by"].tolist()
    assert names.count("clean") == 6
    assert names.count("pgd") == 24 - int(table["robust"].sum())
    assert (table["attacked_prediction"] == table["label"]).tolist() == table["robust"].tolist()
    low, high = found.interval
    assert low < found.robust_accuracy < high
    assert int(found.flows.sum()) == 30
    assert int(np.trace(found.flows)) == int(table["robust"].sum())
    assert json.loads(json.dumps(document))["eps"] == 2 / 255


def test_accuracy_over_steps_falls_to_the_last() -> None:
    found = evaluate_robustness(classifier_of(), data(), PGD)
    left = found.over_steps([0, 1, 2, 4, 8])
    assert list(left.values()) == sorted(left.values(), reverse=True)
    assert left[8] == found.robust_accuracy


def test_accuracy_over_queries_falls_to_the_last() -> None:
    asked = RobustnessRequest("simba:queries=60,step=0.5", norm="linf", eps="8/255", checks=False)
    found = evaluate_robustness(classifier_of(), data(), asked)
    assert found.table["queries"].tolist() == found.table["forwards"].tolist()
    left = found.over_queries
    assert left is not None
    assert list(left.values()) == sorted(left.values(), reverse=True)
    assert left[0] == found.clean_accuracy
    assert left[60] == found.robust_accuracy < left[5]
    assert json.loads(json.dumps(found.to_json()))["by_queries"]["60"] == found.robust_accuracy
    assert "More queries for the attacker" in str(robustness_section(found).html)
    whole = evaluate_robustness(classifier_of(), data(), PGD)
    assert "queries" not in whole.table.names
    assert whole.over_queries is None


@pytest.mark.promises
def test_neither_blocks_nor_their_order_change_the_outcome() -> None:
    whole, parts = (evaluate_robustness(classifier_of(), data(), PGD, block=size) for size in (30, 7))
    assert whole.table.ids == parts.table.ids
    assert whole.table["robust"].tolist() == parts.table["robust"].tolist()
    assert whole.table["steps"].tolist() == parts.table["steps"].tolist()


def test_the_model_is_left_as_it_was() -> None:
    net = small_net(5)
    labels = [str(number) for number in range(5)]
    with unchanged(net):
        evaluate_robustness(
            Classifier.from_module(net, size=16, labels=labels), data(4), RobustnessRequest("fgsm", curve=True)
        )


@pytest.mark.promises
def test_finished_blocks_are_read_back(tmp_path: Path) -> None:
    first = evaluate_robustness(classifier_of(), data(), PGD, cache=tmp_path, block=10)
    assert len(list(tmp_path.glob("*.parquet"))) == 3
    calls = 0
    net = sharp_net()

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    net.register_forward_hook(count)
    again = Classifier.from_module(net, size=16, labels=classifier_of().labels)
    second = evaluate_robustness(again, data(), PGD, cache=tmp_path, block=10)
    assert second.table.rows() == first.table.rows()
    assert calls < 20


def test_another_seed_or_model_does_not_read_them(tmp_path: Path) -> None:
    evaluate_robustness(classifier_of(), data(), PGD, cache=tmp_path)
    evaluate_robustness(classifier_of(), data(), PGD, cache=tmp_path, seed=1)
    other = Classifier.from_module(sharp_net(seed=1), size=16, labels=classifier_of().labels)
    evaluate_robustness(other, data(), PGD, cache=tmp_path)
    assert len(list(tmp_path.glob("*.parquet"))) == 3


def test_a_larger_eps_begins_with_what_a_smaller_one_found(tmp_path: Path) -> None:
    small = evaluate_robustness(classifier_of(), data(), PGD, cache=tmp_path)
    request = RobustnessRequest("pgd", eps="3/255", options={"steps": 8}, checks=False)
    cold, warm = (evaluate_robustness(classifier_of(), data(), request, cache=one) for one in (None, tmp_path))
    assert warm.table["forwards"].sum() < cold.table["forwards"].sum()
    broken = ~small.table["robust"].astype(bool)
    assert not warm.table["robust"].astype(bool)[broken].any()
    assert warm.robust_accuracy <= cold.robust_accuracy


_KILLED = """
import sys
from pathlib import Path
from tests.attack.test_evaluation import PGD, classifier_of, data
from backlight.attack import evaluation
from backlight.sweep.parts import FolderParts
keep, finished = FolderParts.write, 0
def keep_and_die(*arguments):
    global finished
    keep(*arguments)
    finished += 1
    if finished == 2:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
FolderParts.write = keep_and_die
evaluation.evaluate_robustness(classifier_of(), data(), PGD, cache=Path(sys.argv[1]), block=10)
"""


def test_after_a_kill_the_same_table_comes_out(tmp_path: Path) -> None:
    ended = run_script(_KILLED, tmp_path)
    assert ended.status == -signal.SIGKILL, ended.err
    assert len(list(tmp_path.glob("*.parquet"))) == 2
    resumed = evaluate_robustness(classifier_of(), data(), PGD, cache=tmp_path, block=10)
    fresh = evaluate_robustness(classifier_of(), data(), PGD, block=10)
    assert resumed.table["robust"].tolist() == fresh.table["robust"].tolist()
    assert resumed.table["broken_by"].tolist() == fresh.table["broken_by"].tolist()
    assert resumed.table.ids == fresh.table.ids


def test_an_unfinished_block_is_not_taken_for_a_finished_one(tmp_path: Path) -> None:
    (tmp_path / "stray.parquet").write_bytes(b"")
    found = evaluate_robustness(classifier_of(), data(), PGD, cache=tmp_path)
    assert len(found.table) == 30
    assert Known.of(tmp_path, ["stray"], 1.0).block(["0", "1"]) is None


@pytest.mark.parametrize(
    ("survivors", "tested", "broken"), [(50, 20, 0), (50, 20, 3), (200, 25, 0), (30, 30, 4), (10, 1, 0), (10, 1, 1)]
)
def test_the_audit_bound_is_the_largest_that_is_not_refuted(survivors: int, tested: int, broken: int) -> None:
    from math import comb

    def at_most(number: int) -> float:
        ways = sum(comb(number, k) * comb(survivors - number, tested - k) for k in range(broken + 1))
        return ways / comb(survivors, tested)

    candidates = range(broken, survivors - (tested - broken) + 1)
    assert most_broken(survivors, tested, broken) == max(number for number in candidates if at_most(number) > 0.05)


def test_audit_and_budget_draws_depend_on_ids_alone() -> None:
    ids = [f"{number}.png" for number in range(50)]
    chosen = {ids[row] for row in random_rows(10, ids, 0).tolist()}
    backwards = ids[::-1]
    assert {backwards[row] for row in random_rows(10, backwards, 0).tolist()} == chosen


def test_an_audited_run_says_so_and_bounds_what_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from functools import partial

    from backlight.attack import request as requests
    from backlight.attack.auto import apgd, fab_t, square
    from backlight.attack.stages import Stage

    plan = (
        Stage("apgd-ce", partial(apgd, steps=3)),
        Stage("fab-t", partial(fab_t, steps=3, targets=2)),
        Stage("square", partial(square, steps=30)),
    )
    monkeypatch.setattr(requests, "PLANS", {"autoattack": plan})
    request = RobustnessRequest("autoattack", eps="1.5/255", mode="audited", audit=4, checks=False)
    found = evaluate_robustness(classifier_of(), data(), request)
    exact = evaluate_robustness(classifier_of(), data(), RobustnessRequest("autoattack", eps="1.5/255", checks=False))
    assert found.audit is not None
    survivors, tested, broken = found.audit
    assert tested == 4 < survivors
    robust, true = int(found.table["robust"].sum()), int(exact.table["robust"].sum())
    assert robust == survivors - broken
    assert robust - found.audit_bound <= true <= robust
    assert found.name == "autoattack, audited"
    assert "audited" in [verdict.name for verdict in found.verdicts]
    assert found.interval[0] < exact.interval[1]


def test_a_budget_stops_after_a_block_and_is_named() -> None:
    request = RobustnessRequest("pgd", eps="2/255", options={"steps": 8}, budget=1e-6, checks=False)
    found = evaluate_robustness(classifier_of(), data(), request, block=10)
    assert len(found.table) == 10
    assert found.to_json()["planned"] == 30
    assert "within" in found.name


def test_the_curve_falls_and_reaches_the_clean_accuracy_at_zero() -> None:
    request = RobustnessRequest("pgd", eps="2/255", options={"steps": 8}, curve=True, checks=False)
    found = evaluate_robustness(classifier_of(), data(20), request)
    assert found.curve is not None
    accuracy = found.curve.accuracy
    assert list(accuracy) == sorted(accuracy, reverse=True)
    assert accuracy[0] == found.clean_accuracy
    assert accuracy[-1] == 0
    assert 2 / 255 in found.curve.eps
    at = accuracy[found.curve.eps.index(2 / 255)]
    assert at <= found.robust_accuracy + 1e-9


def test_curves_of_blocks_join() -> None:
    classifier, x = classifier_of(), pictures(6)
    sizes = [0.0, 1 / 255, 4 / 255]
    ids = list("abcdef")
    whole = reach_of(Challenge.of(classifier, x, ids=ids), sizes, steps=20)
    parts = [reach_of(Challenge.of(classifier, x[k : k + 2], ids=ids[k : k + 2]), sizes, steps=20) for k in (0, 2, 4)]
    assert join(parts, sizes, "linf", ids).accuracy == join([whole], sizes, "linf", ids).accuracy


class Masked(nn.Module):
    """Rounds what it sees, so that gradients are zero."""

    def __init__(self, levels: float | None = None, noise: float = 0.0) -> None:
        super().__init__()
        self.net, self.levels, self.noise = sharp_net(), levels, noise

    def forward(self, x: Tensor) -> Tensor:
        if self.levels is not None:
            x = (x * self.levels).round() / self.levels
        logits = self.net(x)
        return logits + self.noise * torch.randn_like(logits) if self.noise else logits


def names(module: nn.Module) -> set[str]:
    challenge = Challenge.of(Classifier.from_module(module, size=16), pictures(20), threat=ThreatModel("linf", 8 / 255))
    return {verdict.name for verdict in check_model(challenge)}


def test_checks_find_nothing_on_an_honest_model() -> None:
    assert names(sharp_net()) == set()


def test_checks_find_rounding_that_hides_gradients() -> None:
    assert {"quantized model", "unbounded attack fails"} <= names(Masked(levels=8.0))


def test_checks_find_randomness() -> None:
    assert "randomized model" in names(Masked(noise=0.5))


def test_square_beats_gradients_where_they_are_masked() -> None:
    net = Classifier.from_module(Masked(levels=64.0), size=16, labels=classifier_of().labels)
    from functools import partial

    from backlight.attack.auto import apgd, square
    from backlight.attack.blocks import attack_block
    from backlight.attack.stages import Stage

    challenge = Challenge.of(net, pictures(10), threat=ThreatModel("linf", 8 / 255))
    stages = (Stage("apgd-ce", partial(apgd, steps=5)), Stage("square", partial(square, steps=150)))
    table = attack_block(challenge, [str(number) for number in range(10)], stages, {}).table
    found = {verdict.name: verdict for verdict in judge_table(table)}
    assert "square beats gradients" in found
    assert found["square beats gradients"].remedy


def test_zero_gradients_are_reported() -> None:
    columns = {"robust": [True, True], "zero_grads": [5, 0], "broken_by": ["", ""], "undecided": [False, True]}
    found = judge_table(Table.of({"id": ["a", "b"], **columns}))
    assert [verdict.name for verdict in found] == ["zero gradients", "undecided"]
    assert "1 of 2" in found[0].found


def test_a_rising_curve_is_reported() -> None:
    assert not_monotone([0.9, 0.5, 0.5], [0.0, 0.1, 0.2]) is None
    verdict = not_monotone([0.9, 0.5, 0.6], [0.0, 0.1, 0.2])
    assert verdict is not None
    assert "0.2" in verdict.found


@pytest.mark.parametrize(
    "request_",
    [
        RobustnessRequest("pgd", mode="audited"),
        RobustnessRequest("autoattack", mode="sampled"),
        RobustnessRequest("fgsm", options={"steps": 3}),
        RobustnessRequest("nothing"),
        RobustnessRequest("pgd", eps=8),
    ],
)
def test_wrong_requests_are_refused(request_: RobustnessRequest) -> None:
    with pytest.raises(UsageError):
        evaluate_robustness(classifier_of(), data(4), request_)


def test_unlabeled_data_is_refused() -> None:
    unlabeled = Dataset.of(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
    with pytest.raises(DataError, match="labels"):
        evaluate_robustness(classifier_of(), unlabeled, PGD)


def test_the_verb_prints_the_document_and_resumes(tmp_path: Path) -> None:
    factory = tmp_path / "net.py"
    factory.write_text(
        "from tests.attack.test_evaluation import classifier_of\n\ndef net():\n    return classifier_of()\n"
    )
    where = tmp_path / "data.npz"
    rows = data(12)
    images = rows.read(range(12)).permute(0, 2, 3, 1).numpy()
    np.savez(where, X=images, y=rows.labels.numpy(), label_names=np.array(list(rows.label_names)))
    arguments = ["robustness", "--data", str(where), "--split", "all", "--model", f"{factory}:net", "--attack", "pgd"]
    arguments += ["--steps", "1,3,8", "--eps", "2/255", "--json", "--quiet", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["n"] == 12
    assert set(document["by_steps"]) == {"1", "3", "8"}
    keys = "n attack mode norm eps target clean_accuracy clean_top5 robust_accuracy robust_top5 interval by_attack"
    keys += " undecided forwards backwards seconds verdicts"
    assert set(keys.split()) <= set(document)
    assert isinstance(CliRunner().invoke(app, arguments).exception, UsageError)
    again = json.loads(CliRunner().invoke(app, [*arguments, "--resume"]).stdout)
    assert again["robust_accuracy"] == document["robust_accuracy"]
    assert Table.read(tmp_path / "out" / "robustness.parquet").ids == [str(number) for number in range(12)]
