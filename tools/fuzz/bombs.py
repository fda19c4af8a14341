"""Inputs made by hand: small files that claim, unpack to or refer to far more than they hold, or would run code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tools.fuzz import seeds
from tools.fuzz.inputs import Content, Files
from tools.fuzz.pickles import calling, containing_itself, doubling, remembering
from tools.fuzz.pictures import bomb_png

ZEROS = 2 * 2**30
_FLAT: dict[str, tuple[str, tuple[int, int], dict[str, Any]]] = {
    "JPEG": ("RGB", (13000, 13000), {"progressive": True, "quality": 1}),
    "WEBP": ("L", (16383, 10900), {"method": 0, "quality": 0}),
    "GIF": ("P", (13377, 13377), {}),
    "BMP": ("1", (9000, 9000), {}),
    "TIFF": ("RGBA", (13377, 13377), {"compression": "tiff_adobe_deflate"}),
    "PPM": ("1", (9000, 9000), {}),
    "AVIF": ("RGB", (8192, 8192), {"speed": 10, "quality": 0}),
}
DEEP, LONG = b"[" * 100_000, b"9" * 100_000


def picture_bombs(kind: str, suffix: str) -> Iterator[tuple[str, Content]]:
    """Yield the largest pictures of a format that PIL takes, and some that claim more."""
    name = f"picture{suffix}"
    if kind != "PNG":
        yield name, _flat(kind)
        return
    yield name, _large()
    yield name, bomb_png(13377, 13377, kind=0, depth=16)
    yield name, bomb_png(60000, 3, kind=2) + b"more"
    for width, height in ((2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (0, 0)):
        yield name, bomb_png(8, 8)[:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bomb_png(8, 8)[24:]


def many_large_pictures() -> Files:
    """Return a folder of the largest pictures, which threads would decode together."""
    return {f"{'ab'[row % 2]}/{row}.png": _large() for row in range(8)}


@cache
def array_bombs() -> tuple[tuple[str, Content], ...]:
    """Return .npz files that unpack to gigabytes, claim endless shapes, or hold pickles."""
    return (
        ("data.npz", packed({"X.npy": _npy("|u1", "(2147483648,)") + bytes(ZEROS // 64)}, repeat=64)),
        ("data.npz", packed({"X.npy": _npy("|u1", "(0, 10000000000000000000000)")})),
        ("data.npz", packed({"X.npy": _npy("<U500000000", "(4,)")})),
        ("data.npz", packed({"X.npy": _npy("|O", "(1,)") + calling(), "y.npy": _npy("|O", "(1,)") + calling()})),
        ("data.npz", packed({f"X{name}.npy": _npy("|u1", "(0,)") for name in range(20_000)})),
    )


def parquet_bombs() -> Iterator[tuple[str, Content]]:
    """Yield Parquet files of equal rows, of nests, and with metadata of other shapes."""
    equal = pa.DictionaryArray.from_arrays(pa.array([0] * 300, pa.int32()), pa.array([bytes(8 * 2**20)]))
    yield "data.parquet", parquet(pa.table({"image": equal, "label": [0] * 300}), store_schema=False)
    png = [seeds.encoded("PNG")]
    for features in ([], {"label": []}, {"label": {"names": 3}}, {"label": {"names": [None]}}, None, "x"):
        table = pa.table({"image": png, "label": [0]})
        info = json.dumps({"info": {"features": features}})
        yield "data.parquet", parquet(table.replace_schema_metadata({"huggingface": info}))
    yield (
        "data.parquet",
        parquet(pa.table({"image": png, "label": [0]}).replace_schema_metadata({"huggingface": DEEP})),
    )
    for labels in ([[1, 2]], [{"a": 1}], [None], [b"\xff"], [1.5], [True], [2**62]):
        yield "data.parquet", parquet(pa.table({"image": png, "label": labels}))
    yield "data.parquet", parquet(pa.table({"image": [None], "label": [0]}))
    yield "data.parquet", parquet(pa.table({"image": png, "label": [0], "id": pa.array([b"\xff"])}))


def tar_bombs() -> Iterator[tuple[str, Content]]:
    """Yield archives with members that lead out, and with labels that are too deep or too long."""
    png = seeds.encoded("PNG")
    for name, data in (
        ("0.json", DEEP),
        ("0.json", b'{"label": ' + LONG + b"}"),
        ("0.cls", b"\xff\xfe"),
        ("../../escaped.cls", b"0"),
    ):
        yield "train-000000.tar", seeds.tarred([("0.png", png), (name, data)])
    yield "train-000000.tar", seeds.tarred([("0.png", _large()), ("0.cls", b"0")])


def pickle_bombs(name: str) -> Iterator[tuple[str, Content]]:
    """Yield pickles that would run code, hold themselves, or keep a reader busy for ever."""
    for made in (calling(), doubling(), remembering(), containing_itself(), b"", b"\x80\x02N."):
        yield name, made


def json_bombs(name: str) -> Iterator[tuple[str, Content]]:
    """Yield JSON that nests without end, holds numbers without end, or is something else."""
    for text in (
        DEEP,
        b'{"a":' * 100_000,
        LONG,
        b"",
        b"null",
        b"[]",
        b"3",
        b'"x"',
        b"\xff\xfe{",
        b"{}",
        b"\xef\xbb\xbf{}",
    ):
        yield name, text


def text_bombs(name: str) -> Iterator[tuple[str, Content]]:
    """Yield text of one endless line, of endless columns, with zero bytes and open quotes."""
    for text in (
        b"a" * 2**21,
        b"a," * 2**19,
        b"a\n" * 2**19,
        b'path,label\n"' + b"x\n" * 10**5,
        b"a\0b,c\n",
        b"\xff\xfe\n",
        b"",
    ):
        yield name, text


def names() -> Iterator[str]:
    """Yield file names that few programs expect."""
    yield from ("-rf", "a\nb", "x" * 250, "\u202egnp", "a'b\"c", "\udcff", "$(touch executed)", "%s{}", " ")


@cache
def _large() -> bytes:
    return bomb_png(13377, 13377)


def _flat(kind: str) -> bytes:
    buffer = io.BytesIO()
    mode, size, options = _FLAT[kind]
    Image.new(mode, size).save(buffer, kind, **options)
    return buffer.getvalue()


def _npy(kind: str, shape: str) -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def packed(entries: Mapping[str, bytes], *, stored: bool = False, repeat: int = 1) -> bytes:
    """Zip entries; all but the first 128 bytes of each is written `repeat` times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(
        buffer, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED, compresslevel=1
    ) as archive:
        for name, data in entries.items():
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(data[:128])
                for _ in range(repeat):
                    entry.write(data[128:])
    return buffer.getvalue()


def parquet(table: pa.Table, **options: Any) -> bytes:
    """Write a table."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", **options)
    return buffer.getvalue()
