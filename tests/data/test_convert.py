import numpy as np
import pytest
import torch
from PIL import Image

from backlight.core.errors import DataError, FileError, UsageError
from backlight.data import load_splits
from backlight.data.convert import convert_data
from backlight.data.duplicates import take_print
from backlight.images import Resize
from tests.data.samples import pixels, write_folder

KINDS = ["out.npz", "out.parquet", "out"]


def same(first, second):
    assert first.label_names == second.label_names
    assert first.ids == second.ids
    assert torch.equal(first.labels, second.labels)
    assert torch.equal(first.read(slice(None)), second.read(slice(None)))


def shown(data):
    """Give what is to be seen of each picture that can be read: a digest of its pixels, and its class by name."""
    good, images, _ = data.readable(range(len(data)))
    names = [data.label_names[label] for label in data.labels[good].tolist()]
    return sorted((take_print(image).digest, name) for image, name in zip(images, names))


def source(tmp_path, form, parts):
    """Write the same 60 pictures of three classes in a form that marks none of its parts, some, or all."""
    classes, counts = ("cat", "<b>", "a b"), dict(zip(parts, (60 // len(parts) for _ in parts)))
    if form == "folder":
        folders = {f"{part}/{name}".removeprefix("all/"): n // 3 for part, n in counts.items() for name in classes}
        write_folder(tmp_path / "in", folders)
        return load_splits(tmp_path / "in")
    arrays = {"label_names": np.array(classes)}
    for seed, (part, n) in enumerate(counts.items()):
        behind = f"_{part}".removesuffix("_all")
        arrays |= {f"X{behind}": pixels(n, seed=seed), f"y{behind}": np.arange(n) % 3}
    np.savez(tmp_path / "in.npz", **arrays)
    splits = load_splits(tmp_path / "in.npz")
    if form == "parquet":
        convert_data(splits, tmp_path / "in.parquet")
    return load_splits(tmp_path / f"in.{form}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["npz", "parquet", "folder"])
@pytest.mark.parametrize("parts", [("all",), ("train", "test"), ("train", "val", "test")])
def test_every_kind_reads_back_the_same_pictures_in_the_same_parts(tmp_path, kind, form, parts):
    first = source(tmp_path, form, parts)
    assert set(first.parts) == {"train", "val", "test"}
    assert convert_data(first, tmp_path / kind) == ()
    second = load_splits(tmp_path / kind)
    for part in (*first.parts, "all"):
        assert shown(first.pick(part)) == shown(second.pick(part)), part
        if kind != "out":
            same(first.pick(part), second.pick(part))
    assert second.marked == (("train", "val", "test") if kind == "out" else first.marked)


def test_an_archive_keeps_its_parts_in_every_kind(tmp_path):
    import io
    import tarfile

    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        for row, values in enumerate(pixels(30)):
            stream = io.BytesIO()
            Image.fromarray(values).save(stream, format="PNG")
            for suffix, content in (("png", stream.getvalue()), ("cls", b"ab"[row % 2 : row % 2 + 1])):
                member = tarfile.TarInfo(f"{row:03}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    first = load_splits(tmp_path / "in.tar")
    for kind in KINDS:
        convert_data(first, tmp_path / kind)
        second = load_splits(tmp_path / kind)
        assert all(shown(first.pick(part)) == shown(second.pick(part)) for part in ("train", "val", "test"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [("all",), ("train", "test")])
def test_broken_pictures_move_no_other_one_to_another_part(tmp_path, kind, parts):
    source(tmp_path, "folder", parts)
    for path in sorted((tmp_path / "in").rglob("[0-3].png")):
        path.write_bytes(b"junk")
    first = load_splits(tmp_path / "in")
    assert {failure.path for failure in convert_data(first, tmp_path / kind)} == {
        path.relative_to(tmp_path / "in").as_posix() for path in (tmp_path / "in").rglob("[0-3].png")
    }
    second = load_splits(tmp_path / kind)
    for part in (*first.parts, "all"):
        assert shown(first.pick(part)) == shown(second.pick(part)), part


def test_a_folder_that_could_not_be_read_back_is_not_written(tmp_path):
    arrays = {"X_train": pixels(4), "y_train": np.array([0, 0, 1, 1]), "X_test": pixels(3), "y_test": np.arange(3)}
    np.savez(tmp_path / "in.npz", label_names=np.array(["a", "b", "c"]), **arrays)
    with pytest.raises(DataError, match="test holds classes that train lacks: 'c'.*parquet"):
        convert_data(load_splits(tmp_path / "in.npz"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


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
    assert failure.path == "a/2.png"
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
        with pytest.raises(UsageError, match="exists already; expected a new folder") as caught:
            convert_data(splits, tmp_path / kind, force=True)
        assert "--force" not in str(caught.value)
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
