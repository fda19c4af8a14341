"""Small valid data sets and lists of every format, from which hostile ones are made."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tools.fuzz.inputs import Files, written


@cache
def pixels(count: int = 6, size: int = 8) -> np.ndarray:
    """Draw pictures, uint8 [N,H,W,3]."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def encoded(kind: str, place: int = 0, mode: str = "RGB", **options: Any) -> bytes:
    """Encode a picture."""
    buffer = io.BytesIO()
    image = Image.fromarray(pixels()[place]).convert("RGBA" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(pixels()[place, :, :, 0].astype(np.uint16) * 257)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures(kind: str, suffix: str) -> list[Files]:
    """Return pictures of one format in its usual modes."""
    modes = {
        "PNG": ("RGB", "RGBA", "L", "P", "I;16", "1"),
        "JPEG": ("RGB", "L", "CMYK"),
        "GIF": ("P",),
        "BMP": ("RGB", "L"),
    }
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"JPEG": {"exif": exif}, "PNG": {"exif": exif}, "TIFF": {"compression": "tiff_lzw"}}.get(kind, {})
    made = [encoded(kind, mode=mode, **options) for mode in modes.get(kind, ("RGB", "RGBA"))]
    if kind in ("GIF", "WEBP", "TIFF"):
        more = [Image.fromarray(one) for one in pixels()[1:3]]
        made.append(encoded(kind, save_all=True, append_images=more))
    return [{f"picture{suffix}": one} for one in made]


def folders() -> list[Files]:
    """Return class folders, and folders of parts."""
    plain = {f"{name}/{row}.png": encoded("PNG", row) for name in ("a", "b") for row in range(2)}
    return [plain, {f"{part}/{name}": data for part in ("train", "test") for name, data in plain.items()}]


def arrays() -> list[Files]:
    """Return .npz files in their three forms."""
    x, y = pixels(), np.arange(6) % 3
    jpeg = [encoded("JPEG", row) for row in range(6)]
    joined = np.frombuffer(b"".join(jpeg), np.uint8)
    offsets = np.cumsum([0, *map(len, jpeg)])
    forms: list[dict[str, Any]] = [
        {"X": x, "y": y, "label_names": np.array(["a", "b", "c"]), "ids": np.array([f"{n}" for n in range(6)])},
        {"X_train": x / 255, "y_train": y.astype("U1"), "X_test": x[:2] / 255, "y_test": y[:2].astype("U1")},
        {"train_jpeg": joined, "train_offsets": offsets, "train_y": y},
    ]
    return [{"data.npz": written(lambda file, form=form: np.savez(file, **form))} for form in forms]


def parquets() -> list[Files]:
    """Return Parquet files: plain bytes, the struct of the Hugging Face hub, parts and ids, pages in several forms."""
    png, labels = [encoded("PNG", row) for row in range(6)], [0, 1, 2] * 2
    features = {"info": {"features": {"label": {"names": ["a", "b", "c"], "_type": "ClassLabel"}}}}
    nested = pa.table({"image": [{"bytes": one, "path": None} for one in png], "label": labels})
    named = nested.replace_schema_metadata({"huggingface": json.dumps(features)})
    parts = {"id": list("abcdef"), "split": ["train"] * 4 + ["test"] * 2, "image": png, "label": list("xyzxyz")}
    plain, small = pa.table({"image": png, "label": labels}), {"data_page_size": 64, "row_group_size": 3}
    forms: list[tuple[pa.Table, dict[str, Any]]] = [
        *((table, {}) for table in (named, pa.table(parts), plain)),
        (pa.table(parts), {"use_dictionary": True, "data_page_version": "2.0", "compression": "zstd", **small}),
        (plain, {"use_dictionary": False, "compression": "none", "write_statistics": False, **small}),
    ]
    return [
        {"data.parquet": written(lambda file, table=table, form=form: pq.write_table(table, file, **form))}
        for table, form in forms
    ]


def tars() -> list[Files]:
    """Return WebDataset archives with labels as text and as JSON."""
    made = []
    for suffix, label in (("cls", lambda row: b"%d" % (row % 3)), ("json", lambda row: b'{"label": "%d"}' % (row % 3))):
        members = [(f"{row}.{kind}", data) for row in range(4) for kind, data in
                   (("png", encoded("PNG", row)), (suffix, label(row)))]  # fmt: skip
        made.append({"train-000000.tar": tarred(members)})
    return made


def tarred(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Write members into a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def cifar() -> list[Files]:
    """Return batches of CIFAR-10 as Python's and as plain bytes, and of CIFAR-100."""
    rows = pixels(4, 32).transpose(0, 3, 1, 2).reshape(4, -1)
    batch = {b"data": rows, b"labels": [0, 1, 2, 0], b"batch_label": b"one", b"filenames": [b"a.png"] * 4}
    fine = {b"data": rows, b"fine_labels": [0, 1, 2, 0], b"coarse_labels": [0] * 4}
    meta = {b"label_names": [b"a", b"b", b"c"]}
    plain = b"".join(bytes([row % 3]) + one.tobytes() for row, one in enumerate(rows))
    ten, hundred, names = (pickle.dumps(one, 2) for one in (batch, fine, meta))
    return [
        {"data_batch_1": ten, "test_batch": ten, "batches.meta": names},
        {"train": hundred, "test": hundred, "meta": pickle.dumps({b"fine_label_names": [b"a", b"b", b"c"]}, 2)},
        {"data_batch_1.bin": plain, "test_batch.bin": plain, "batches.meta.txt": b"a\nb\nc\n"},
    ]


def lists() -> list[Files]:
    """Return lists of pictures in the ways that people write them."""
    files = {f"images/{row}.png": encoded("PNG", row) for row in range(3)}
    texts = (
        b"images/0.png a\nimages/1.png b\nimages/2.png a\n",
        b"path,label,split\nimages/0.png,a,train\nimages/1.png,b,train\nimages/2.png,a,test\n",
        b"filename;cat;dog\n0;1;0\n1;0;1\n2;1;1\n",
        b'# made by hand\nimage\ttags\n0.png\tred|round\n1.png\tred\n2.png\t"blue, flat"\n',
    )
    return [{**files, "list.csv": text} for text in texts]


def slices() -> list[Files]:
    """Return tables of properties of pictures."""
    return [
        {"slices.csv": one}
        for one in (b"path,light,place\na.png,day,in\nb.png,night,out\n", b"id\tlight\n1\tday\n2\t\n")
    ]


def labels() -> list[Files]:
    """Return lists of class names in the forms that are read."""
    texts = (
        *(b"cat\ndog\nbird\n", b'["cat", "dog", "bird"]', b'{"0": "cat", "1": "dog", "2": "bird"}'),
        *(b'{"cat": 0, "dog": 1, "bird": 2}', b'{"id2label": {"0": "cat", "1": "dog", "2": "bird"}}'),
        b'{"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "bird"]}',
    )
    return [{"labels.json": text} for text in texts]
