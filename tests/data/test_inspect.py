import json
import time
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from backlight.core.errors import FileError
from backlight.data import load_data, load_splits
from backlight.data.copies import near_groups
from backlight.data.duplicates import Print, exact_groups, groups_of, near_components, take_print
from backlight.data.inspect import contact_sheet, inspect_data
from backlight.data.shapes import Shapes
from backlight.images import to_levels
from tests.data.samples import DATA, needs_data, write_folder


def test_counts_sizes_broken_and_duplicates(tmp_path):
    write_folder(tmp_path, {"train/<b>cat": 12, "train/dog": 3, "test/dog": 2, "test/<b>cat": 1}, size=16)
    Image.new("RGB", (20, 10), "red").save(tmp_path / "train" / "dog" / "red.png")
    (tmp_path / "train" / "dog" / "0.png").write_bytes(b"junk")
    (tmp_path / "test" / "dog" / "leak.png").write_bytes((tmp_path / "train" / "<b>cat" / "3.png").read_bytes())
    splits = load_splits(tmp_path)
    found = inspect_data(splits)
    assert found.counts["test"] == {"<b>cat": 1, "dog": 3}
    assert {part: sum(counts.values()) for part, counts in found.counts.items()} == {"train": 15, "test": 4}
    assert found.sizes == {(16, 16): 18, (10, 20): 1}
    assert [failure.path for failure in found.failed] == ["train/dog/0.png"]
    (group,) = found.duplicates
    assert set(group.ids) == {"train/<b>cat/3.png", "test/dog/leak.png"}
    assert (group.exact, group.across_parts, group.labels_differ) == (True, True, True)
    table = found.table
    assert sorted(table.where(table["duplicates"] == 0).ids) == sorted(group.ids)
    text = " ".join(found.warnings())
    assert "1 file cannot be used, such as train/dog/0.png" in text
    assert "1 picture lies in several parts" in text
    assert "1 picture has several labels" in text
    assert "dog/0.png" not in found.failed[0].error
    assert "several labels" in text
    assert json.loads(json.dumps(found.as_dict()))["n"] == 19


def test_absent_and_unbalanced_classes_are_told(tmp_path):
    write_folder(tmp_path, {"train/a": 40, "train/b": 2, "test/a": 3})
    assert inspect_data(load_splits(tmp_path)).warnings() == [
        "train is unbalanced: 2 to 40 pictures a class",
        "test has no picture of b",
    ]


def test_moments_are_those_of_all_pixels():
    splits = load_splits("shapes:n=60,size=16,classes=3")
    found = inspect_data(splits)
    values = splits.whole.read(slice(None)).double() / 255
    assert found.mean == pytest.approx(values.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert found.std == pytest.approx(values.std((0, 2, 3), correction=0).tolist(), abs=1e-12)


def brute_force(prints):
    pairs = set()
    for i, one in enumerate(prints):
        for j in range(i):
            levels = np.abs(one.thumbnail.astype(int) - prints[j].thumbnail.astype(int)).mean()
            if (one.hash ^ prints[j].hash).bit_count() <= 7 and levels <= 10:
                pairs.add((j, i))
    return pairs


def looking_the_same(prints):
    hashes = np.array([one.hash for one in prints], dtype=np.uint64)
    return groups_of(near_components(hashes, np.stack([one.thumbnail for one in prints])))


def test_every_pair_within_the_distance_is_compared():
    generator = np.random.default_rng(0)
    thumbnail = np.zeros(256, dtype=np.uint8)
    for flips in (7, 8):
        for trial in range(20):
            first = int(generator.integers(0, 2**63))
            # One flipped bit in each of the first bytes: only the last byte still agrees.
            flipped = sum(1 << (8 * (byte if trial % 2 else 7 - byte) + trial % 8) for byte in range(flips))
            prints = [Print(b"a", first, thumbnail), Print(b"b", first ^ flipped, thumbnail)]
            assert looking_the_same(prints) == ([[0, 1]] if flips == 7 else [])


def test_groups_are_the_components_of_all_near_pairs():
    images = Shapes(classes=10).draw(torch.arange(60)).images
    noisy = images[:30].int() + torch.randint(-3, 4, (30, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    flat = torch.arange(0, 40, 2, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 32, 32)
    prints = [take_print(one) for one in torch.cat([images, noisy.clamp(0, 255).to(torch.uint8), flat])]
    pairs = brute_force(prints)
    groups = looking_the_same(prints)
    inside = {(i, j) for group in groups for i in group for j in group if i < j}
    assert pairs <= inside
    for group in groups:
        reached = {group[0]}
        while grown := {j for i in reached for pair in pairs if i in pair for j in pair} - reached:
            reached |= grown
        assert reached == set(group)
    assert list(range(90, 110)) in groups
    assert looking_the_same(prints[:1]) == near_groups(prints[:1]) == near_groups([]) == []


def test_many_pictures_that_look_alike_take_neither_long_nor_much_memory():
    numbers = np.random.default_rng(0)
    white, count = np.full(256, 255, dtype=np.uint8), 3000
    blank = [Print(b"blank%d" % row, 0, white) for row in range(count)]
    dark = [Print(b"dark%d" % row, 0, numbers.integers(0, 9, 256, dtype=np.uint8)) for row in range(1000)]
    start = time.perf_counter()
    tracemalloc.start()
    groups = near_groups([*blank, *dark])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert groups == [list(range(count)), list(range(count, count + 1000))]
    assert time.perf_counter() - start < 30
    assert peak < 200 * 2**20


def test_copies_encoded_again_are_found_and_others_are_not(tmp_path):
    images = Shapes(size=64, classes=100).draw(torch.arange(200)).images
    copies = []
    for number, image in enumerate(images[:100]):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        picture = picture.resize((48, 48), Image.Resampling.BICUBIC) if number % 2 else picture
        picture.save(tmp_path / "copy.jpg", quality=85)
        copies.append(to_levels(Image.open(tmp_path / "copy.jpg")))
    prints = [take_print(one) for one in [*images, *copies]]
    groups = near_groups(prints)
    found = sum([row, 200 + row] in groups for row in range(100))
    assert found >= 95
    assert not [group for group in groups if len({place % 200 for place in group}) > 1]
    assert exact_groups(prints) == []
    assert exact_groups([prints[0], prints[1], prints[0]]) == [[0, 2]]


def test_cropped_copies_are_found_as_an_audit_finds_them(tmp_path):
    images = Shapes(size=64, classes=100).draw(torch.arange(60)).images
    for name, image in [*enumerate(images), ("copy", images[7][:, 1:-1, 1:-1])]:
        path = tmp_path / "a" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    found = inspect_data(load_splits(tmp_path))
    assert [set(group.ids) for group in found.duplicates] == [{"a/7.png", "a/copy.png"}]
    assert not found.duplicates[0].exact


def test_same_pixels_of_another_shape_are_no_exact_copy():
    flat = torch.zeros(3, 4, 9, dtype=torch.uint8)
    assert exact_groups([take_print(flat), take_print(flat.reshape(3, 9, 4))]) == []


def test_contact_sheet(tmp_path):
    write_folder(tmp_path, {"<script>": 12, "b": 2}, size=16)
    (tmp_path / "b" / "0.png").write_bytes(b"junk")
    sheet = contact_sheet(load_data(tmp_path, split="all"), per_class=4, side=32)
    assert sheet.width >= 4 * 32
    lines = np.asarray(sheet).min((1, 2)) < 255
    assert np.diff(lines.astype(int)).clip(0).sum() >= 3  # two lines of pictures with captions between
    right = np.asarray(sheet)[sheet.height // 2 + 8 :, sheet.width // 2 :]
    assert (right == 255).all()  # the second class has one picture, at the left
    plain = contact_sheet(load_data(tmp_path / "<script>"), side=32)
    assert plain.width > 10 * 32
    with pytest.raises(FileError, match="no readable"):
        contact_sheet(load_data(tmp_path / "b" / "0.png"))


@pytest.mark.slow
@needs_data
def test_near_copies_among_real_pictures():
    found = inspect_data(load_splits(DATA / "cifar10_jpeg.npz"))
    assert set(found.counts) == {"train", "test"}
    assert found.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=2e-3)  # the statistics in common use
    assert found.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=3e-3)
    assert 600 <= len(found.duplicates) <= 800  # of 60 drawn among those that cropping adds, one pair was no copy
    assert any(group.across_parts for group in found.duplicates)
