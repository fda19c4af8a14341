"""The section of a universal change: its numbers are the study's, and a stranger finds what they mean beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from backlight.attack import PatchRequest, PerturbationRequest, UniversalRequest, UniversalStudy, evaluate_universal
from backlight.classifier import Classifier
from backlight.data import Dataset
from backlight.page.sections import percent
from backlight.report.universal import universal_headline, universal_lines, universal_section
from tests.attack.nets import sharp_net
from tests.report.test_transfer import Tables

LABELS = ("<b>cat</b>", "dog", "owl", "ant", "bee")
ASKED: dict[str, UniversalRequest] = {
    "perturbation": PerturbationRequest(eps="16/255", epochs=5),
    "patch": PatchRequest(steps=10, target="dog"),
}


@pytest.fixture(scope="module", params=ASKED)
def study(request: pytest.FixtureRequest) -> UniversalStudy:
    classifier = Classifier.from_module(sharp_net(scale=3.0), size=16, labels=LABELS)
    values = torch.randint(0, 256, (60, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data = Dataset.of(values, classifier.logits(values / 255).argmax(1), LABELS)
    return evaluate_universal(classifier, data, ASKED[request.param])


def test_every_rate_stands_in_its_row(study: UniversalStudy) -> None:
    rows = Tables(universal_section(study, data="pictures").html).tables[0][1:]
    for row, part in zip(rows, ("others", "learned"), strict=True):
        rate = study.rate(part)
        assert rate.success is not None
        assert rate.control is not None
        assert rate.difference is not None
        assert f"{rate.pictures} pictures" in row[0]
        assert f"{rate.n} count" in row[0]
        assert percent(rate.success) in row[1]
        assert percent(rate.control) in row[2]
        assert row[3].startswith(f"{100 * rate.difference:+.0f}")


def test_other_pictures_lead_and_the_control_stands_beside(study: UniversalStudy) -> None:
    others = study.rate("others")
    assert others.success is not None
    assert universal_headline(study).startswith(f"one {study.change.kind} fools {percent(others.success)} of other")
    first, second, third, *_ = universal_lines(study)
    assert study.change.kind in first
    assert "other pictures" in second
    assert f"{others.success:.1%}" in second
    assert "learned from" in third
    control = "grey patch" if study.change.kind == "patch" else "random noise"
    assert all(control in line for line in (universal_headline(study), second, third))


def test_labels_are_escaped_and_pictures_can_be_left_out(study: UniversalStudy) -> None:
    html = universal_section(study, pictures=True).html
    assert "<b>cat" not in html
    shown = len(study.examples) + len(study.fooled_examples)
    assert html.count("data:image/") == 1 + (2 if study.change.kind == "patch" else 3) * shown
    assert "data:image/" not in universal_section(study, pictures=False).html
    assert all(one.named[1] != one.label for one in study.fooled_examples)
    assert {one.name for one in study.fooled_examples}.isdisjoint(one.name for one in study.examples)


def test_a_patch_says_where_it_looks_as_it_was_learned(study: UniversalStudy) -> None:
    html = universal_section(study, print_size="10cm").html
    assert ("spans 20 to 50 cm at the patch" in html) == (study.change.kind == "patch")
    assert ("side of the patch" in html) == (study.change.kind == "patch")


def test_a_page_without_any_picture_that_counts_can_be_read(study: UniversalStudy) -> None:
    wrong = study.table.with_columns(clean=(study.table["label"] + 1) % 5)
    empty = replace(study, table=wrong, examples=(), fooled_examples=())
    assert "nothing can be said" in universal_section(empty).html
    assert universal_headline(empty) == "nothing to measure: no other picture is named rightly"
    assert sum("none counts" in line for line in universal_lines(empty)) == 2
    assert len(empty.summary_table()) == 0
