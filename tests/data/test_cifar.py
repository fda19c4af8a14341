import io
import os
import pickle
import tarfile

import numpy as np
import pytest
import torch

from backlight.core.errors import FileError
from backlight.data import load_splits
from backlight.data.pickled import read_pickled
from tests.data.samples import pixels

IMAGES = pixels(12, 32).transpose(0, 3, 1, 2).reshape(12, -1)
LABELS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
TEN = [f"name{number}" for number in range(10)]


def python_ten(root):
    root.mkdir()
    for batch in range(5):
        rows = slice(2 * batch, 2 * batch + 2)
        content = {b"data": IMAGES[rows], b"labels": LABELS[rows], b"filenames": [b"a.png", b"b.png"]}
        (root / f"data_batch_{batch + 1}").write_bytes(pickle.dumps(content, protocol=2))
    (root / "test_batch").write_bytes(pickle.dumps({b"data": IMAGES[10:], b"labels": LABELS[10:]}, protocol=2))
    meta = {b"label_names": [name.encode() for name in TEN], b"num_vis": 3072}
    (root / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))


def binary_ten(root):
    root.mkdir()
    records = [bytes([label]) + image.tobytes() for label, image in zip(LABELS, IMAGES)]
    for batch in range(5):
        (root / f"data_batch_{batch + 1}.bin").write_bytes(b"".join(records[2 * batch : 2 * batch + 2]))
    (root / "test_batch.bin").write_bytes(b"".join(records[10:]))
    (root / "batches.meta.txt").write_text("\n".join(TEN) + "\n\n")


def python_hundred(root):
    root.mkdir()
    for part, rows in {"train": slice(0, 10), "test": slice(10, 12)}.items():
        content = {"data": IMAGES[rows], "fine_labels": LABELS[rows], "coarse_labels": [0] * 12}
        (root / part).write_bytes(pickle.dumps(content))
    (root / "meta").write_bytes(pickle.dumps({"fine_label_names": TEN + ["more"] * 0, "coarse_label_names": []}))


def binary_hundred(root):
    root.mkdir()
    records = [bytes([0, label]) + image.tobytes() for label, image in zip(LABELS, IMAGES)]
    (root / "train.bin").write_bytes(b"".join(records[:10]))
    (root / "test.bin").write_bytes(b"".join(records[10:]))
    (root / "fine_label_names.txt").write_text("\n".join(TEN) + "\n")


@pytest.mark.parametrize("write", [python_ten, binary_ten, python_hundred, binary_hundred])
def test_every_release_gives_the_same_data(tmp_path, write):
    write(tmp_path / "cifar")
    splits = load_splits(tmp_path / "cifar")
    assert splits.marked == ("train", "test")
    whole = splits.pick("all")
    assert torch.equal(whole.read(slice(None)).flatten(1), torch.from_numpy(IMAGES.copy()))
    assert whole.labels.tolist() == LABELS
    assert whole.label_names == tuple(TEN)
    assert whole.ids[9:11] == ("train/9", "test/0")


def python_two(value):
    """Pickle as Python 2 with numpy 1 did: text as bytes, the old module names."""
    return pickle.dumps(value, protocol=2).replace(b"numpy._core", b"numpy.core")


def test_old_module_names(tmp_path):
    (tmp_path / "batch").write_bytes(python_two({b"data": IMAGES[:2], b"labels": [1, 2]}))
    assert np.array_equal(read_pickled(tmp_path / "batch")["data"], IMAGES[:2])


def test_arrays_in_fortran_order(tmp_path):
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": np.asfortranarray(IMAGES)}))
    assert np.array_equal(read_pickled(tmp_path / "batch")["data"], IMAGES)


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "content",
    [
        {"data": Call(os.system, "exit 3")},
        {"data": Call(exec, "raise SystemExit")},
        {"data": Call(eval, "1")},
        {"data": Call(np.load, "x")},
        {"data": Call(np.frombuffer, b"x")},
        {"data": Call(getattr, "x", "upper")},
        {"data": Call(tarfile.open, "x")},
        {"data": np.array([Call(os.getcwd)], dtype=object)},
        {"data": np.zeros((2, 3), dtype=np.float32)},
        {"data": np.zeros(2, dtype=[("a", "u1")])},
        [1, 2],
    ],
)
def test_a_pickle_that_names_anything_else_is_refused(tmp_path, content):
    (tmp_path / "batch").write_bytes(pickle.dumps(content))
    with pytest.raises(FileError, match="not a plain pickled batch"):
        read_pickled(tmp_path / "batch")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x80\x04",
        b"text",
        b"cposix\nsystem\n(S'exit 3'\ntR.",
        b"(dp0\nV" + b"data" + b"\np1\ncnumpy\nndarray\np2\n(I0\nI1\nI2\ntRp3\nI5\nbs.",
        b"cnumpy.core.multiarray\n_reconstruct\n(tR.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        pickle.dumps({"data": Call("x".encode, "zip")}),
    ],
)
def test_broken_and_hostile_bytes(tmp_path, raw):
    (tmp_path / "batch").write_bytes(raw)
    with pytest.raises(FileError, match="batch"):
        read_pickled(tmp_path / "batch")


def test_stand_ins_cannot_be_walked(tmp_path):
    stream = io.BytesIO()
    stream.write(b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.")
    (tmp_path / "batch").write_bytes(stream.getvalue())
    with pytest.raises(FileError, match=r"asks for numpy\.ndarray\.__class__"):
        read_pickled(tmp_path / "batch")


@pytest.mark.parametrize(
    "content",
    [{"labels": [1, 2]}, {"data": IMAGES[:2]}, {"data": IMAGES[:2], "labels": [1.0, 2.0]}]
    + [{"data": IMAGES[:2], "labels": [1]}, {"data": IMAGES[:2, :100], "labels": [1, 2]}],
)
def test_batches_without_what_they_need(tmp_path, content):
    python_ten(tmp_path / "cifar")
    (tmp_path / "cifar" / "data_batch_3").write_bytes(pickle.dumps(content))
    with pytest.raises(FileError, match="data_batch_3"):
        load_splits(tmp_path / "cifar")


def test_binary_batches_of_a_wrong_size(tmp_path):
    binary_ten(tmp_path / "cifar")
    (tmp_path / "cifar" / "data_batch_2.bin").write_bytes(b"123")
    with pytest.raises(FileError, match=r"data_batch_2.*multiple of 3073"):
        load_splits(tmp_path / "cifar")
