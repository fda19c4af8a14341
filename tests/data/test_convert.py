import numpy as np
import pytest
import torch
from PIL import Image

from backlight.data import load_splits
from backlight.data.convert import convert_data
from backlight.errors import DataError, FileError, UsageError
from backlight.images import Resize
from tests.data.samples import pixels, write_folder

KINDS = ["out.npz", "out.parquet", "out"]


def same(first, second, ids=True):
    assert first.label_names == second.label_names
    order = torch.arange(len(first))
    if not ids:
        first_keys = [key.rsplit("/")[-1].removesuffix(".png") for key in first.ids]
        second_keys = [key.rsplit("/")[-1].removesuffix(".png") for key in second.ids]
        order = torch.tensor([second_keys.index(key) for key in first_keys])
    else:
        assert first.ids == second.ids
    assert torch.equal(first.labels, second.labels[order])
    assert torch.equal(first.read(slice(None)), second.read(order))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("marked", [False, True])
def test_every_kind_reads_back_the_same(tmp_path, kind, marked):
    if marked:
        counts = {"train/cat": 4, "train/<b>": 5, "train/a b": 3, "test/cat": 2, "test/a b": 2}
        write_folder(tmp_path / "in", counts)
        first = load_splits(tmp_path / "in")
    else:
        first = load_splits("shapes:n=60,size=16,classes=4")
    assert convert_data(first, tmp_path / kind) == ()
    second = load_splits(tmp_path / kind)
    assert first.marked == second.marked
    by_position = kind != "out" or marked
    if by_position:
        for part in (*first.parts, "all"):
            same(first.pick(part), second.pick(part))
    else:
        renamed = {name: n for n, name in enumerate(second.whole.label_names)}
        assert set(renamed) == set(first.whole.label_names)
        same(first.whole, second.whole.relabeled(first.whole.label_names), ids=False)


def test_chains_of_every_kind(tmp_path):
    first = load_splits("shapes:n=40,size=16,classes=4")
    convert_data(first, tmp_path / "a.parquet")
    convert_data(load_splits(tmp_path / "a.parquet"), tmp_path / "b.npz")
    same(first.whole, load_splits(tmp_path / "b.npz").whole)


@pytest.mark.parametrize("kind", KINDS)
def test_broken_pictures_are_returned_and_the_rest_written(tmp_path, kind):
    write_folder(tmp_path / "in", {"a": 4, "b": 4})
    (tmp_path / "in" / "a" / "2.png").write_bytes(b"junk")
    (failure,) = convert_data(load_splits(tmp_path / "in"), tmp_path / kind)
    assert failure.id == "a/2.png"
    assert len(load_splits(tmp_path / kind).whole) == 7


def test_sizes_that_differ(tmp_path):
    write_folder(tmp_path / "in", {"a": 2, "b": 2})
    Image.new("RGB", (20, 10), "red").save(tmp_path / "in" / "a" / "red.png")
    with pytest.raises(DataError, match="give a size"):
        convert_data(load_splits(tmp_path / "in"), tmp_path / "out.npz")
    convert_data(load_splits(tmp_path / "in"), tmp_path / "out.parquet")
    assert load_splits(tmp_path / "out.parquet").whole.pictures.one(2).shape == (3, 10, 20)
    convert_data(load_splits(tmp_path / "in", resize=Resize(4, (4, 4))), tmp_path / "out.npz")
    assert load_splits(tmp_path / "out.npz").whole.read([2]).shape == (1, 3, 4, 4)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_written_over(tmp_path, kind):
    splits = load_splits("shapes:n=8,size=16,classes=4")
    (tmp_path / "out.npz").write_text("mine")
    (tmp_path / "out.parquet").write_text("mine")
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        convert_data(splits, tmp_path / kind)
    if kind == "out":
        with pytest.raises(UsageError, match="exists already"):
            convert_data(splits, tmp_path / kind, force=True)
    else:
        convert_data(splits, tmp_path / kind, force=True)
        assert len(load_splits(tmp_path / kind).whole) == 8


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "..", "x" * 300])
def test_class_names_that_no_folder_can_have(tmp_path, name):
    np.savez(tmp_path / "in.npz", X=pixels(6), y=np.arange(6) % 2, label_names=np.array(["a", name]))
    splits = load_splits(tmp_path / "in.npz")
    with pytest.raises(DataError, match="cannot name a folder"):
        convert_data(splits, tmp_path / "out")
    convert_data(splits, tmp_path / "out.parquet")
    assert load_splits(tmp_path / "out.parquet").whole.label_names == ("a", name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npz", "out.parquet"]


def test_hostile_ids_stay_inside_the_folder(tmp_path):
    ids = np.array(["../../up", "/etc/passwd", "a\\b", "..", "x" * 500, "<script>"])
    np.savez(tmp_path / "in.npz", X=pixels(6), y=np.arange(6) % 2, ids=ids)
    convert_data(load_splits(tmp_path / "in.npz"), tmp_path / "out")
    assert len(load_splits(tmp_path / "out").whole) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npz", "out"]


def test_unlabeled_and_unknown_kinds(tmp_path):
    write_folder(tmp_path / "in", {".": 3})
    with pytest.raises(DataError, match="without labels"):
        convert_data(load_splits(tmp_path / "in"), tmp_path / "out.npz")
    with pytest.raises(FileError, match="unknown kind"):
        convert_data(load_splits("shapes:n=8"), tmp_path / "out.zip")


@pytest.mark.parametrize("kind", KINDS)
def test_no_space_left_is_one_error_and_the_old_file_stays(tmp_path, kind):
    import resource

    splits = load_splits("shapes:n=64,size=32,classes=4")
    target = tmp_path / kind
    if kind != "out":
        target.write_text("mine")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        with pytest.raises(FileError, match="cannot be written"):
            convert_data(splits, target, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ([] if kind == "out" else [kind])
    assert kind == "out" or target.read_text() == "mine"
