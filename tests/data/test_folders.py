import os

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from backlight.classifier import Classifier
from backlight.data import load_data, load_splits
from backlight.errors import DataError, FileError
from backlight.train import fit
from backlight.train.recipe import Recipe
from backlight.train.runtime import Runtime
from tests.data.samples import write_folder


def test_class_folders(tmp_path):
    files = write_folder(tmp_path, {"dog": 2, "cat": 3, "10": 1, "9": 1})
    data = load_data(tmp_path, split="all")
    assert data.label_names == ("10", "9", "cat", "dog")
    assert data.ids == tuple(sorted(files))
    assert [data.label_names[label] for label in data.labels] == [key.split("/")[0] for key in data.ids]
    for row, key in enumerate(data.ids):
        assert np.array_equal(data.read([row])[0].permute(1, 2, 0).numpy(), files[key])


def test_number_names_are_ordered_by_value(tmp_path):
    write_folder(tmp_path, {str(number): 1 for number in range(12)})
    assert load_data(tmp_path, split="all").label_names == tuple(map(str, range(12)))


def test_marked_folders_share_one_numbering(tmp_path):
    write_folder(tmp_path, {"train/cat": 3, "train/dog": 3, "validation/dog": 2, "test/dog": 1, "test/cat": 1})
    splits = load_splits(tmp_path)
    assert splits.marked == ("train", "val", "test")
    assert splits.pick("val").labels.tolist() == [1, 1]
    assert splits.pick().ids == ("test/cat/0.png", "test/dog/0.png")


def test_a_class_that_train_lacks_names_the_folder(tmp_path):
    write_folder(tmp_path, {"train/cat": 3, "test/cat": 1, "test/owl": 1})
    with pytest.raises(DataError, match=r"test holds classes that train lacks: 'owl'"):
        load_data(tmp_path)


def test_empty_class_and_empty_folder(tmp_path):
    write_folder(tmp_path, {"cat": 3})
    (tmp_path / "dog").mkdir()
    with pytest.raises(DataError, match="'dog' holds no pictures"):
        load_data(tmp_path)
    with pytest.raises(DataError, match="no pictures"):
        load_data(tmp_path / "dog")
    with pytest.raises(FileError, match="no such file"):
        load_data(tmp_path / "owl")


def test_one_image(tmp_path):
    write_folder(tmp_path, {"cat": 1})
    data = load_data(tmp_path)
    assert (len(data), data.split, data.label_names) == (1, "all", ("cat",))
    single = load_data(tmp_path / "cat" / "0.png")
    assert (len(single), single.labels.tolist()) == (1, [-1])


def test_plain_pictures_and_strays(tmp_path):
    write_folder(tmp_path, {".": 4})
    data = load_data(tmp_path)
    assert (len(data), data.labeled, data.ids[0]) == (4, False, "0.png")
    write_folder(tmp_path, {"cat": 1})
    with pytest.raises(DataError, match="4 pictures beside class folders"):
        load_data(tmp_path)


def test_two_folders_for_one_part_are_refused(tmp_path):
    write_folder(tmp_path, {"train/a": 2, "train/b": 2, "val/a": 1, "validation/a": 1})
    with pytest.raises(DataError, match="for 2 parts"):
        load_data(tmp_path)


def test_strays_beside_marked_folders(tmp_path):
    write_folder(tmp_path / "stations", {"train-station": 1, "bus-station": 1})
    assert load_data(tmp_path / "stations", split="all").label_names == ("bus-station", "train-station")
    write_folder(tmp_path, {"train/cat": 1, "owl": 1})
    with pytest.raises(DataError, match="owl"):
        load_data(tmp_path)


def test_parts_without_classes(tmp_path):
    write_folder(tmp_path, {"train/cat": 1, "test": 1})
    with pytest.raises(DataError, match="test has no class folders"):
        load_data(tmp_path)


def test_hostile_class_names(tmp_path):
    names = {'<script>alert("1")<': 1, "a,b\tc": 1, "dots..": 1, "%2e%2e": 1, "ünï": 1}
    write_folder(tmp_path, names)
    assert set(load_data(tmp_path, split="all").label_names) == set(names)


def test_names_that_are_no_text_are_refused(tmp_path):
    write_folder(tmp_path, {"cat": 1, "b\udcff": 1})
    with pytest.raises(DataError, match="not text"):
        load_data(tmp_path)


def test_links_that_lead_out_are_not_followed_but_named(tmp_path):
    write_folder(tmp_path / "outside", {"secret": 2})
    write_folder(tmp_path / "data", {"cat": 1, "dog": 1})
    os.symlink(tmp_path / "outside" / "secret", tmp_path / "data" / "link")
    os.symlink(tmp_path / "outside" / "secret", tmp_path / "data" / "cat" / "more")
    os.symlink(tmp_path / "outside" / "secret" / "0.png", tmp_path / "data" / "cat" / "x.png")
    os.symlink("0.png", tmp_path / "data" / "cat" / "within.png")
    os.symlink(tmp_path / "nowhere", tmp_path / "data" / "owl")
    data = load_data(tmp_path / "data", split="all")
    assert data.ids == ("cat/0.png", "cat/within.png", "dog/0.png")
    out = "a link that leads out of the folder"
    expected = [("cat/more", out), ("cat/x.png", out), ("link", out), ("owl", "a link to nothing")]
    assert sorted(data.failed) == expected


def test_links_among_marked_folders_are_named_by_the_parts_that_they_concern(tmp_path):
    write_folder(tmp_path, {"outside": 2, "data/train/cat": 3, "data/test/cat": 2})
    os.symlink(tmp_path / "outside", tmp_path / "data" / "val")
    os.symlink(tmp_path / "outside" / "0.png", tmp_path / "data" / "test" / "cat" / "x.png")
    splits = load_splits(tmp_path / "data")
    named = {part: {failure.path for failure in splits.pick(part).failed} for part in ("train", "test")}
    assert named == {"train": {"val"}, "test": {"val", "test/cat/x.png"}}


def test_a_folder_with_nothing_but_links_says_so(tmp_path):
    write_folder(tmp_path / "outside", {"cat": 1, "dog": 1})
    (tmp_path / "data").mkdir()
    for name in ("cat", "dog"):
        os.symlink(tmp_path / "outside" / name, tmp_path / "data" / name)
    with pytest.raises(DataError, match=r"no pictures, but 2 links that are not followed, such as cat \(a link that"):
        load_data(tmp_path / "data")
    write_folder(tmp_path / "data", {"owl": 1})
    (tmp_path / "data" / "elk").mkdir()
    os.symlink(tmp_path / "outside" / "cat" / "0.png", tmp_path / "data" / "elk" / "0.png")
    with pytest.raises(DataError, match="'elk' holds no pictures, but one link that is not followed: 0.png"):
        load_data(tmp_path / "data")


def test_grey_alpha_and_sixteen_bit_mix(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("L", (4, 4), 100).save(tmp_path / "a" / "grey.png")
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a" / "clear.png")
    Image.fromarray(np.full((4, 4), 257 * 7, dtype=np.uint16)).save(tmp_path / "a" / "wide.png")
    data = load_data(tmp_path, split="all")
    values = {key: image[:, 0, 0].tolist() for key, image in zip(data.ids, data.read(slice(None)))}
    assert values == {"a/grey.png": [100] * 3, "a/clear.png": [255] * 3, "a/wide.png": [7] * 3}


@pytest.mark.parametrize("kind", ["txt", "tsv", "csv"])
@pytest.mark.parametrize("base", [".", "pictures", "list"])
def test_list_files(tmp_path, kind, base):
    write_folder(tmp_path / base, {"x y": 3})
    separator = {"txt": " ", "tsv": "\t", "csv": ","}[kind]
    lines = [f"x y/{number}.png{separator}{label}" for number, label in enumerate(["dog", "cat", "dog"])]
    (tmp_path / f"list.{kind}").write_text("# path label\n\n" + "\n".join(lines) + "\n")
    data = load_data(tmp_path / f"list.{kind}", split="all")
    assert data.ids == ("x y/0.png", "x y/1.png", "x y/2.png")
    assert data.labels.tolist() == [1, 0, 1]
    assert torch.equal(data.read([0]), load_data(tmp_path / base / "x y", split="all").read([0]))


@pytest.mark.parametrize("header", ["path,label", "Filename,Label", "# by me\n\npath,label"])
def test_a_list_may_begin_with_the_names_of_its_columns(tmp_path, header):
    write_folder(tmp_path / "pictures", {".": 2})
    (tmp_path / "list.csv").write_text(f"{header}\n0.png,a\n1.png,b\n")
    assert load_data(tmp_path / "list.csv", split="all").ids == ("0.png", "1.png")
    (tmp_path / "list.txt").write_text("path label\n0.png a\n1.png b\n")
    data = load_data(tmp_path / "list.txt", split="all")
    assert (data.ids, data.label_names) == (("0.png", "1.png"), ("a", "b"))


def test_a_picture_that_is_called_as_a_column_is_a_picture(tmp_path):
    write_folder(tmp_path / "pictures", {".": 2})
    (tmp_path / "pictures" / "0.png").rename(tmp_path / "pictures" / "path")
    (tmp_path / "list.txt").write_text("path label\n1.png b\n")
    assert load_data(tmp_path / "list.txt", split="all").ids == ("path", "1.png")
    (tmp_path / "list.txt").write_text("path label\n")
    (tmp_path / "pictures" / "path").unlink()
    with pytest.raises(FileError, match="no entries"):
        load_data(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [("0.png", "line 1"), ("0.png a\n../secret.png b", "leads out"), ("0.png a\n9.png b", "missing")]
    + [("", "no entries"), ("/etc/hostname a", "leads out"), (b"\xff\xfe\x00\x01", "not a text file")],
)
def test_broken_list_files(tmp_path, text, message):
    write_folder(tmp_path, {"list": 2})
    write_folder(tmp_path.parent, {".": 1})
    (tmp_path / "list.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileError, match=message):
        load_data(tmp_path / "list.txt")


@pytest.mark.slow
def test_memory_is_bounded_on_twenty_thousand_pictures(tmp_path, monkeypatch):
    import resource

    def most_used():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    encoded = []
    for number in range(16):
        path = tmp_path / "one.jpg"
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (128, 128, 3), dtype=np.uint8)).save(path)
        encoded.append(path.read_bytes())
        path.unlink()
    for label in range(10):
        (tmp_path / f"c{label}").mkdir()
        for number in range(2000):
            (tmp_path / f"c{label}" / f"{number}.jpg").write_bytes(encoded[number % 16])
    data = load_data(tmp_path, split="all")
    assert len(data) == 20_000
    next(data.batches(64))
    before = most_used()
    seen = sum(len(batch.ids) for batch in data.batches(64))
    assert seen == 20_000
    grown = most_used() - before
    assert grown < 100, f"{grown:.0f} MiB for 983 MB of pixels"

    # Training streams too, where the pictures are more than it keeps: decoded again in each epoch, a step ahead.
    monkeypatch.setattr("backlight.train.prepare._IN_MEMORY", 0)
    parts = load_splits(tmp_path).parts
    net = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(192, 10))
    classifier = Classifier.from_module(net, size=128, labels=data.label_names)
    quiet = Runtime("float32", "contiguous", tensorboard=False)
    for name, count in (("few", 1000), ("all", None)):
        before = most_used()
        train, val, run = parts["train"].limited(count), parts["val"].limited(count), tmp_path.with_name(name)
        fit(classifier, train, val, run, recipe=Recipe(epochs=1), runtime=quiet)
    grown = most_used() - before
    assert grown < 300, f"{grown:.0f} MiB more than for 1,000 pictures, where 936 MB are more"
