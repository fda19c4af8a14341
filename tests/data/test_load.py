import shutil

import numpy as np
import pytest

from backlight.core.errors import BacklightError, DataError, FileError, UsageError
from backlight.data import load_data, load_splits
from backlight.data.convert import convert_data
from tests.data.samples import pixels, write_folder


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "a@b.npz", X=pixels(100, 4), y=np.arange(100) % 4)
    return tmp_path / "a@b.npz"


def test_ranges(path):
    splits = load_splits(f"{path}@train=0:60,test=60:")
    assert {name: len(part) for name, part in splits.parts.items()} == {"train": 52, "val": 8, "test": 40}
    assert splits.pick("test").ids[0] == "60"
    assert splits.pick("test").name.endswith("@train=0:60,test=60:")
    full = load_splits(f"{path}@train=:50,val=50:60,test=60:100")
    assert full.marked == ("train", "val", "test")
    assert len(full.pick("val")) == 10


@pytest.mark.parametrize(
    ("ranges", "error"),
    [("train=0:60,test=50:", DataError), ("train=0:101", DataError), ("train=5:5", DataError)]
    + [("train=a:b", UsageError), ("train=0:5,train=6:9", UsageError), ("train=-5:5", UsageError)]
    + [("train=0:5,valid=6:", UsageError)],
)
def test_ranges_that_do_not_fit(path, ranges, error):
    with pytest.raises(error, match="range"):
        load_data(f"{path}@{ranges}")


def test_ranges_over_marked_parts_cut_the_whole(tmp_path):
    np.savez(tmp_path / "d.npz", X_train=pixels(8), y_train=np.zeros(8, int), X_test=pixels(4), y_test=np.zeros(4, int))
    data = load_data(f"{tmp_path}/d.npz@test=6:10")
    assert data.ids == ("train/6", "train/7", "test/0", "test/1")


def test_limit_and_default_split(path):
    data = load_data(path, limit=4)
    assert (data.split, len(data)) == ("all", 4)
    assert len(load_data(path, split="test")) == 8
    assert load_data(path, sample=8, seed=1).counts == dict.fromkeys("0123", 2)
    assert load_data(path, split="all", limit=1000).ids == tuple(map(str, range(100)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [("shapes:n=ten", "whole number"), ("shapes:sizes=3", "try: size"), ("shapes:classes=200", "2 to 100")]
    + [("shapes:n=1,n=2", "twice"), ("nowhere/at/all", "no such file"), ("hf:", "hf:|needs the datasets")]
    + [("~no-such-user", "home"), ("a" * 300, "no such file"), ("a\0b", "no such file")],
)
def test_wrong_specifications(spec, message):
    with pytest.raises(BacklightError, match=message):
        load_data(spec)


@pytest.mark.parametrize("name", ["data.pkl", "data.npy", "data.zip"])
def test_kinds_that_are_not_read(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(FileError, match="expected a folder"):
        load_data(tmp_path / name)


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_an_archive_beside_class_folders_could_mean_either(tmp_path, kind):
    write_folder(tmp_path / "data", {"cat": 3, "dog": 3})
    (tmp_path / "data" / "empty").mkdir()
    convert_data(load_splits("shapes:n=8,size=16,classes=4"), tmp_path / "other.parquet")
    (tmp_path / "other.parquet").rename(tmp_path / "data" / f"other.{kind}")
    with pytest.raises(DataError, match=rf"other.{kind} and the class folder 'cat'.* try: DATA .*/other.{kind}, or"):
        load_data(tmp_path / "data")
    for name in ("cat", "dog"):
        shutil.rmtree(tmp_path / "data" / name)
    if kind == "parquet":
        assert len(load_data(tmp_path / "data", split="all")) == 8


def test_archives_of_two_kinds_could_mean_either(tmp_path):
    (tmp_path / "a.tar").touch()
    (tmp_path / "b.parquet").touch()
    with pytest.raises(DataError, match=r"b.parquet and a.tar"):
        load_data(tmp_path)


def test_a_text_file_named_jpg_is_named_when_read(tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    data = load_data(tmp_path / "a.jpg")
    (batch,) = data.batches(8)
    assert len(batch.ids) == 0
    assert "a.jpg" in batch.failed[0].path
