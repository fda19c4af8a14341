"""Two models, finding by finding: better, worse and no difference shown, by what pictures add to each number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight import Classifier
from backlight.audit import CHECKS, Finding, audit
from backlight.audit.paired import compare_findings, paired_finding, values_of
from backlight.data import Dataset
from backlight.report.audit import audit_sections
from backlight.report.audit_verdict import AuditFacts

IDS = [str(row) for row in range(400)]


def finding(name: str, values: np.ndarray, larger_is_better: bool = True, ids: list[str] = IDS) -> Finding:
    share = float(np.mean(values))
    behind = values_of(ids, values)
    return Finding(
        name, "accuracy", share, None, 400, "good", "So.", per_picture=behind, larger_is_better=larger_is_better
    )


def test_each_finding_is_better_worse_or_not_told_apart() -> None:
    draw = np.random.default_rng(0)
    base = draw.random(400) < 0.7
    more, other = base | (np.arange(400) % 5 == 0), base.copy()
    other[:3] = ~other[:3]
    first = [finding("accuracy", base), finding("mistakes", base, False), finding("top5", base)]
    second = [finding("accuracy", more), finding("mistakes", more, False), finding("top5", other)]
    found = compare_findings(first, [one for one in reversed(second)])
    assert [(one.name, one.word) for one in found] == [
        ("accuracy", "better"),
        ("mistakes", "worse"),
        ("top5", "no difference shown"),
    ]
    assert found[0].difference == pytest.approx(more.mean() - base.mean())
    assert found[0].interval[0] < found[0].difference < found[0].interval[1]
    told = paired_finding(found, "second")
    assert told.judgement == "look"
    assert "better by accuracy; worse by mistakes; no difference is shown by 1" in told.sentence


def test_pictures_are_paired_by_id_and_those_of_one_model_alone_are_left_out() -> None:
    values = np.arange(400) % 3 == 0
    order = np.random.default_rng(1).permutation(400)[:300]
    (one,) = compare_findings(
        [finding("accuracy", values)], [finding("accuracy", values[order], ids=[IDS[row] for row in order])]
    )
    assert (one.n, one.difference, one.word) == (300, 0.0, "no difference shown")


def test_chance_alone_is_not_told_apart_in_most_of_twenty() -> None:
    alarms = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        first, second = ([finding(str(number), draw.random(400) < 0.6) for number in range(8)] for _ in range(2))
        alarms += any(one.word != "no difference shown" for one in compare_findings(first, second))
    assert alarms <= 3


def network(favor: float) -> Classifier:
    """Tell dark pictures from light ones; where light ones are favored much, everything is called light."""
    last = nn.Linear(12, 2)
    with torch.no_grad():
        last.weight.copy_(torch.stack([-torch.ones(12), torch.ones(12)]))
        last.bias.copy_(torch.tensor([6.0 - favor, favor - 6.0]))
    net = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), last)
    return Classifier.from_module(net, size=32, labels=["dark", "light"])


def pictures() -> tuple[Tensor, list[int]]:
    draw = torch.Generator().manual_seed(0)
    labels = [row % 2 for row in range(160)]
    levels = torch.tensor(labels).view(-1, 1, 1, 1) * 90 + 40
    return (levels + torch.randint(0, 90, (160, 3, 32, 32), generator=draw)).to(torch.uint8), labels


@pytest.mark.slow
def test_an_audit_compares_two_models_on_every_finding_that_pictures_add_to() -> None:
    data = Dataset.of(*pictures(), ["dark", "light"])
    found = audit(network(0.0), data, second=network(5.0), depth="normal")
    names = {one.name for one in found.paired}
    assert {"accuracy", "calibration_error", "confident_mistakes", "set_size", "corruption_accuracy"} <= names
    assert {"stability", "smallest_change", "frame_against_middle", "unknown_inputs"} <= names
    by_name = {one.name: one for one in found.paired}
    assert by_name["accuracy"].word == "worse"
    told = {one.name: one for one in found.findings}["second_model_findings"]
    assert told.section == "second"
    assert "accuracy" in told.sentence
    html = "".join(one.html for one in audit_sections(found, AuditFacts("d", pictures=False)))
    assert "Two models, picture by picture" in html
    alone = audit(network(0.0), data, depth="quick", checks=[CHECKS["accuracy"]])
    assert alone.paired == ()
