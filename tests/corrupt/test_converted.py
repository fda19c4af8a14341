"""Corrupted data sets as files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.corrupt import corrupt
from backlight.corrupt.converted import corrupted, parse_corruption
from backlight.data import load_splits
from backlight.data.dataset import Dataset
from backlight.tasks.data_sets import ConvertDataRequest, convert_data


def test_pictures_are_those_of_corrupt_whatever_is_read_with_them() -> None:
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = Dataset.of(images, ids=list("abcde"))
    changed = corrupted(data, "glass_blur", 4, seed=2)
    by_hand = corrupt(images.float() / 255, "glass_blur", 4, random=Random(2, list("abcde")))
    assert torch.equal(changed.read([0, 1, 2, 3, 4]), (by_hand * 255).round().byte())
    assert torch.equal(changed.take([3]).read([0])[0], changed.read([3])[0])
    assert changed.ids == data.ids


def test_a_converted_data_set_holds_corrupted_pictures(tmp_path: Path) -> None:
    source = "shapes:n=20,size=32,classes=2"
    convert_data(ConvertDataRequest(source, tmp_path / "foggy.npz", corruption="fog:severity=5", seed=1))
    before, after = load_splits(source), load_splits(str(tmp_path / "foggy.npz"))
    for name, part in before.parts.items():
        expected = corrupted(part, "fog", 5, seed=1)
        assert torch.equal(after.parts[name].read(range(len(part))), expected.read(range(len(part)))), name
        assert torch.equal(after.parts[name].labels, part.labels)


@pytest.mark.parametrize("spec", ["rain", "fog:severity=0", "fog:severity=x", "fog:strength=2"])
def test_wrong_corruptions_are_told(spec: str) -> None:
    with pytest.raises(UsageError):
        parse_corruption(spec)
