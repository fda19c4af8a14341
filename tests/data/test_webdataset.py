import io
import json
import tarfile

import pytest
import torch
from PIL import Image

from backlight.core.errors import DataError, FileError
from backlight.data import load_data, load_splits
from tests.data.samples import pixels

X = pixels(6)


def png(row):
    stream = io.BytesIO()
    Image.fromarray(X[row]).save(stream, "PNG")
    return stream.getvalue()


def write_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def samples(rows, label="cls"):
    members = {}
    for row in rows:
        members[f"dir/{row:04}.png"] = png(row)
        text = str(row % 2) if label == "cls" else json.dumps({"label": ["dog", "cat"][row % 2], "x": [1]})
        members[f"dir/{row:04}.{label}"] = text.encode()
        members[f"dir/{row:04}.txt"] = b"a caption"
    return members


@pytest.mark.parametrize(("label", "names", "numbers"), [("cls", ("0", "1"), [0, 1]), ("json", ("cat", "dog"), [1, 0])])
def test_samples(tmp_path, label, names, numbers):
    write_tar(tmp_path / "data.tar", samples(range(6), label))
    data = load_data(tmp_path / "data.tar", split="all")
    assert torch.equal(data.read(slice(None)), torch.from_numpy(X).permute(0, 3, 1, 2))
    assert data.ids == tuple(f"dir/{row:04}" for row in range(6))
    assert data.label_names == names
    assert data.labels.tolist() == numbers * 3


def test_shards_and_parts(tmp_path):
    write_tar(tmp_path / "train-000000.tar", samples([0, 1]))
    write_tar(tmp_path / "train-000001.tar", samples([2, 3]))
    write_tar(tmp_path / "test-000000.tar", samples([4, 5]))
    splits = load_splits(tmp_path)
    assert splits.marked == ("train", "test")
    assert splits.pick("all").ids[3:5] == ("train/dir/0003", "test/dir/0004")
    (tmp_path / "test-000000.tar").rename(tmp_path / "validation-000000.tar")
    assert load_splits(tmp_path).pick("val").ids == ("val/dir/0004", "val/dir/0005")
    write_tar(tmp_path / "more.tar", samples([5]))
    with pytest.raises(DataError, match="with and without"):
        load_data(tmp_path)


def test_nothing_is_unpacked_or_followed(tmp_path):
    path = tmp_path / "data.tar"
    write_tar(path, samples([0, 1]))
    (tmp_path / "secret.png").write_bytes(png(3))
    with tarfile.open(path, "a") as archive:
        for name, kind, target in (("a.png", tarfile.SYMTYPE, "secret.png"), ("b.png", tarfile.LNKTYPE, "/etc/hosts")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        for name in ("../../up.png", "../../up.cls"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"1"))
    data = load_data(path, split="all")
    assert data.ids == ("dir/0000", "dir/0001", "../../up")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.tar", "secret.png"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.cls": b"1"}, "no pictures"),
        ({"a.png": b"x"}, "no label for"),
        ({"a.png": b"x", "a.json": b"{"}, "read as JSON"),
    ]
    + [({"a.png": b"x", "a.json": b'{"label": 1.5}'}, "no label"), ({"a.png": b"x", "a.cls": b"1" * 2**21}, "1 MiB")],
)
def test_what_does_not_fit(tmp_path, members, message):
    write_tar(tmp_path / "data.tar", members)
    with pytest.raises((FileError, DataError), match=message):
        load_data(tmp_path / "data.tar")


def test_broken_compressed_and_double(tmp_path):
    (tmp_path / "data.tar").write_bytes(b"junk" * 500)
    with pytest.raises(FileError, match="not a usable archive"):
        load_data(tmp_path / "data.tar")
    write_tar(tmp_path / "data.tar", samples([0]), "w:gz")
    with pytest.raises(FileError, match="uncompressed"):
        load_data(tmp_path / "data.tar")
    for name in ("train-0.tar", "train-1.tar"):
        write_tar(tmp_path / name, samples([0]))
    (tmp_path / "data.tar").unlink()
    with pytest.raises(FileError, match="twice"):
        load_data(tmp_path)


def test_archives_of_the_library_itself(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "data.tar")) as sink:
        for row in range(6):
            sink.write({"__key__": f"{row:04}", "png": Image.fromarray(X[row]), "cls": row % 2})
    data = load_data(tmp_path / "data.tar", split="all")
    assert torch.equal(data.read(slice(None)), torch.from_numpy(X).permute(0, 3, 1, 2))
    assert data.labels.tolist() == [0, 1] * 3
