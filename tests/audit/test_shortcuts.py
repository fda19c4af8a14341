"""Shortcuts: a patch in the corner is named by its class, and without one everything is silent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from backlight.audit import Examined, Finding, Kept, run_checks
from backlight.audit.frames import blur_frame, corner_mask, frame_mask, keep_frame, set_around, set_corners
from backlight.audit.passing import look_once
from backlight.audit.property_labels import CARDS as PROPERTY_CARDS
from backlight.audit.shortcuts import CARDS
from backlight.audit.told import contests, named_by, told_by
from backlight.data.dataset import Dataset
from backlight.data.shapes import Shapes
from tests.audit.nets import train_on

EVERY = (*CARDS, *PROPERTY_CARDS)
SHAPES = Shapes(n=900, size=32, classes=4)


def patched(images: Tensor, labels: Tensor, label: int) -> Tensor:
    """Put a red patch into a corner of the pictures of one class."""
    found = images.clone()
    rows = (labels == label).nonzero()[:, 0]
    found[rows, :, 1:5, 1:5] = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None]
    return found


def examine(images: Tensor, labels: Tensor, names: tuple[str, ...], seed: int = 0) -> Mapping[str, Finding]:
    """Train on half of the pictures and look for shortcuts on the other half."""
    half = len(images) // 2
    classifier = train_on(images[:half], labels[:half], names, seed=seed, steps=150)
    data = Dataset.of(images[half:], labels[half:], names)
    examined = Examined(look_once(classifier, data), classifier, seed=seed)
    return {one.name: one for one in run_checks(examined, EVERY).findings}


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_patch_on_one_class_is_named(seed: int) -> None:
    shapes = Shapes(n=900, size=32, classes=4, seed=seed)
    drawn = shapes.draw(torch.arange(900))
    found = examine(patched(drawn.images, drawn.labels, 2), drawn.labels, shapes.label_names, seed)
    assert found["frame_against_middle"].judgement == "bad"
    assert f"a frame of {shapes.label_names[2]} outvotes" in found["frame_against_middle"].sentence
    assert found["corner_marks"].judgement == "bad"
    assert f"Corners alone carry {shapes.label_names[2]} into" in found["corner_marks"].sentence
    assert f"tells {shapes.label_names[2]}" in found["frame_alone"].sentence
    assert found["frame_blurred"].value is not None
    assert found["frame_blurred"].value > 0.05


def test_a_patch_in_the_hue_of_every_class_is_named() -> None:
    shapes = Shapes(n=900, size=32, classes=3, shortcut=1.0)
    drawn = shapes.draw(torch.arange(900))
    found = examine(drawn.images, drawn.labels, shapes.label_names)
    assert found["frame_against_middle"].judgement == "bad"
    assert found["corner_marks"].judgement == "bad"
    assert found["frame_blurred"].judgement == "bad"


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_shortcut_everything_is_silent(seed: int) -> None:
    shapes = Shapes(n=900, size=32, classes=4, seed=seed)
    drawn = shapes.draw(torch.arange(900))
    found = examine(drawn.images, drawn.labels, shapes.label_names, seed)
    told = {name: (one.judgement, one.sentence) for name, one in found.items() if one.judgement != "good"}
    assert told == {}


def test_properties_that_give_the_label_away_are_seen_and_chance_is_silent() -> None:
    for seed in range(5):
        draw = np.random.default_rng(seed)
        labels = np.arange(300) % 3
        noise = {"brightness": draw.normal(size=300), "hue": draw.normal(size=300), "size": np.full(300, 32.0)}
        silent = run_checks(Examined.of(Kept.of(np.eye(3)[labels], labels=labels, **noise)), EVERY).findings
        assert [one.judgement for one in silent] == ["good"]
        ring = {**noise, "hue": np.abs(labels - 1) + 0.1 * draw.normal(size=300)}  # not monotone in the class
        (loud,) = run_checks(Examined.of(Kept.of(np.eye(3)[labels], labels=labels, **ring)), EVERY).findings
        assert loud.judgement in ("look", "bad")


def test_a_constant_answer_tells_nothing_however_often_it_is_right() -> None:
    labels = np.repeat([0, 1], [90, 10])
    assert not any(one.is_told for one in told_by(labels, np.zeros(100, int), 2))
    assert told_by(labels, labels, 2)[0].is_told


def test_the_answer_of_pictures_that_show_nothing_is_not_told_beside_a_class_that_is() -> None:
    labels = np.arange(400) % 4
    random = np.random.default_rng(0).random(400)
    said = np.where(labels == 2, 2, np.where(random < 0.9, 1, 3))
    assert [one.place for one in told_by(labels, said, 4) if one.is_told] == [2, 1]
    assert [one.place for one in named_by(labels, said, 4)] == [2]


def test_frames_win_only_against_the_middle() -> None:
    frames, middles = np.repeat(np.arange(4), 30), np.tile(np.arange(4), 30)
    follow = contests(frames, middles, frames, 4)
    assert follow[0].is_won
    assert all(one.is_won for one in follow[1])
    kept = contests(frames, middles, middles, 4)
    assert not any(one.is_won for one in (kept[0], *kept[1]))
    constant = contests(frames, middles, np.zeros(120, int), 4)
    assert not constant[0].is_won
    assert not any(one.is_won for one in constant[1])
    marked = np.where(frames == 2, 2, middles)
    assert [one.place for one in contests(frames, middles, marked, 4)[1] if one.is_won] == [2]


def test_masks_and_views_change_what_they_say() -> None:
    assert float(frame_mask(100, 60).double().mean()) == pytest.approx(0.51)
    assert float(corner_mask(100, 60).double().mean()) == pytest.approx(0.09)
    images = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    inside = (slice(None), slice(None), slice(3, 17), slice(3, 17))
    assert torch.equal(blur_frame(images)[inside], images[inside])
    assert not torch.equal(blur_frame(images)[:, :, 0], images[:, :, 0])
    alone = keep_frame(images)
    around = set_around(images, images.flip(0))
    assert torch.equal(around[inside], images.flip(0)[inside])
    assert torch.equal(around[:, :, :3], images[:, :, :3])
    cornered = set_corners(images, images.flip(0))
    assert torch.equal(cornered[:, :, :3, :3], images[:, :, :3, :3])
    assert torch.equal(cornered[:, :, :3, 3:17], images.flip(0)[:, :, :3, 3:17])
    assert torch.equal(alone[:, :, :3], images[:, :, :3])
    assert float(alone[0][:, 3:17, 3:17].std()) < 1e-6
