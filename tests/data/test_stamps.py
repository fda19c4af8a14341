"""What tells a picture from another: the same text however a collection is put together."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from backlight.core.fingerprint import fingerprint
from backlight.data.decoded import from_paths
from backlight.data.fitted import fitted
from backlight.data.pictures import Joined, Memory, select
from backlight.data.stamps import stamps
from backlight.images import Resize


def test_stamps_are_those_of_each_picture_alone(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (6, 3, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    resize = Resize(None, (2, 2))
    plain = [fingerprint(image) for image in images]
    assert stamps(Memory(images), range(6)) == plain
    assert stamps(select(Memory(images), torch.tensor([4, 1, 5])), [2, 0]) == [plain[5], plain[4]]
    assert stamps(fitted(Memory(images), resize, 1), [3]) == [fingerprint(resize, 1, plain[3])]
    joined = fitted(Joined((Memory(images[:2]), Memory(images[2:]))), resize, 3)
    chosen = select(joined, torch.tensor([5, 0, 2]))
    assert stamps(chosen, range(3)) == [fingerprint(resize, 3, plain[row]) for row in (5, 0, 2)]
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    paths = [tmp_path / "a.png", tmp_path / "nowhere.png"]
    whole = stamps(fitted(from_paths(paths), resize), [0, 1])
    assert whole == [one for row in (0, 1) for one in stamps(fitted(from_paths(paths), resize), [row])]
