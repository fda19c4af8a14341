"""The section of a robustness evaluation: its numbers are the table's, its pictures are those that were judged."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backlight.attack.evaluation import evaluate_robustness
from backlight.attack.extremes import Extremes, pick_extremes
from backlight.attack.request import RobustnessRequest
from backlight.attack.robustness import Robustness
from backlight.attack.threat import ThreatModel
from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.images import to_tensor
from backlight.page.sections import percent
from backlight.report.robust_pictures import pictures_html
from backlight.report.robust_words import goal_words, size_text, threat_words
from backlight.report.robustness import classes_under_attack, robustness_section
from backlight.table import Table
from backlight.table.statistics import wilson
from tests.attack.nets import pictures, sharp_net
from tests.report.reading import Document, stored

LABELS = ["<b>bold</b>", "dog", "cat", "owl", "ant"]
REQUEST = RobustnessRequest("pgd", eps="2/255", options={"steps": 8}, curve=True, checks=False)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Robustness:
    classifier = Classifier.from_module(sharp_net(), size=16, labels=LABELS)
    images = (pictures(30) * 255).round().to(torch.uint8)
    labels = classifier.logits(images.float() / 255).argmax(1)
    labels[::5] = (labels[::5] + 1) % 5
    ids = [f"<{row}>.png" for row in range(30)]
    data = Dataset.of(images, labels, LABELS, ids)
    return evaluate_robustness(classifier, data, REQUEST, cache=tmp_path_factory.mktemp("blocks"), block=12)


def document(found: Robustness, **options) -> Document:
    return Document(str(robustness_section(found, **options).html))


def test_everything_measured_is_on_the_page(found: Robustness) -> None:
    text = document(found, data="toys", steps=(1, 3, 8)).text
    for share, name in ((found.clean_accuracy, "clean"), (found.robust_accuracy, "robust")):
        low, high = found.intervals[name]
        assert percent(share) in text
        assert f"{percent(low)} to {percent(high)}" in text
    for words in ("toys", "2/255", "Exact: every attack", "linf", "wrong before any attack", "withstood all of it"):
        assert words in text
    for heading in ("What each attack leaves", "More room", "More time", "How large", "Class by class", "turns into"):
        assert heading in text
    for kind in ("png", "jpeg"):
        assert found.survival is not None
        assert percent(found.survival.share(kind)) in text
        assert percent(found.survival.interval(kind)[1]) in text
    assert f"{found.table['forwards'].sum():,} forward" in text
    assert f"{found.table['backwards'].sum():,} backward" in text


def test_names_from_outside_are_escaped(found: Robustness) -> None:
    markup = str(robustness_section(found, data="<i>").html)
    assert "<b>" not in markup
    assert "<i>" not in markup
    assert "&lt;b&gt;bold" in markup
    assert "&lt;0&gt;.png" in markup


def test_charts_are_drawings_with_words_for_those_who_do_not_see(found: Robustness) -> None:
    page = document(found, steps=(1, 3, 8))
    charts = [one for one in page.all("svg") if one.get("class") == "chart"]
    assert len(charts) == 4
    assert all(one["aria-label"] for one in charts)
    assert all(one["alt"] for one in page.all("img"))


def test_without_a_curve_and_steps_there_is_no_such_chart(found: Robustness) -> None:
    plain = replace(found, curve=None, pictures=None)
    page = document(plain)
    assert len([one for one in page.all("svg") if one.get("class") == "chart"]) == 2
    assert "does not look for the smallest" in page.text
    assert not page.all("image")


def test_shown_pictures_are_those_that_were_judged(found: Robustness) -> None:
    page, shown = document(found), found.pictures
    assert shown is not None
    for pick in shown.picks:
        for kind, name in zip(("least", "most") if len(pick.ids) == 2 else ("only",), pick.ids):
            place = shown.row(name)
            for key, images in ((f"robust-{pick.label}-{kind}", shown.images),):
                assert np.allclose(to_tensor(stored(page, key)), images[place], atol=0.51 / 255)
                original = to_tensor(stored(page, f"{key}-crop"))
                assert torch.allclose(original, shown.originals[place], atol=1e-6)


def test_kept_pictures_break_what_the_table_says_they_break(found: Robustness) -> None:
    shown = found.pictures
    assert shown is not None
    classifier = Classifier.from_module(sharp_net(), size=16, labels=LABELS)
    robust = dict(zip(found.table.ids, found.table["robust"].tolist()))
    labels = dict(zip(found.table.ids, found.table["label"].tolist()))
    for place, name in enumerate(shown.ids):
        assert int(shown.before[place].argmax()) == labels[name]
        assert (int(shown.after[place].argmax()) == labels[name]) == robust[name]
        assert int(classifier.logits(shown.images[place : place + 1]).argmax()) == int(shown.after[place].argmax())
        change = (shown.images[place] - shown.originals[place]).abs().max()
        assert change <= 2 / 255 + 1e-6


def test_extremes_are_the_nearest_and_the_farthest_of_each_class(found: Robustness) -> None:
    assert found.pictures is not None
    known, table = found.smallest, found.table
    assert known is not None
    assert found.pictures.by == "distance"
    for pick in found.pictures.picks:
        own = [
            name
            for name, label, by in zip(table.ids, table["label"], table["broken_by"])
            if label == pick.label and by != "clean"
        ]
        assert known[pick.least] == min(known[name] for name in own)
        assert known[pick.most] == max(known[name] for name in own)
    shares = [table["robust"][table["label"] == pick.label].mean() for pick in found.pictures.picks]
    assert shares == sorted(shares)


def test_without_known_distances_margins_decide() -> None:
    columns = {"label": [0, 0, 0, 1], "margin": [-0.5, 2.0, -3.0, -1.0], "robust": [False, True, False, False]}
    table = Table.of({"id": list("abcd"), **columns, "broken_by": ["pgd", "", "clean", "clean"]})
    (pick,) = pick_extremes(table, None)
    assert (pick.label, pick.least, pick.most) == (0, "a", "b")


def test_classes_come_least_robust_first(found: Robustness) -> None:
    rows = classes_under_attack(found)
    assert [row.robust for row in rows] == sorted(row.robust for row in rows)
    assert sum(row.n for row in rows) == len(found.table)
    for row in rows:
        assert row.interval == wilson(round(row.robust * row.n), row.n)


def test_a_survivor_that_the_curve_broke_within_eps_is_broken_and_said(found: Robustness) -> None:
    known = found.smallest
    assert known is not None
    for name, robust, broken_by in zip(found.table.ids, found.table["robust"], found.table["broken_by"]):
        assert robust == (known[name] > found.request.threat.size)
        assert bool(broken_by) != robust
    by_curve = [name if row % 2 else "curve" for row, name in enumerate(found.table["broken_by"].tolist())]
    doubted = replace(found, table=found.table.with_columns(broken_by=by_curve))
    assert "attack too weak" in [verdict.name for verdict in doubted.verdicts]
    assert "curve" in doubted.by_attack
    assert "they count as broken" in document(doubted).text


def test_what_was_left_out_is_always_said(found: Robustness) -> None:
    audited = replace(
        found, request=replace(REQUEST, attack="autoattack", mode="audited", options={}), audit=(20, 5, 0)
    )
    text = document(audited).text
    assert "Audited" in text
    assert f"at most {audited.audit_bound} more" in text
    assert audited.intervals["robust"][0] < found.intervals["robust"][0]
    budget = replace(found, request=replace(REQUEST, budget=90.0), planned=120)
    assert "Within a budget of 90 seconds: 30 of 120 pictures" in document(budget).text


def test_no_survivor_and_no_broken_picture_make_a_page_too(found: Robustness) -> None:
    count = len(found.table)
    for robust, name in ((True, ""), (False, "clean")):
        columns = {"robust": [robust] * count, "broken_by": [name] * count}
        rest = {one: found.table[one].tolist() for one in found.table.names if one not in columns}
        one = replace(found, table=Table.of({**rest, **columns}), curve=None, pictures=None)
        assert "Under attack: pgd" in robustness_section(one).title
        assert "nan" not in str(robustness_section(one).html)


def test_the_page_stays_small_whatever_the_pictures() -> None:
    classes, side = 40, 224
    noise = torch.rand(classes, 3, side, side, generator=torch.Generator().manual_seed(0))
    ids = [f"{row}.png" for row in range(classes)]
    columns: dict[str, object] = {name: [0.01] * classes for name in ("distance", "margin")}
    columns |= {name: list(range(classes)) for name in ("label", "prediction", "attacked_prediction")}
    columns |= {"robust": [True] * classes, "broken_by": [""] * classes, "steps": [3] * classes}
    table = Table.of({"id": ids, **columns})
    logits = torch.eye(classes)
    extremes = Extremes(pick_extremes(table, None), "margin", tuple(ids), noise, noise, logits, logits)
    one = Robustness(table, REQUEST, tuple(map(str, range(classes))), classes, pictures=extremes)
    markup = str(pictures_html(one, most=1_500_000))
    assert 500_000 < len(markup) < 2_000_000
    found = re.search(r"(\d+) more classes", markup)
    assert found is not None
    assert int(found[1]) + markup.count("<details") == classes


@pytest.mark.parametrize(
    ("threat", "words"),
    [
        (ThreatModel("linf", "8/255"), "8/255"),
        (ThreatModel("l2", 0.5), "squared"),
        (ThreatModel("l1", 12.0), "may reach 12"),
        (ThreatModel("l2", None), "smallest"),
    ],
)
def test_threats_are_said_in_words(threat: ThreatModel, words: str) -> None:
    assert words in threat_words(threat)


@pytest.mark.parametrize(
    ("eps", "size", "words"),
    [
        ("8/255", 8 / 255, "8/255"),
        ("8/255", 2.21 / 255, "2.2/255"),
        ("8/255", 0.2149 / 255, "0.21/255"),
        ("8/255", 12.34 / 255, "12/255"),
        ("8/255", 12.5 / 255, "12.5/255"),
        ("8/255", 100.3 / 255, "100/255"),
        ("2.21/255", 2.21 / 255, "2.21/255"),
        (0.1, 0.1, "0.1"),
        (0.1, 0.0734, "19/255"),
        ("8/255", 0.0, "0"),
        ("8/255", float("inf"), "inf"),
    ],
)
def test_measured_sizes_are_rounded_and_chosen_ones_stay(eps: str | float, size: float, words: str) -> None:
    assert size_text(ThreatModel("linf", eps))(size) == words


def test_no_size_on_the_page_has_more_digits_than_anybody_reads(found: Robustness) -> None:
    sizes = re.findall(r"([\d.]+)/255", robustness_section(found, steps=(1, 3, 8)).html)
    assert "2" in sizes
    assert [one for one in sizes if len(one.replace(".", "").lstrip("0")) > 2] == []


def test_targets_are_said_in_words() -> None:
    assert "any wrong answer" in goal_words(None)
    assert "least likely" in goal_words("least-likely")
    assert "ostrich" in goal_words("ostrich")


def test_a_resumed_run_shows_the_same_page(tmp_path: Path) -> None:
    classifier = Classifier.from_module(sharp_net(), size=16, labels=LABELS)
    images = (pictures(20) * 255).round().to(torch.uint8)
    data = Dataset.of(images, classifier.logits(images.float() / 255).argmax(1), LABELS)
    request = replace(REQUEST, curve=False)
    runs = [evaluate_robustness(classifier, data, request, cache=tmp_path, block=7) for _ in range(2)]
    pages = [str(robustness_section(replace(one, seconds=0.0), steps=(1, 8)).html) for one in runs]
    assert pages[0] == pages[1]
    assert "<image" in pages[0]
