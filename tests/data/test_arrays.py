import io
import zipfile

import numpy as np
import pytest
import torch

from backlight.core.errors import DataError, FileError
from backlight.data import load_data, load_splits
from backlight.data.arrays import load_arrays
from tests.data.samples import DATA, needs_data, pixels

X = pixels(6)
Y = np.array([0, 1, 1, 0, 1, 0])
NAMES = np.array(["cat", "<script>"])
EXPECTED = torch.from_numpy(X).permute(0, 3, 1, 2)


def save(tmp_path, **arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    return tmp_path / "data.npz"


@pytest.mark.parametrize("images", [X, X.transpose(0, 3, 1, 2), X.astype(np.float32) / 255, X.astype(np.float64) / 255])
def test_layouts_and_types_give_the_same_pixels(tmp_path, images):
    data = load_data(save(tmp_path, X=images, y=Y, label_names=NAMES), split="all")
    assert torch.equal(data.read(slice(None)), EXPECTED)
    assert (data.ids, data.label_names) == (tuple("012345"), ("cat", "<script>"))
    assert data.labels.tolist() == Y.tolist()


def test_grey_and_alpha(tmp_path):
    grey = load_data(save(tmp_path, X=X[..., 0], y=Y), split="all")
    assert torch.equal(grey.read(slice(None)), EXPECTED[:, :1].expand(-1, 3, -1, -1))
    alpha = np.concatenate([X, np.full((6, 8, 8, 1), 255, np.uint8)], 3)
    alpha[0, ..., 3] = 0
    clear = load_data(save(tmp_path, X=alpha, y=Y), split="all").read(slice(None))
    assert torch.equal(clear[1:], EXPECTED[1:])
    assert (clear[0] == 255).all()


@pytest.mark.parametrize(
    ("labels", "names"),
    [(Y.reshape(-1, 1), ("0", "1")), (Y.astype(np.uint8), ("0", "1")), (Y + 7, ("7", "8"))]
    + [(np.array(["dog", "cat", "cat", "dog", "cat", "dog"]), ("cat", "dog"))],
)
def test_labels_in_every_form(tmp_path, labels, names):
    data = load_data(save(tmp_path, X=X, y=labels), split="all")
    assert data.label_names == names
    named = [data.label_names[label] for label in data.labels]
    assert named == [str(one) for one in labels.reshape(-1).tolist()]


def test_names_as_labels_keep_the_order_of_the_list(tmp_path):
    labels = np.array(["dog", "cat"] * 3)
    data = load_data(save(tmp_path, X=X, y=labels, label_names=np.array(["dog", "owl", "cat"])), split="all")
    assert data.labels.tolist() == [0, 2] * 3
    with pytest.raises(DataError, match="cat"):
        load_data(save(tmp_path, X=X, y=labels, label_names=np.array(["dog"])))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X, "y": Y.astype(np.float32)}, r"float32.*astype\('int64'\)"),
        ({"X": X, "y": np.eye(2)[Y]}, r"argmax"),
        ({"X": X, "y": Y - 1}, r"labels -1\.\.0"),
        ({"X": X, "y": Y + 1, "label_names": NAMES}, r"labels 1\.\.2.*expected places 0\.\.1"),
        ({"X": X, "y": Y[:4]}, "6 pictures, 6 ids, 4 labels"),
        ({"X": X}, "without labels"),
        ({"X": X.astype(np.float32) - 1, "y": Y}, r"-1\.\.254"),
        ({"X": X.astype(np.float32) * np.nan, "y": Y}, "nan"),
        ({"X": X.astype(np.int32), "y": Y}, "int32"),
        ({"X": X[..., :2], "y": Y}, "shape"),
        ({"X": X, "y": Y, "X_test": X, "y_test": Y}, "either X or"),
        ({"X_train": X, "y_train": Y, "X_test": X}, "labels for"),
        ({"images": X, "y": Y}, "expected X and y"),
        ({"X_train": X, "y_train": Y, "X_test": X, "y_test": Y + 1}, "test holds classes that train lacks: '2'"),
        ({"jpeg": X.reshape(-1), "y": Y}, "offsets"),
        ({"jpeg": X.reshape(-1), "offsets": np.array([0, 5, 3, 9, 10, 11, 12]), "y": Y}, "rising"),
        ({"jpeg": X.reshape(-1), "offsets": np.array([0, 1, 2, 3, 4, 5, 10**6]), "y": Y}, "rising"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, arrays, message):
    with pytest.raises((DataError, FileError), match=message):
        load_data(save(tmp_path, **arrays))


class Trap:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle ran')",)


@pytest.mark.parametrize("member", ["X", "y", "label_names"])
def test_pickled_objects_are_never_loaded(tmp_path, member):
    arrays = {"X": X, "y": Y, "label_names": NAMES} | {member: np.array([Trap()] * 6, dtype=object)}
    with pytest.raises(FileError, match=f"{member}.npy holds pickled objects"):
        load_data(save(tmp_path, **arrays))


def test_files_that_lie_about_their_size(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 32, 32, 3)})
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("X.npy", buffer.getvalue())
    with pytest.raises(FileError, match="size that its header says"):
        load_data(tmp_path / "data.npz")
    np.savez_compressed(tmp_path / "zeros.npz", X=np.zeros((4, 64, 64, 3), np.uint8))
    with pytest.raises(FileError, match="unpacks to 49,152 bytes"):
        load_arrays(tmp_path / "zeros.npz", limit=49_151)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nothing", b"text"])
def test_broken_files(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(FileError, match="data.npz"):
        load_data(tmp_path / "data.npz")
    whole = save(tmp_path, X=X, y=Y).read_bytes()
    (tmp_path / "data.npz").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(FileError, match="data.npz"):
        load_data(tmp_path / "data.npz")


def test_marked_parts(tmp_path):
    path = save(tmp_path, X_train=X, y_train=Y, X_val=X[:2], y_val=Y[:2], X_test=X[2:], y_test=Y[2:])
    splits = load_splits(path)
    assert splits.marked == ("train", "val", "test")
    assert splits.pick("test").ids == ("test/0", "test/1", "test/2", "test/3")
    assert torch.equal(splits.pick("all").read([6, 8]), EXPECTED[[0, 2]])


@needs_data
def test_jpeg_bytes_end_to_end():
    from PIL import Image

    splits = load_splits(DATA / "cifar10_jpeg.npz")
    assert {name: len(part) for name, part in splits.parts.items()} == {"train": 45000, "val": 5000, "test": 5000}
    assert set(splits.pick("val").counts.values()) == {500}
    packed = np.load(DATA / "cifar10_jpeg.npz")
    test = splits.pick("test")
    assert test.labels.tolist() == packed["test_y"].tolist()
    for row in (0, 4999):
        start, stop = packed["test_offsets"][row : row + 2]
        reference = np.asarray(Image.open(io.BytesIO(packed["test_jpeg"][start:stop].tobytes())))
        assert np.array_equal(test.read([row])[0].permute(1, 2, 0).numpy(), reference)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([1, 2, 3]), r"labels 1..3; expected places 0..2 in the 3 label names; try: y - 1"),
        (np.array([0, 1, 2**64 - 1], dtype=np.uint64), r"labels 0..18446744073709551615; expected places 0..2"),
        (np.array([0, -1, 1]), r"labels -1..1; expected places 0..2"),
    ],
)
def test_labels_outside_of_the_names_are_told_as_they_stand(tmp_path, labels, message):
    np.savez(tmp_path / "a.npz", X=pixels(3), y=labels, label_names=np.array(["a", "b", "c"]))
    with pytest.raises(DataError, match=message):
        load_data(tmp_path / "a.npz")


def test_labels_that_no_class_can_have(tmp_path):
    np.savez(tmp_path / "a.npz", X=pixels(2), y=np.array([0, 2**63], dtype=np.uint64))
    with pytest.raises(DataError, match=r"labels 0..9223372036854775808; expected whole numbers from 0"):
        load_data(tmp_path / "a.npz")
