"""The page of corruptions: which hurt most and what to do stand first, and nothing is claimed that is not known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backlight import tasks
from backlight.core.random import Random
from backlight.corrupt import CORRUPTIONS
from backlight.corrupt.augmenting import read_augmenter
from backlight.corrupt.registry import PUBLISHED_NAMES
from backlight.corrupt.request import CorruptionRequest
from backlight.corrupt.shifts import SHIFTS
from backlight.corrupt.study import CorruptionStudy
from backlight.data import Dataset
from backlight.report.corruption_advice import augmentation, clearly_worst, remedy_of, steadier, weak_groups
from backlight.report.corruptions import corruptions_section
from backlight.table import Table
from tests.corrupt.test_evaluating import brightness_classifier, pictures
from tests.report.reading import Document

COUNT, SEVERITIES = 100, (1, 3)


def study(losses: dict[str, float], clean: bool = True) -> CorruptionStudy:
    """Return a study in which each kind fells a share of pictures that are all right as they are, alike by severity."""
    columns: dict[str, object] = {"id": [f"p{row}" for row in range(COUNT)], "label": np.zeros(COUNT, dtype=int)}
    if clean:
        columns |= {"prediction": np.zeros(COUNT, dtype=int), "confidence": np.ones(COUNT)}
    for name, loss in losses.items():
        fallen = (np.arange(COUNT) < loss * COUNT).astype(int)
        columns[f"{name}.prediction"] = np.stack([fallen] * 2, 1)
        columns[f"{name}.confidence"] = np.ones((COUNT, 2))
    request = CorruptionRequest.of(list(losses), severities=SEVERITIES) if clean else stored(losses)
    return CorruptionStudy(Table.of(columns), request, ("<b>cat</b>", "dog"))


def stored(losses: dict[str, float]) -> CorruptionRequest:
    return CorruptionRequest.of("all", severities=SEVERITIES, stored=tuple(losses), clean=False)


LOSSES = {"fog": 0.3, "jpeg": 0.01, "zoom_blur": 0.6, "shot_noise": 0.5, "contrast": 0.4}


def words(found: CorruptionStudy, data: Dataset | None = None) -> str:
    """Return the section's text, after it was read as HTML."""
    return " ".join(Document(str(corruptions_section(found, data).html)).text.split())


def test_what_hurts_most_stands_first_with_what_to_do() -> None:
    found = study(LOSSES)
    assert [one.name for one, _ in clearly_worst(found)] == ["zoom_blur", "shot_noise", "contrast"]
    assert [round(weakness.loss, 2) for _, weakness in clearly_worst(found)] == [0.6, 0.5, 0.4]
    told = words(found)
    answer = "train with backlight train --augment corruptions:kinds=zoom_blur+shot_noise+contrast,severity=3"
    assert (
        told.index("What hurts most: zoom blur, shot noise and contrast.") < told.index(answer) < told.index("By group")
    )
    assert "100% right as they are, 40% on average over severities" in told
    assert "31% to 50%" in told
    assert remedy_of("zoom_blur").remedy in told


def test_kinds_that_are_hardly_better_than_the_third_are_named() -> None:
    assert "one's interval: fog." in words(study(LOSSES | {"fog": 0.35}))
    assert "Hardly better" not in words(study(LOSSES))


def test_losses_that_may_be_chance_are_no_weakness() -> None:
    found = study({"fog": 0.0, "jpeg": 0.0})
    assert clearly_worst(found) == []
    assert weak_groups(found) == {"weather": None, "digital": None}
    assert "No kind lowers the accuracy by more than chance." in words(found)


def test_without_clean_pictures_no_clean_accuracy_is_told() -> None:
    told = words(study(LOSSES, clean=False))
    assert "How many are without corruption is not known (--clean DATA)" in told
    assert "as stored" in told
    assert "right as they are" not in told
    assert "right clean" not in told


@pytest.mark.parametrize("kind", [*CORRUPTIONS.built_in, "frost"])
def test_every_kind_has_an_answer_that_training_takes(kind: str) -> None:
    answer = remedy_of(kind)
    assert answer.remedy != remedy_of("of somebody else").remedy or kind in ("snow", "fog")
    images = torch.full((1, 3, 16, 16), 0.5)
    assert read_augmenter(augmentation([kind]))(images, Random(0, [1])).shape == images.shape
    assert read_augmenter(augmentation([PUBLISHED_NAMES.get(kind, kind)])) is not None


def test_groups_and_shifts_have_answers_that_training_takes() -> None:
    losses = {"gaussian_noise": 0.4, "glass_blur": 0.4, "snow": 0.4, "pixelate": 0.4, "own": 0.4}
    request = CorruptionRequest.of("all", severities=SEVERITIES, stored=tuple(losses), clean=False)
    table = study(losses, clean=False).table
    groups = weak_groups(CorruptionStudy(table, request, ("cat", "dog")))
    assert groups["own"] is None
    for name in ("noise", "blur", "weather", "digital"):
        weakness = groups[name]
        assert weakness is not None
        read_augmenter(weakness.augmentation)
    for name in (*SHIFTS, "crop", "resize_method"):
        for spec in steadier(name).split("--augment ")[1:]:
            read_augmenter(spec.split()[0])


def test_hostile_names_are_text() -> None:
    html = str(corruptions_section(study(LOSSES), None, name="<script>").html)
    assert "<b>cat</b>" not in html
    assert "<script>" not in html


def test_the_verb_tells_small_changes_of_pictures_without_labels(tmp_path: Path) -> None:
    bare = Dataset.of(pictures(4)[:].images.mul(255).byte())
    request = tasks.CorruptionsRequest(
        tasks.DataRequest(bare), brightness_classifier(), kinds="none", stability=True, out=tmp_path / "out"
    )
    outcome = tasks.corruptions(request)
    assert outcome.document["clean_accuracy"] is None
    assert outcome.document["stability"]["translate"]["by_amount"]
    told = Document((tmp_path / "out" / "report.html").read_text()).text
    assert "no label is needed" in told
    assert "1 px" in told
    assert "By group" not in told
