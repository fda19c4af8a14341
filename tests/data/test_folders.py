import os

import numpy as np
import pytest
from PIL import Image
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import DataError, FileError
from backlight.data import load_data, load_splits
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
    (tmp_path / "elk" / "deep").mkdir(parents=True)
    data = load_data(tmp_path)
    assert data.label_names == ("cat",)
    assert data.notes == ("left out 2 folders without a picture: dog, elk",)
    with pytest.raises(DataError, match="no pictures"):
        load_data(tmp_path / "dog")
    with pytest.raises(FileError, match="no such file"):
        load_data(tmp_path / "owl")


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information"])
@pytest.mark.parametrize("place", [".", "cat", "train", "train/cat"])
def test_folders_of_a_system_are_left_out(tmp_path, name, place):
    parts = ("train/", "test/") if "train" in place else ("",)
    write_folder(tmp_path, {f"{part}{kind}": 4 // len(parts) for part in parts for kind in ("cat", "dog")})
    write_folder(tmp_path / place / name, {".": 1, "inside": 1})
    data = load_data(tmp_path, split="all")
    assert (data.label_names, len(data)) == (("cat", "dog"), 8)
    assert any(name in note for note in data.notes)


PARTS = [("Training", "Testing"), ("TRAIN", "TEST"), ("training_set", "test_set"), ("Train Images", "test-images")]


@pytest.mark.parametrize(("train", "test"), [*PARTS, ("trainset", "testset"), ("train_data", "Holdout")])
@pytest.mark.parametrize("val", [None, "Valid", "dev", "validation_set", "Dev Set"])
def test_parts_under_their_usual_names(tmp_path, train, test, val):
    names = {train: "train", test: "test", **({val: "val"} if val else {})}
    write_folder(tmp_path, {f"{name}/{kind}": 5 for name in names for kind in ("cat", "dog")})
    splits = load_splits(tmp_path)
    assert splits.whole.label_names == ("cat", "dog")
    assert set(splits.marked) == set(names.values())
    assert all(key.startswith(f"{test}/") for key in splits.pick().ids)


@pytest.mark.parametrize("names", [("fold1", "fold2"), ("a", "b", "c"), ("seg_train/seg_train", "seg_test/seg_test")])
def test_parts_under_names_that_nobody_can_know_are_refused(tmp_path, names):
    write_folder(tmp_path, {f"{name}/{kind}": 2 for name in names for kind in ("cat", "dog", "owl")})
    with pytest.raises(DataError, match="all hold the same folders: cat, dog, owl.*name the parts train, val and test"):
        load_data(tmp_path)


def test_one_folder_around_the_classes_is_named(tmp_path):
    write_folder(tmp_path, {"photos/cat": 2, "photos/dog": 2})
    with pytest.raises(DataError, match=r"holds one folder, 'photos'.*try: DATA .*/photos"):
        load_data(tmp_path)
    assert load_data(tmp_path / "photos").label_names == ("cat", "dog")


def test_folders_inside_classes_are_no_parts(tmp_path):
    write_folder(tmp_path, {"cat/images": 2, "dog/images": 2, "owl/indoors": 1, "owl/outdoors": 1})
    assert load_data(tmp_path).counts == {"cat": 2, "dog": 2, "owl": 2}


def test_a_train_is_a_class_among_others(tmp_path):
    write_folder(tmp_path, {"train": 3, "bus": 3, "car": 3})
    assert load_data(tmp_path).counts == {"bus": 3, "car": 3, "train": 3}


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


@pytest.mark.parametrize("place", ["test", "test/test", "test/unknown", "Testing/0"])
def test_a_part_without_labels_is_left_out_until_it_is_asked_for(tmp_path, place):
    write_folder(tmp_path, {"train/cat": 10, "train/dog": 10, place: 5})
    splits = load_splits(tmp_path)
    assert {name: len(part) for name, part in splits.parts.items()} == {"train": 18, "val": 2}
    assert splits.pick("train").notes == ("left out the test part: 5 pictures without labels",)
    whole = splits.pick()
    assert (len(whole), whole.split, whole.reason) == (20, "all", "the test part has no labels")
    asked = splits.pick("test")
    assert (len(asked), asked.labels.tolist(), asked.split) == (5, [-1] * 5, "test")


def test_a_set_without_any_labels_stays_as_it_is(tmp_path):
    write_folder(tmp_path, {"train": 3, "test": 2})
    assert {name: len(load_data(tmp_path, split=name)) for name in ("all", "test")} == {"all": 5, "test": 2}


def test_hostile_class_names(tmp_path):
    names = {'<script>alert("1")<': 1, "a,b\tc": 1, "dots..": 1, "%2e%2e": 1, "ünï": 1}
    write_folder(tmp_path, names)
    assert set(load_data(tmp_path, split="all").label_names) == set(names)


def test_names_that_are_no_text_are_spelled_out(tmp_path):
    write_folder(tmp_path, {"cat": 1, "b\udcff": 1})
    data = load_data(tmp_path, split="all")
    assert set(data.label_names) == {"cat", r"b\xff"}
    assert any(key.startswith(r"b\xff/") for key in data.ids)
    assert len(data[:2].images) == 2


@pytest.mark.parametrize("place", ["owl", "train/owl", "val"])
@pytest.mark.parametrize("target", ["outside", "nowhere"])
def test_a_class_or_part_that_is_a_link_is_never_lost_in_silence(tmp_path, place, target):
    classes = {"cat": 2, "dog": 2} if place == "owl" else {"train/cat": 4, "train/dog": 4, "test/cat": 2}
    write_folder(tmp_path / "data", classes)
    write_folder(tmp_path / "outside", {"cat": 2} if place == "val" else {".": 2})
    os.symlink(tmp_path / target, tmp_path / "data" / place)
    name, why = place.split("/")[-1], "leads out" if target == "outside" else "to nothing"
    with pytest.raises(DataError, match=rf"{name!r} is a link .*{why}.*try: "):
        load_data(tmp_path / "data")
    if target == "outside":
        data = load_data(tmp_path / "data", split="all", follow_links=True)
        assert len(data) == (6 if place == "owl" else 12)
        assert any(key.startswith(place) for key in data.ids)


def test_links_deeper_down_are_not_followed_but_named(tmp_path):
    write_folder(tmp_path / "outside", {"secret": 2})
    write_folder(tmp_path / "data", {"cat": 1, "dog": 1})
    os.symlink(tmp_path / "outside" / "secret", tmp_path / "data" / "cat" / "more")
    os.symlink(tmp_path / "outside" / "secret" / "0.png", tmp_path / "data" / "cat" / "x.png")
    os.symlink("0.png", tmp_path / "data" / "cat" / "within.png")
    os.symlink(tmp_path / "nowhere", tmp_path / "data" / "dog" / "gone")
    data = load_data(tmp_path / "data", split="all")
    assert data.ids == ("cat/0.png", "cat/within.png", "dog/0.png")
    out = "a link that leads out of the folder"
    assert sorted(data.failed) == [("cat/more", out), ("cat/x.png", out), ("dog/gone", "a link to nothing")]
    followed = load_data(tmp_path / "data", split="all", follow_links=True)
    expected = ("cat/0.png", "cat/more/0.png", "cat/more/1.png", "cat/within.png", "cat/x.png", "dog/0.png")
    assert followed.ids == expected


def test_links_in_a_circle_end(tmp_path):
    write_folder(tmp_path, {"cat": 1, "dog": 1})
    os.symlink(tmp_path, tmp_path / "cat" / "up")
    data = load_data(tmp_path, split="all", follow_links=True)
    assert {"cat/0.png", "dog/0.png"} <= set(data.ids)
    assert len(data) <= 4


def test_a_class_of_nothing_but_links_says_so(tmp_path):
    write_folder(tmp_path, {"outside": 1, "data/owl": 1})
    (tmp_path / "data" / "elk").mkdir()
    os.symlink(tmp_path / "outside" / "0.png", tmp_path / "data" / "elk" / "0.png")
    with pytest.raises(DataError, match="'elk' holds no pictures, but one link that is not followed: 0.png"):
        load_data(tmp_path / "data")


@pytest.mark.parametrize("suffix", ["ppm", "pgm", "avif", "PNM"])
def test_kinds_of_pictures_that_are_read(tmp_path, suffix):
    write_folder(tmp_path, {"a": 1, "b": 1})
    image = Image.fromarray(np.full((8, 8), 100, np.uint8)).convert("L" if suffix == "pgm" else "RGB")
    image.save(tmp_path / "a" / f"x.{suffix}", format="AVIF" if suffix == "avif" else "PPM")
    data = load_data(tmp_path, split="all")
    assert f"a/x.{suffix}" in data.ids
    assert (data.read([data.ids.index(f"a/x.{suffix}")]).int() - 100).abs().max() <= 2


def test_sixteen_bits_of_grey_in_a_portable_map(tmp_path):
    values = np.array([[0, 257 * 7], [65535, 257 * 100]], dtype=">u2")
    (tmp_path / "wide.pgm").write_bytes(b"P5 2 2 65535\n" + values.tobytes())
    assert load_data(tmp_path / "wide.pgm").read([0])[0, 0].tolist() == [[0, 7], [255, 100]]


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", "readme.txt", "labels.csv", "._0.jpg"])
@pytest.mark.parametrize("parts", [(".",), ("train", "test")])
def test_files_that_are_no_pictures_are_passed_over(tmp_path, name, parts):
    write_folder(tmp_path, {f"{part}/{kind}": 3 for part in parts for kind in ("cat", "dog")})
    for folder in (tmp_path, *(tmp_path / part / "cat" for part in parts)):
        (folder / name).write_bytes(b"\0\1 no picture")
    data = load_data(tmp_path, split="all").checked()
    assert (data.label_names, len(data), data.failed) == (("cat", "dog"), 6 * len(parts), ())


@pytest.mark.parametrize(("suffix", "package"), [("heic", "pillow-heif"), ("HEIF", "pillow-heif"), ("nef", "rawpy")])
def test_kinds_of_pictures_that_are_not_read_are_named(tmp_path, suffix, package):
    write_folder(tmp_path, {"cat": 2})
    (tmp_path / "cat" / f"photo.{suffix}").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0" if package[0] == "p" else b"MM\0*")
    checked = load_data(tmp_path, split="all").checked()
    ((key, why),) = checked.failed
    assert key == f"cat/photo.{suffix}"
    assert package in why
    assert len(checked) == 2


def test_grey_alpha_and_sixteen_bit_mix(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("L", (4, 4), 100).save(tmp_path / "a" / "grey.png")
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a" / "clear.png")
    Image.fromarray(np.full((4, 4), 257 * 7, dtype=np.uint16)).save(tmp_path / "a" / "wide.png")
    data = load_data(tmp_path, split="all")
    values = {key: image[:, 0, 0].tolist() for key, image in zip(data.ids, data.read(slice(None)))}
    assert values == {"a/grey.png": [100] * 3, "a/clear.png": [255] * 3, "a/wide.png": [7] * 3}


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
