"""Files made to hang, to fill memory or to end in a traceback: each is one sentence that names the file."""

import io
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backlight.core.errors import BacklightError, FileError
from backlight.core.reading import open_regular, read_json, read_text, unpack_limit
from backlight.data import load_data
from backlight.data.arrays import load_arrays
from backlight.data.pickled import read_pickled
from tests.data.samples import pixels


@pytest.mark.parametrize("name", ["a.npz", "a.parquet", "a.tar", "a.csv", "a.txt", "a.jpg"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files_are_read(tmp_path, name, kind):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(FileError, match="is a folder" if kind == "folder" else "is not a regular file"):
        open_regular(path)
    if kind != "folder":
        with pytest.raises(BacklightError, match="regular file"):
            load_data(path, split="all").read([0])


def test_a_pipe_in_place_of_a_batch_of_cifar(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"")
    os.mkfifo(tmp_path / "test_batch")
    with pytest.raises(FileError, match="not a plain pickled batch"):
        load_data(tmp_path)
    with pytest.raises(FileError, match="is not a regular file"):
        read_pickled(tmp_path / "test_batch")


def test_names_that_no_file_can_have(tmp_path):
    for name in ("a" * 300, "a\0b"):
        with pytest.raises(FileError):
            open_regular(tmp_path / name)


def test_json_is_held_against_limits(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    with pytest.raises(FileError, match="too deeply nested"):
        read_json(path)
    path.write_text(" " * 100)
    with pytest.raises(FileError, match="larger than 64 bytes"):
        read_json(path, limit=64)
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_json(path) == {}
    assert read_text(path) == "{}"


def npz_with_header(text):
    made, head = io.BytesIO(), text.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(48))
    return made.getvalue()


HEADER = "{'descr': '|u1', 'fortran_order': False, 'shape': %s, }"


@pytest.mark.parametrize(
    "header",
    ["(" * 100, "-" * 5000 + "1", "{" * 30, HEADER % "(0, 10**22)", HEADER % f"(0, {10**22})", HEADER % "(-1, 48)"]
    + [HEADER % "(True, 48)", HEADER % "('a',)", HEADER.replace("|u1", "|O") % "(6,)", "", "None"],
)
def test_headers_of_arrays(tmp_path, header):
    (tmp_path / "made.npz").write_bytes(npz_with_header(header))
    with pytest.raises(BacklightError, match=r"made\.npz"):
        load_data(tmp_path / "made.npz")


def refusal(path):
    """Return the sentence in which a file is refused, or None where the damage hit nothing that is read."""
    try:
        load_data(path, split="all")
    except BacklightError as error:
        return str(error)
    return None


def test_a_damaged_or_locked_archive(tmp_path):
    path = tmp_path / "whole.npz"
    np.savez_compressed(path, X=pixels(12), y=np.arange(12) % 3)
    whole = path.read_bytes()
    for place in range(30, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        told = refusal(path)
        assert told is None or "whole.npz" in told
    locked = bytearray(whole)
    entry = whole.rindex(b"PK\x01\x02")
    locked[entry + 8] |= 1
    path.write_bytes(locked)
    with pytest.raises(FileError, match="not a usable .npz"):
        load_data(path)


def test_what_a_file_unpacks_to_follows_from_its_size(tmp_path):
    count = 2 * unpack_limit(0) // (64 * 64 * 3)
    np.savez_compressed(tmp_path / "zeros.npz", X=np.zeros((count, 64, 64, 3), np.uint8))
    with pytest.raises(FileError, match=r"zeros.npz: unpacks to [\d,]+ bytes; .* numpy.savez"):
        load_arrays(tmp_path / "zeros.npz")


def test_equal_rows_of_parquet_are_counted_as_they_are_read(tmp_path):
    picture = bytes(2**20)
    table = pa.table({"image": pa.array([picture] * 300, pa.binary()), "label": [0] * 300})
    pq.write_table(table, tmp_path / "equal.parquet")
    assert (tmp_path / "equal.parquet").stat().st_size < 2**20
    with pytest.raises(FileError, match=r"equal.parquet: unpacks to more than"):
        load_data(tmp_path / "equal.parquet")


@pytest.mark.parametrize(
    "columns",
    [{"image": [b"x"], "label": [[1, 2]]}, {"image": [b"x", b"y"], "label": [[1], [1, 2]]}]
    + [{"image": [b"x"], "label": pa.array([b"\xff"]).cast(pa.binary())}, {"image": [], "label": []}],
)
def test_columns_of_parquet_that_are_no_labels(tmp_path, columns):
    pq.write_table(pa.table(columns), tmp_path / "odd.parquet")
    with pytest.raises(BacklightError):
        load_data(tmp_path / "odd.parquet")


@pytest.mark.parametrize("metadata", [b"[" * 100_000, b"3", b'{"info": {"features": []}}', b'{"info": []}', b"\xff"])
def test_metadata_of_parquet_that_holds_no_names(tmp_path, metadata):
    table = pa.table({"image": pa.array([b"x"], pa.binary()), "label": ["cat"]})
    pq.write_table(table.replace_schema_metadata({"huggingface": metadata}), tmp_path / "odd.parquet")
    assert load_data(tmp_path / "odd.parquet", split="all").label_names == ("cat",)


def write_tar(path, change):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in (("0.jpg", b"picture"), ("0.cls", b"1")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            change(member)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    "headers",
    [{"GNU.sparse.map": "x"}, {"GNU.sparse.map": "0,1", "GNU.sparse.size": "a"}, {"size": str(2**62)}, {"size": "-1"}]
    + [{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "0.jpg"}, {"path": "a" * 10_000 + ".jpg"}],
)
def test_headers_of_archives(tmp_path, headers):
    write_tar(tmp_path / "odd.tar", lambda member: setattr(member, "pax_headers", headers))
    with pytest.raises(FileError, match=r"odd\.tar"):
        load_data(tmp_path / "odd.tar")


NESTED = b"\x80\x02}" + b"K\x01" + b"0".join([b"2\x86"] * 1) + b"2\x86" * 40 + b"K\x01s."


@pytest.mark.parametrize(
    "raw",
    [NESTED, b"r\xc2\xeb\x0b\x00.", b"\x80\x04\x8f.", b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".", b"("]
    + [pickle.dumps({frozenset([1]): 2}), pickle.dumps({(1, 2): 3}), pickle.dumps({1.5: 3})],
)
def test_pickles_that_would_take_for_ever(tmp_path, raw):
    (tmp_path / "batch").write_bytes(raw)
    with pytest.raises(FileError, match="not a plain pickled batch"):
        read_pickled(tmp_path / "batch")


def test_a_text_that_is_encoded_again_and_again(tmp_path):
    text = "é" * 2**20
    encode = b"c_codecs\nencode\nq\x00"
    again = b"h\x00h\x01X\x06\x00\x00\x00latin1\x86R0" * 500
    head = b"X" + struct.pack("<I", len(text.encode())) + text.encode() + b"q\x010"
    (tmp_path / "batch").write_bytes(b"\x80\x02" + encode + b"0" + head + again + b"}.")
    with pytest.raises(FileError, match="far more than it holds"):
        read_pickled(tmp_path / "batch")


@pytest.mark.parametrize("label", [2**70, -1, 2**31])
def test_labels_of_cifar_beyond_all_classes(tmp_path, label):
    data = pixels(2, 32).transpose(0, 3, 1, 2).reshape(2, -1)
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(pickle.dumps({"data": data, "labels": [0, label]}))
    with pytest.raises(FileError, match="labels that are not whole numbers"):
        load_data(tmp_path)


def test_names_of_cifar_that_are_no_text(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(3073))
    (tmp_path / "batches.meta.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match="is not a text file"):
        load_data(tmp_path)
