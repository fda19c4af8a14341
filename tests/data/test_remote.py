"""Data sets in stores: the same as from local files, within the same limits, and one sentence for what goes wrong."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from backlight.core.errors import BacklightError, DataError, FileError, UsageError
from backlight.core.remote import PIECE, list_remote
from backlight.data import Dataset, load_data, load_splits
from backlight.data.stamps import stamps
from backlight.sweep import Part, Task, sweep
from backlight.table import Table
from tests.data.samples import pixels

N = 12
X = pixels(N)


def encoded(row: int, padding: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(X[row]).save(stream, "PNG")
    # Behind the end of a PNG there may be anything: large files of small pictures.
    return stream.getvalue() + np.random.default_rng(row).bytes(padding)


def write_tar(path: Path, rows: range, padding: int = 0) -> None:
    with tarfile.open(path, "w") as archive:
        for row in rows:
            for suffix, data in (("png", encoded(row, padding)), ("cls", str(row % 3).encode())):
                info = tarfile.TarInfo(f"{row:03}.{suffix}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def write_parquet(path: Path, rows: range, padding: int = 0) -> None:
    images = [{"bytes": encoded(row, padding), "path": None} for row in rows]
    table = pa.table({"image": images, "label": [row % 3 for row in rows], "note": ["x"] * len(rows)})
    pq.write_table(table, path, row_group_size=4)


WRITERS = {"tar": write_tar, "parquet": write_parquet}
Store = Callable[[Path], str]


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


@pytest.fixture(params=["memory", "file"])
def put(request: pytest.FixtureRequest, memory: MemoryFileSystem) -> Store:
    """Return a function that puts a folder of files into a store, and gives its address."""

    def to_memory(folder: Path) -> str:
        for path in folder.iterdir():
            memory.pipe_file(f"/bucket/{folder.name}/{path.name}", path.read_bytes())
        return f"memory://bucket/{folder.name}"

    return to_memory if request.param == "memory" else lambda folder: folder.as_uri()


def equal(first: Dataset, second: Dataset) -> bool:
    same = first.ids == second.ids and torch.equal(first.labels, second.labels)
    return same and first.label_names == second.label_names and first.fingerprint() == second.fingerprint()


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_as_from_local_files(tmp_path: Path, put: Store, kind: str) -> None:
    WRITERS[kind](tmp_path / f"train-000.{kind}", range(7))
    WRITERS[kind](tmp_path / f"test-000.{kind}", range(7, N))
    here, there = load_splits(tmp_path), load_splits(put(tmp_path))
    assert there.marked == ("train", "test")
    for part in ("train", "test", "all"):
        assert equal(here.pick(part), there.pick(part))
        rows = torch.randperm(len(here.pick(part)), generator=torch.Generator().manual_seed(0))
        assert torch.equal(here.pick(part).read(rows), there.pick(part).read(rows))
    alone = load_data(f"{put(tmp_path)}/test-000.{kind}@test=0:2", split="test")
    assert alone.labels.tolist() == [7 % 3, 8 % 3]


def brightness(data: Dataset, folder: Path) -> list[tuple[str, bytes]]:
    def work(block: Dataset, advance: Any) -> Part:
        rows, images, failed = block.readable(range(len(block)))
        means = [float(image.double().mean()) for image in images]
        return Part(Table.of(id=[block.ids[row] for row in rows.tolist()], mean=means), failed=failed)

    sweep(Task("brightness", data, work, size=5), folder=folder)
    return [(path.name, path.read_bytes()) for path in sorted(folder.glob("*.parquet"))]


@pytest.mark.parametrize("kind", WRITERS)
def test_parts_of_a_sweep_are_the_same_bytes_and_go_on(tmp_path: Path, put: Store, kind: str) -> None:
    (tmp_path / "data").mkdir()
    WRITERS[kind](tmp_path / "data" / f"a.{kind}", range(N))
    here = brightness(load_data(tmp_path / "data", split="all"), tmp_path / "here")
    there = load_data(put(tmp_path / "data"), split="all")
    assert brightness(there, tmp_path / "there") == here
    assert len(here) == 3
    (tmp_path / "there" / here[1][0]).unlink()
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "there").glob("*.parquet")}
    assert brightness(there, tmp_path / "there") == here
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_asked_for_is_bounded(
    tmp_path: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    WRITERS[kind](tmp_path / "a", range(N), padding=300_000)
    memory.pipe_file(f"/bucket/a.{kind}", (tmp_path / "a").read_bytes())
    spans: list[tuple[int, int]] = []
    plain = MemoryFileSystem.cat_file

    def counted(self: Any, path: str, start: int, end: int, **kwargs: Any) -> bytes:
        spans.append((start, end))
        return plain(self, path, start, end, **kwargs)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", counted)
    data = load_data(f"memory://bucket/a.{kind}", split="all")
    spans.clear()
    data.pictures.one(5)
    assert max(end - start for start, end in spans) <= PIECE
    assert sum(end - start for start, end in spans) <= 2.5 * PIECE
    spans.clear()
    for batch in data.batches(4):
        assert len(batch.ids) == 4
    # Neighbors come together: the whole is read once, and not a piece of it for each picture.
    assert sum(end - start for start, end in spans) < 1.5 * N * 300_000


def test_equal_rows_of_parquet_do_not_fill_memory(tmp_path: Path, put: Store) -> None:
    table = pa.table({"image": pa.array([bytes(2**20)] * 300, pa.binary()), "label": [0] * 300})
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data" / "equal.parquet")
    with pytest.raises(FileError, match=r"equal.parquet: unpacks to more than"):
        load_data(put(tmp_path / "data"), split="all").read([0])


def test_a_broken_picture_and_a_broken_archive_are_named(tmp_path: Path, put: Store) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "a.tar"
    write_tar(path, range(N))
    raw = path.read_bytes()
    place = raw.index(b"IHDR", raw.index(b"IHDR") + 1)
    path.write_bytes(raw[:place] + b"XXXX" + raw[place + 4 :])
    loaded = load_data(put(tmp_path / "data"), split="all").in_memory()
    assert [one.path for one in loaded.failed] == ["001"]
    assert len(loaded) == N - 1
    path.write_bytes(b"junk" * 500)
    with pytest.raises(FileError, match=r"a\.tar: not a usable archive"):
        load_data(put(tmp_path / "data"))
    path.rename(path.with_suffix(".parquet"))
    with pytest.raises(FileError, match=r"a\.parquet: not a Parquet file"):
        load_data(path.with_suffix(".parquet").as_uri())


@pytest.mark.parametrize("kind", WRITERS)
def test_an_object_that_goes_or_changes_fails_its_pictures(tmp_path: Path, memory: MemoryFileSystem, kind: str) -> None:
    for name, rows in (("a", range(4)), ("b", range(4, N))):
        WRITERS[kind](tmp_path / name, rows, padding=0)
        memory.pipe_file(f"/bucket/{name}.{kind}", (tmp_path / name).read_bytes())
    data = load_data("memory://bucket", split="all")
    memory.rm(f"/bucket/a.{kind}")
    loaded = data.in_memory()
    assert [one.path for one in loaded.failed] == list(data.ids[:4])
    assert loaded.failed[0].error == f"memory://bucket/a.{kind}: does not exist"
    listed = load_data("memory://bucket", split="all")
    memory.pipe_file(f"/bucket/b.{kind}", b"short")
    assert len(listed.readable(range(len(listed)))[2]) == len(listed)


class Cut(ConnectionError):
    """What a store raises when the line is cut."""


@pytest.mark.parametrize("kind", WRITERS)
def test_a_cut_connection_ends_the_work_and_gets_into_no_result(
    tmp_path: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    WRITERS[kind](tmp_path / "a", range(N), padding=300_000)
    memory.pipe_file(f"/bucket/a.{kind}", (tmp_path / "a").read_bytes())
    data = load_data("memory://bucket", split="all")
    left = [2]
    plain = MemoryFileSystem.cat_file

    def failing(self: Any, *args: Any, **kwargs: Any) -> bytes:
        left[0] -= 1
        if left[0] < 0:
            raise Cut("reset by peer")
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", failing)
    with pytest.raises(DataError, match=rf"memory://bucket/a\.{kind}: cannot be read \(Cut: reset by peer\)"):
        brightness(data, tmp_path / "parts")
    monkeypatch.setattr(MemoryFileSystem, "cat_file", plain)
    whole = brightness(data, tmp_path / "parts")
    assert whole == brightness(load_data("memory://bucket", split="all"), tmp_path / "again")
    assert sum(len(Table.read(tmp_path / "parts" / name)) for name, _ in whole) == N


@pytest.fixture
def tag(memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Let the store tell its objects from earlier ones, by the text in a list."""
    plain, tag = MemoryFileSystem.ls, ["one"]

    def tagged(self: Any, path: str, detail: bool = True, **kwargs: Any) -> Any:
        return [{**one, "ETag": f'"{tag[0]}"'} for one in plain(self, path, detail=True, **kwargs)]

    monkeypatch.setattr(MemoryFileSystem, "ls", tagged)
    monkeypatch.setenv("BACKLIGHT_CACHE", str(tmp_path / "cache"))
    return tag


@pytest.mark.parametrize("kind", WRITERS)
def test_what_a_store_tells_of_an_object_stands_for_its_bytes(
    tmp_path: Path, memory: MemoryFileSystem, tag: list[str], kind: str
) -> None:
    WRITERS[kind](tmp_path / "a", range(N))
    memory.pipe_file(f"/bucket/a.{kind}", (tmp_path / "a").read_bytes())
    first = stamps(load_data("memory://bucket", split="all").pictures, range(N))
    assert len(set(first)) == N
    assert first == stamps(load_data("memory://bucket", split="all").pictures, range(N))
    tag[0] = "two"
    assert not set(first) & set(stamps(load_data("memory://bucket", split="all").pictures, range(N)))


def test_an_archive_is_read_once_to_learn_what_it_holds(
    tmp_path: Path, memory: MemoryFileSystem, tag: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(tmp_path / "a", range(N))
    memory.pipe_file("/bucket/a.tar", (tmp_path / "a").read_bytes())
    first = load_data("memory://bucket", split="all")
    [kept] = (tmp_path / "cache" / "archives").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "cat_file", None)
        again = load_data("memory://bucket", split="all")
    assert equal(first, again)
    whole = kept.read_text()
    for damaged in ("{", whole.replace('"sizes":[', '"sizes":[99999999,', 1), whole.replace("bucket", "b"), "[]"):
        kept.write_text(damaged)
        assert equal(first, load_data("memory://bucket", split="all"))
        assert kept.read_text() == whole
    kept.unlink()
    monkeypatch.setenv("BACKLIGHT_CACHE", "")
    assert equal(first, load_data("memory://bucket", split="all"))
    assert not kept.exists()
    monkeypatch.setenv("BACKLIGHT_CACHE", "/dev/null/nowhere")
    assert equal(first, load_data("memory://bucket", split="all"))


def test_folders_that_hold_something_else(tmp_path: Path, put: Store) -> None:
    (tmp_path / "data").mkdir()
    write_tar(tmp_path / "data" / "a.tar.gz", range(2))
    with pytest.raises(FileError, match=r"data: is or holds neither .tar nor .parquet files; expected uncompressed"):
        load_data(put(tmp_path / "data"))
    write_tar(tmp_path / "data" / "a.tar", range(2))
    write_parquet(tmp_path / "data" / "a.parquet", range(2))
    with pytest.raises(DataError, match=r"a\.tar and a\.parquet lie side by side"):
        load_data(put(tmp_path / "data"))


def test_the_folders_below_are_a_hint(memory: MemoryFileSystem) -> None:
    memory.pipe_file("/bucket/deep/a.tar", b"")
    with pytest.raises(FileError, match="try: memory://bucket/deep"):
        load_data("memory://bucket")


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("memory://nowhere/a.tar", FileError, "memory://nowhere/a.tar: does not exist"),
        ("file:///nowhere/a.tar", FileError, "file:///nowhere/a.tar: does not exist"),
        ("file:///dev/zero", FileError, "file:///dev/zero: is not a regular file"),
        ("memory:bucket", UsageError, "expected memory://, then where it lies"),
        ("ftp://host/a.tar", FileError, "no such file or folder"),
        ("memory://a.tar::s3://b", FileError, "does not exist"),
    ],
)
def test_addresses_that_lead_nowhere(memory: MemoryFileSystem, spec: str, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        load_data(spec)


def test_a_path_made_of_an_address_is_the_address(tmp_path: Path, put: Store) -> None:
    write_tar(tmp_path / "a.tar", range(3))
    assert len(load_data(Path(put(tmp_path)), split="all")) == 3


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UsageError, match=r"s3:// needs the package s3fs; try: pip install 'backlight\[fsspec\]' s3fs"):
        load_data("s3://bucket/a.tar")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UsageError, match=r"memory:// needs the package fsspec; try: pip install"):
        load_data("memory://bucket/a.tar")


class NoCredentialsError(Exception):
    """As botocore names what it raises."""


@pytest.mark.parametrize(
    "raised", [NoCredentialsError("Unable to locate credentials"), PermissionError("Access Denied")]
)
def test_a_store_that_refuses(monkeypatch: pytest.MonkeyPatch, raised: Exception) -> None:
    class Refusing(MemoryFileSystem):
        def info(self, path: str, **kwargs: Any) -> Any:
            raise raised

    monkeypatch.setattr(fsspec, "filesystem", lambda scheme: Refusing())
    with pytest.raises(DataError, match=r"s3://b/a.tar: may not be read .*; expected credentials.*FSSPEC_S3_ANON"):
        load_data("s3://b/a.tar")


@pytest.mark.parametrize("size", [None, -1, "12"])
def test_an_object_without_a_size_is_refused(memory: MemoryFileSystem, monkeypatch: Any, size: Any) -> None:
    memory.pipe_file("/bucket/a.tar", b"")
    monkeypatch.setattr(
        MemoryFileSystem, "info", lambda self, path, **kwargs: {"name": "/a.tar", "size": size, "type": "file"}
    )
    with pytest.raises(BacklightError, match="has no size"):
        list_remote("memory://bucket/a.tar")


def test_an_answer_that_is_too_short_is_no_data(memory: MemoryFileSystem) -> None:
    memory.pipe_file("/bucket/a.tar", bytes(100))
    [file], _ = list_remote("memory://bucket/a.tar")
    memory.pipe_file("/bucket/a.tar", bytes(60))
    assert file.read(0, 50) == bytes(50)
    with pytest.raises(FileError, match=r"a\.tar: gave 20 of 50 bytes; expected the object that was listed, unchanged"):
        file.read(40, 50)
    with pytest.raises(FileError, match="has 100 bytes, not 101"):
        file.read(51, 50)
