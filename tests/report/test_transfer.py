"""The section of transfer: its numbers are the study's, and a stranger finds what they mean beside them."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
import torch

from backlight.attack import TransferRequest, evaluate_transfer
from backlight.attack.transfer.study import TransferStudy
from backlight.classifier import Classifier
from backlight.data import Dataset
from backlight.page.sections import percent
from backlight.report.transfer import transfer_headline, transfer_lines, transfer_section
from backlight.table import Table
from tests.attack.nets import sharp_net

LABELS = ("<b>cat</b>", "dog", "owl", "ant", "bee")


class Tables(HTMLParser):
    """The cells of every table, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.tables[-1][-1][-1] += data


def models() -> dict[str, Classifier]:
    return {f"net {seed}": Classifier.from_module(sharp_net(seed=seed), size=16, labels=LABELS) for seed in range(3)}


def data() -> Dataset:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (12, 3, 16, 16), generator=draw, dtype=torch.uint8)
    return Dataset.of(images, models()["net 0"].logits(images / 255).argmax(1), LABELS)


@pytest.fixture(scope="module")
def study() -> TransferStudy:
    return evaluate_transfer(
        models(), data(), TransferRequest.of("i-fgsm:steps=2,mi:steps=2", eps="8/255", ensemble=True)
    )


def test_every_rate_stands_in_its_cell(study: TransferStudy) -> None:
    html = transfer_section(study, models(), data="pictures").html
    matrices = Tables(html).tables[: len(study.request.labels)]
    for attack, rows in zip(study.request.labels, matrices):
        assert [row[0].split(" together")[0] for row in rows[1:]] == list(study.surrogates)
        assert rows[0][1:] == [f"shown to {name}" for name in study.models]
        for surrogate, row in zip(study.surrogates, rows[1:]):
            for victim, cell in zip(study.models, row[1:]):
                if (surrogate, victim) not in study.pairs:
                    assert cell == "a member"
                    continue
                rate = study.rate(attack, surrogate, victim)
                assert cell.startswith("no picture" if rate.success is None else percent(rate.success))
                assert rate.interval is None or f"n {rate.n}" in cell
                assert ("itself" in cell) == (surrogate == victim and rate.n > 0)


def test_labels_are_escaped_and_examples_are_shown(study: TransferStudy) -> None:
    html = transfer_section(study, models()).html
    assert "<b>cat" not in html
    assert html.count("data:image/") == 3 * min(4, sum(bool(one.changed) for one in study.examples))
    assert "data:image/" not in transfer_section(study, models(), pictures=False).html


def test_the_headline_is_the_largest_rate_between_models(study: TransferStudy) -> None:
    best = max(study.between, key=lambda one: one.success)
    assert percent(best.success) in transfer_headline(study)
    assert sum(" to " in line and "%" in line for line in transfer_lines(study)) == len([o for o in study.rates if o.n])


def test_where_nothing_carries_over_it_says_so(study: TransferStudy) -> None:
    harmless = evaluate_transfer(models(), data(), TransferRequest.of("i-fgsm:steps=1,mi:steps=1", eps=1e-6))
    assert not any(one.success for one in harmless.between)
    html = transfer_section(harmless).html
    assert "Nothing carried over" in html
    assert 'class="tag">most' not in html
    assert "Nothing carried over" not in transfer_section(study).html


def test_a_page_without_any_picture_that_counts_can_be_read() -> None:
    columns = {f"{one} > {two}.clean": [1] for one in "ab" for two in "ab"}
    columns |= {f"mi: {one} > {two}": [-2] for one in "ab" for two in "ab"} | {"a.true": [0], "b.true": [0]}
    columns |= {f"mi: {one}.blind": [-2] for one in "ab"}
    empty = TransferStudy(
        Table.of({"id": ["x"], "label": [0], **columns}),
        TransferRequest.of("mi"),
        ("a", "b"),
        {"a": ("a",), "b": ("b",)},
    )
    html = transfer_section(empty).html
    assert "nothing can be said" in html
    assert transfer_headline(empty) == "nothing to compare"
    assert any("no picture" in line for line in transfer_lines(empty))
    assert len(empty.summary_table()) == 0
