"""Data sets in object stores: WebDataset archives and Parquet files, by their addresses."""

from __future__ import annotations

from backlight.core.errors import DataError, FileError
from backlight.core.remote import list_remote
from backlight.data.dataset import Dataset
from backlight.data.parquet import read_parquet
from backlight.data.webdataset import read_tars

EXPECTED = "uncompressed .tar files (WebDataset), or .parquet files"


def read_remote(url: str) -> dict[str, Dataset]:
    """Read `s3://bucket/file.tar`, a `.parquet`, or a folder of either, as the same files on this machine are read.

    Folders are not searched further down. Of archives the tables of contents are kept in memory, of Parquet files the
    labels; pictures are read when they are asked for. Raises UsageError where a package is missing, FileError and
    DataError as `backlight.core.remote` and the readers do.

    >>> read_remote("memory://nowhere/train-000.tar")
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: memory://nowhere/train-000.tar: does not exist
    """
    objects, folders = list_remote(url)
    archives, tables = ([one for one in objects if one.name.lower().endswith(kind)] for kind in (".tar", ".parquet"))
    if archives and tables:
        raise DataError(
            f"{url} can be read as several data sets: {archives[0].name} and {tables[0].name} lie side by side",
            expected="archives, or tables",
            hint=f"DATA {archives[0]}, or a folder of its own for each",
        )
    if not archives and not tables:
        hint = f"{url.rstrip('/')}/{folders[0]}" if folders else ""
        raise FileError(url, "is or holds neither .tar nor .parquet files", expected=EXPECTED, hint=hint)
    return read_tars(archives) if archives else read_parquet(tables)
