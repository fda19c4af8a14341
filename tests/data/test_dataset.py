import numpy as np
import pytest
import torch
from PIL import Image

from backlight.core.errors import DataError, FileError
from backlight.data import Dataset, load_data
from backlight.data.shapes import Shapes
from backlight.data.sources import shapes_dataset
from backlight.images import Resize, read_image
from tests.data.samples import write_folder


def memory(count=6, classes=2):
    images = torch.arange(count * 3 * 4 * 5, dtype=torch.int64).remainder(256).to(torch.uint8).view(count, 3, 4, 5)
    return Dataset.of(images, torch.arange(count) % classes, [f"c{i}" for i in range(classes)])


def test_batches_cover_everything_in_order_whatever_the_size():
    data = memory(7)
    for size in (1, 3, 7, 100):
        parts = list(data.batches(size))
        assert [key for part in parts for key in part.ids] == list(data.ids)
        assert torch.equal(torch.cat([part.rows for part in parts]), torch.arange(7))
        assert torch.equal(torch.cat([part.labels for part in parts]), data.labels)
        joined = torch.cat([part.images for part in parts])
        assert torch.equal(joined, data.read(slice(None)).double().div(255).float())


@pytest.mark.parametrize("rows", [[2, 0], torch.tensor([2, 0]), slice(1, 4), torch.tensor([True, False] * 3), []])
def test_rows_in_every_form(rows):
    data = memory()
    expected = torch.arange(6)[rows] if not isinstance(rows, list) else torch.tensor(rows, dtype=torch.int64)
    assert torch.equal(data[rows].rows, expected)
    assert torch.equal(data[rows].labels, data.labels[expected])
    assert torch.equal(data.take(rows).read(slice(None)), data.read(rows))
    again = data.take(slice(None, None, 2)).take([1])
    assert again.ids == ("2",)
    assert torch.equal(again.read([0]), data.read([2]))


@pytest.mark.parametrize(
    ("labels", "names", "ids"),
    [([0, 1], "ab", None), ([0, 1, 2], "ab", None), ([0, -2, 1], "ab", None), ([0, 1, 1], "aa", None)]
    + [([0, 1, 1], "ab", ["x", "y", "x"])],
)
def test_what_does_not_fit_is_refused(labels, names, ids):
    with pytest.raises(DataError):
        Dataset.of(torch.zeros(3, 3, 2, 2, dtype=torch.uint8), labels, names, ids)


def test_images_must_be_bytes():
    with pytest.raises(DataError, match="uint8"):
        Dataset.of(torch.zeros(3, 3, 2, 2))


def test_unlabeled_counts_and_relabeling():
    assert not Dataset.of(torch.zeros(1, 3, 2, 2, dtype=torch.uint8)).labeled
    data = memory(5)
    assert data.labeled
    assert data.counts == {"c0": 3, "c1": 2}
    assert data.relabeled(["c1", "other", "c0"]).labels.tolist() == [2, 0, 2, 0, 2]
    with pytest.raises(DataError, match="c1"):
        data.relabeled(["c0"])
    assert data.take([0, 2]).relabeled(["c0"]).labels.tolist() == [0, 0]


def test_broken_files_are_named_and_left_out(tmp_path):
    write_folder(tmp_path, {"a": 3, "b": 3})
    whole = (tmp_path / "a" / "0.png").read_bytes()
    (tmp_path / "a" / "1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b" / "2.png").write_text("no picture")
    data = load_data(tmp_path, split="all")
    broken = ["a/1.png", "b/2.png"]
    with pytest.raises(FileError, match=r"1\.png"):
        data[[0, 1]]
    batches = list(data.batches(4))
    assert [failure.path for batch in batches for failure in batch.failed] == broken
    assert not any(str(tmp_path) in failure.error for batch in batches for failure in batch.failed)
    good = [key for key in data.ids if key not in broken]
    assert [key for batch in batches for key in batch.ids] == good
    for clean in (data.in_memory(), data.checked()):
        assert list(clean.ids) == good
        assert [failure.path for failure in clean.failed] == broken
        assert torch.equal(clean.labels, torch.tensor([0, 0, 1, 1]))
        assert torch.equal(clean[slice(None)].images, torch.cat([batch.images for batch in batches]))


def test_sizes_that_differ_need_a_size(tmp_path):
    write_folder(tmp_path, {"a": 1, "b": 1}, size=8)
    Image.new("RGB", (12, 9), "red").save(tmp_path / "b" / "1.png")
    data = load_data(tmp_path, split="all")
    with pytest.raises(DataError, match=r"8x8, 9x12.*give a size"):
        data.read([0, 1, 2])
    with pytest.raises(DataError, match="size"):
        data.in_memory()
    assert len(data.checked()) == 3
    rule = Resize(6, (4, 4))
    sized = load_data(tmp_path, split="all", resize=rule)
    assert sized.read(slice(None)).shape == (3, 3, 4, 4)
    expected = read_image(tmp_path / "b" / "1.png", rule).image
    assert torch.equal(sized[[2]].images[0], expected)
    assert torch.equal(sized.in_memory()[[2]].images[0], expected)


def test_resizing_pictures_in_memory_is_the_rule_for_files(tmp_path):
    files = write_folder(tmp_path, {"a": 2, "b": 2}, size=16)
    rule = Resize(8, (8, 8))
    stacked = torch.from_numpy(np.stack(list(files.values()))).permute(0, 3, 1, 2).contiguous()
    stored = Dataset.of(stacked, [0, 0, 1, 1], ["a", "b"])
    streamed = load_data(tmp_path, split="all")
    assert torch.equal(stored.resized(rule).read(slice(None)), streamed.resized(rule).read(slice(None)))
    assert torch.equal(stored.take([3]).resized(rule).read([0]), streamed.take([3]).resized(rule).read([0]))
    assert torch.equal(stored.resized(Resize(32, (16, 16))).read(slice(None)), stacked)
    assert stored.resized(rule).read([]).shape == (0, 3, 8, 8)


def test_channels_are_those_of_the_model_as_for_picture_files(tmp_path):
    write_folder(tmp_path, {"a": 2}, size=16)
    rule, path = Resize(8, (8, 8)), tmp_path / "a" / "1.png"
    files = load_data(tmp_path, split="all")
    stored = files.in_memory()
    grey = read_image(path, rule, channels=1).image
    for data in (files, stored, stored.take([0, 1])):
        for one in (data.resized(rule).with_channels(1), data.with_channels(1).resized(rule)):
            assert torch.equal(one[[1]].images[0], grey)
        assert torch.equal(data.with_channels(3).read(slice(None)), data.read(slice(None)))
    assert torch.equal(load_data(tmp_path, split="all", resize=rule, channels=1)[[1]].images[0], grey)
    levels = stored.with_channels(1).in_memory().read(slice(None))
    assert levels.shape == (2, 1, 16, 16)
    repeated = Dataset.of(levels).with_channels(3).read(slice(None))
    assert torch.equal(repeated, levels.expand(-1, 3, -1, -1))
    for channels in (2, 4):
        with pytest.raises(DataError, match="channels"):
            Dataset.of(levels.expand(-1, channels, -1, -1)).with_channels(3).read([0])
        with pytest.raises(DataError, match="channels"):
            files.with_channels(channels).read([0])


def test_fingerprint_sees_every_part():
    data = memory()
    known = data.fingerprint()
    assert known == memory().fingerprint()
    changed = data.read(slice(None))
    changed[0, 0, 0, 0] += 1
    others = [
        Dataset.of(changed, data.labels, data.label_names),
        Dataset.of(data.read(slice(None)), 1 - data.labels, data.label_names),
        Dataset.of(data.read(slice(None)), data.labels, ["c0", "x"]),
        Dataset.of(data.read(slice(None)), data.labels, data.label_names, ids=list("abcdef")),
        data.take([0, 1, 2, 3, 4]),
    ]
    assert known not in {other.fingerprint() for other in others}


def test_shapes_come_with_masks_and_are_drawn_or_kept():
    shapes = Shapes(n=20, shortcut=1.0)
    data, drawn = shapes_dataset(shapes), shapes.draw(torch.arange(20))
    kept = data.in_memory()
    for one in (data, kept, data.take(torch.arange(20))):
        assert torch.equal(one.read([3, 19]), drawn.images[[3, 19]])
        assert torch.equal(one.mask("object", [3, 19]), drawn.object[[3, 19]])
    assert torch.equal(data.take([5]).mask("patch", [0]), drawn.patch[[5]])
    with pytest.raises(DataError, match="patch"):
        data.mask("eyes", [0])


def test_limit_is_spread_evenly():
    data = memory(100, classes=4).take(torch.arange(100).view(25, 4).T.reshape(-1))
    assert set(data.limited(4).labels.tolist()) == {0, 1, 2, 3}
    assert len(data.limited(99).ids) == 99
    assert data.limited(None) is data
    with pytest.raises(DataError):
        data.limited(0)


def test_progress_is_told():
    class Count:
        seen = 0

        def start(self, total, description):
            assert total == 20

        def advance(self, count=1, note=""):
            self.seen += count

        def done(self):
            self.ended = True

    count = Count()
    shapes_dataset(Shapes(n=20)).in_memory(count)
    assert count.seen == 20
    assert count.ended
