"""Data health: every planted fault is found and shown, and a healthy set is left alone."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

from backlight import Classifier, load_data
from backlight.audit import Examined, Finding, Kept, copies, health, run_checks
from backlight.audit.duplicates import DuplicateGroup, find_near_duplicates
from backlight.audit.kept import HEALTH, PROPERTIES
from backlight.audit.passing import look_once
from backlight.core.errors import InputError
from backlight.data.duplicates import take_print
from backlight.images import to_levels

CARDS = (*health.CARDS, *copies.CARDS)
# Bright in the middle and black at the border, where the rule's edge filter leaves pixels as they are.
SOFT = Image.fromarray(255 - np.asarray(Image.radial_gradient("L"))).resize((150, 150))
ODD = {
    "dark_pictures": lambda one: Image.fromarray((np.asarray(one) * 0.2).astype(np.uint8)),
    "light_pictures": lambda one: Image.new("RGB", one.size, (253, 254, 255)),
    "blurred_pictures": lambda one: SOFT,
    "odd_aspect": lambda one: one.resize((240, 60)),
    "odd_size": lambda one: one.resize((900, 900)),
    "grey_pictures": lambda one: one.convert("L"),
    "empty_pictures": lambda one: Image.new("RGB", one.size, (90, 40, 160)),
}


def draw(count: int, seed: int = 0) -> list[Image.Image]:
    """Draw noise as nature's, whose waves are the weaker the shorter they are: no two look alike."""
    return list(drawn(seed, max(count, 60))[:count])


@cache
def drawn(seed: int, count: int) -> tuple[Image.Image, ...]:
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(150)[:, None], np.fft.rfftfreq(150)[None, :])
    falling = np.where(frequency > 0, np.maximum(frequency, 1 / 150) ** -1.2, 0)[..., None]
    found = []
    for _ in range(count):
        waves = random.normal(size=(150, 76, 3)) + 1j * random.normal(size=(150, 76, 3))
        values = np.fft.irfft2(waves * falling, s=(150, 150), axes=(0, 1))
        scaled = 128 + 45 * (values - values.mean()) / values.std()
        found.append(Image.fromarray(scaled.clip(0, 255).astype(np.uint8)))
    return tuple(found)


def look(folder: Path, pictures: list[Image.Image], name: str = "cat") -> Kept:
    (folder / name).mkdir(parents=True, exist_ok=True)
    for place, one in enumerate(pictures):
        one.save(folder / name / f"{place:04d}.png", compress_level=1)
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    return look_once(Classifier.from_module(net, size=24, labels=["cat", "dog"]), load_data(str(folder))).kept


def findings(kept: Kept) -> dict[str, Finding]:
    return {one.name: one for one in run_checks(Examined.of(kept), CARDS).findings}


@pytest.mark.parametrize("name", ODD)
def test_planted_pictures_are_found_and_shown(tmp_path: Path, name: str) -> None:
    pictures = draw(30)
    planted = [3, 17, 29]
    for place in planted:
        pictures[place] = ODD[name](pictures[place])
    found = findings(look(tmp_path, pictures))
    expected = {f"cat/{place:04d}.png" for place in planted}
    assert {one.id for one in found[name].pictures} == expected
    assert found[name].value == pytest.approx(0.1)
    assert found[name].judgement == "look"
    assert found[name].next


def test_a_healthy_set_is_left_alone(tmp_path: Path) -> None:
    found = findings(look(tmp_path, draw(60)))
    assert {name: one.judgement for name, one in found.items() if one.judgement != "good"} == {}
    assert sum(len(one.pictures) for one in found.values()) <= 2


def test_a_set_of_grey_pictures_is_not_odd(tmp_path: Path) -> None:
    assert findings(look(tmp_path, [one.convert("L") for one in draw(20)]))["grey_pictures"].value == 0


def test_broken_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "no.png").write_bytes(b"nothing")
    found = findings(look(tmp_path, draw(9)))["broken_pictures"]
    assert (found.value, found.judgement) == (pytest.approx(0.1), "look")
    assert found.tables["Files that cannot be read"]["file"] == ["cat/no.png"]


def test_copies_within_a_set(tmp_path: Path) -> None:
    pictures = draw(40)
    pictures += [pictures[5], encoded(pictures[9], 70)]
    kept = look(tmp_path, pictures)
    found = findings(kept)
    assert [one.id for one in found["exact_duplicates"].pictures] == ["cat/0005.png", "cat/0040.png"]
    assert [one.id for one in found["near_duplicates"].pictures] == ["cat/0009.png", "cat/0041.png"]
    assert found["exact_duplicates"].value == pytest.approx(1 / 42)


def test_copies_with_two_labels_are_worth_a_look() -> None:
    kept = Kept.of(np.zeros((400, 2)), labels=[0] * 400)
    prints = {name: getattr(kept, name)[np.r_[0:400, 7]] for name in ("hashes", "digests", "thumbnails")}
    found = []
    for label in (0, 1):
        twice = Kept.of(np.zeros((401, 2)), labels=[0] * 400 + [label], **prints)
        found += [one for one in run_checks(Examined.of(twice), [CARDS[2]]).findings if one.name == "exact_duplicates"]
    assert [one.judgement for one in found] == ["good", "look"]
    assert "several labels" in found[1].sentence


@pytest.mark.parametrize(("counts", "judgement"), [((50, 40), "good"), ((60, 5), "look"), ((500, 4), "bad")])
def test_class_balance(counts: tuple[int, int], judgement: str) -> None:
    labels = np.repeat([0, 2], counts)
    kept = Kept.of(np.zeros((len(labels), 3)), labels=labels, label_names=["cat", "owl", "dog"])
    (found,) = run_checks(Examined.of(kept), [CARDS[1]]).findings
    assert found.value == counts[0] / counts[1]
    assert found.judgement == judgement
    assert "1 class of the model has none" in found.sentence


def encoded(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def test_near_duplicates_of_arrays() -> None:
    random = np.random.default_rng(0)
    thumbnails = random.integers(0, 255, (50, 256), dtype=np.uint8)
    hashes = random.integers(0, 2**63, 50, dtype=np.uint64)
    thumbnails[40], hashes[40] = thumbnails[3], hashes[3]
    assert find_near_duplicates(hashes, thumbnails) == [DuplicateGroup((3, 40), False)]
    assert find_near_duplicates(hashes[:1], thumbnails[:1]) == []
    with pytest.raises(InputError, match="thumbnails"):
        find_near_duplicates(hashes, torch.zeros(50, 64))


def test_features_decide_where_thumbnails_leave_doubt() -> None:
    random = np.random.default_rng(1)
    prints = [take_print(to_levels(one)) for one in draw(30)]
    thumbnails = np.stack([one.thumbnail for one in prints])
    thumbnails[20] = (0.75 * thumbnails[4] + 0.25 * thumbnails[9]).astype(np.uint8)  # they correlate by .943
    hashes = np.array([one.hash for one in prints], dtype=np.uint64)
    features = random.normal(size=(30, 16))
    assert find_near_duplicates(hashes, thumbnails, features=features) == []
    features[20] = features[4] + 1e-4
    assert find_near_duplicates(hashes, thumbnails, features=features) == [DuplicateGroup((4, 20), False)]


def drawings(count: int, seed: int, size: int = 96) -> list[Image.Image]:
    """Draw one shape on white ground each, of any place, size and color: nothing else tells them apart."""
    random, found = np.random.default_rng(seed), []
    for number in range(count):
        picture = Image.new("RGB", (size, size), (255, 255, 255))
        radius, turn = random.uniform(0.1, 0.35) * size, random.uniform(0, 360)
        (x, y), color = random.uniform(0.25, 0.75, 2) * size, tuple(random.integers(0, 200, 3).tolist())
        pen = ImageDraw.Draw(picture)
        if number % 4:
            pen.regular_polygon((x, y, radius), 2 + number % 4, rotation=turn, fill=color)
        else:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
        found.append(picture)
    return found


def test_drawings_on_plain_ground_are_no_copies_and_copies_of_them_are_found() -> None:
    pictures = drawings(500, 0)
    copies = [encoded(one, 60) for one in pictures[:10]]
    copies += [one.resize((48, 48), Image.Resampling.BICUBIC) for one in pictures[10:20]]
    copies += [one.crop((2, 2, 94, 94)) for one in pictures[20:30]]
    prints = [take_print(to_levels(one)) for one in [*pictures, *copies]]
    hashes = np.array([one.hash for one in prints], dtype=np.uint64)
    pairs = {one.rows for one in find_near_duplicates(hashes, np.stack([one.thumbnail for one in prints]))}
    planted = {(row, 500 + row) for row in range(30)}
    assert pairs <= planted
    assert {pair for pair in planted if pair[0] < 20} <= pairs
    assert len(pairs) >= 29  # a pixel or two that are cut off move some shapes as far as another shape lies


@pytest.mark.parametrize(("dark", "judgement"), [(1, "not judged"), (6, "bad")])
def test_one_dark_picture_of_ten_proves_nothing(dark: int, judgement: str) -> None:
    light = np.where(np.arange(10) < dark, 0.01, 0.9)
    properties = {name: np.full(10, 0.5) for name in (*PROPERTIES, *HEALTH)} | {"luminance_99": light}
    found = run_checks(Examined.of(Kept.of(np.zeros((10, 2)), **properties)), [CARDS[0]]).findings
    assert {one.name: one.judgement for one in found}["dark_pictures"] == judgement
