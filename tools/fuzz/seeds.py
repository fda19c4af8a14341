"""Small valid inputs of every format, from which hostile ones are made."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from backlight.data.load import load_data
from backlight.pixels import SGD, Pixels, distance, turns
from backlight.sweep.claims import Claim
from backlight.sweep.parts import FolderParts
from backlight.sweep.task import Block, Part
from backlight.table import Table
from backlight.tasks.starting import Start
from backlight.tasks.training import TrainRequest, train
from backlight.train import Runtime
from tools.fuzz.inputs import Files, read_in, written
from tools.fuzz.model_seeds import MODEL

DATA = "shapes:n=60,size=8,classes=3"
PLAN = "keykeykeykeykeyk-plan.json"
RUNTIME = Runtime(precision="float32", memory_format="contiguous", save_every=0.0, tensorboard=False)


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
    """Return Parquet files with plain bytes, with the struct of the Hugging Face hub, and with parts and ids."""
    png, labels = [encoded("PNG", row) for row in range(6)], [0, 1, 2] * 2
    features = {"info": {"features": {"label": {"names": ["a", "b", "c"], "_type": "ClassLabel"}}}}
    nested = pa.table({"image": [{"bytes": one, "path": None} for one in png], "label": labels})
    named = nested.replace_schema_metadata({"huggingface": json.dumps(features)})
    parts = {"id": list("abcdef"), "split": ["train"] * 4 + ["test"] * 2, "image": png, "label": list("xyzxyz")}
    return [
        {"data.parquet": written(lambda file, table=table: pq.write_table(table, file))}
        for table in (named, pa.table(parts), pa.table({"image": png, "label": labels}))
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


def recipes() -> list[Files]:
    """Return recipes."""
    documents = (
        {
            "epochs": 3,
            "lr": 0.1,
            "augment": {"flip": "random", "scale": [0.9, 1.1], "torchvision": ["RandomAutocontrast"]},
        },
        {
            "loss": "focal:gamma=2",
            "adversary": "pgd:eps=8/255,steps=2",
            "augment": {"corruption": "gaussian:sigma=0.1"},
        },
    )
    return [{"recipe.json": json.dumps(one).encode()} for one in documents]


@cache
def runs() -> tuple[Files, ...]:
    """Return a run that is finished, with a temperature, and one that was interrupted."""
    from backlight.evaluate.temperature import write_calibration

    made = []
    for stop in (None, 4):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            request = TrainRequest(
                DATA,
                run,
                Start(MODEL, size="16x16"),
                settings=("epochs=2", "batch_size=16"),
                runtime=RUNTIME,
                device="cpu",
            )
            with suppress(KeyboardInterrupt):  # `_Stop`: a run that can be resumed
                train(request, progress=_Stop(stop) if stop else None)
                write_calibration(run, {"temperature": 1.5})
            kept = ("run.json", "state.pt", "log.jsonl", "best.safetensors", "calibration.json")
            made.append({f"run/{name}": data for name, data in read_in(run).items() if name in kept})
    return tuple(made)


def parts() -> list[Files]:
    """Return finished blocks of a sweep, and the plan beside them."""
    with tempfile.TemporaryDirectory() as folder:
        kept = FolderParts(Path(folder), "key" * 8)
        block = Block(0, load_data("shapes:n=4,size=8,classes=2"))
        table = Table.of(id=["0", "1"], broken_by=["pgd", "none"], margin=[0.5, -0.5], logits=[[0.1, 0.2], [0.3, 0.4]])
        kept.write(block, Part(table, {"images": torch.rand(2, 3, 4, 4)}))
        kept.settle("plan", lambda: {"size": 20})
        files = read_in(Path(folder))
    return [{f"part{Path(name).suffix}" if "plan" not in name else name: data for name, data in files.items()}]


def claims() -> list[Files]:
    """Return the claim of a process that is at work."""
    return [{"block.json": json.dumps(vars(Claim.own())).encode()}]


def results() -> list[Files]:
    """Return the document of a verb over a data set."""
    document = {"n": 4, "clean_accuracy": 0.5, "request": {"model": "vit", "seed": 0}}
    return [{"robustness.json": json.dumps(document).encode()}]


def gates() -> list[Files]:
    """Return gate files with the result, the table and the baseline that they are held against."""
    one = {"n": 4, "accuracy": 0.5, "interval": [0.15, 0.85]}
    document = {
        **{"n": 4, "accuracy": 0.5, "accuracy_interval": [0.15, 0.85], "top5": 1.0, "ece": 0.1},
        **{"per_class": {"a": one, "b": one}, "labels": ["a", "b"], "confusion": [[1, 1], [1, 1]]},
        **{"slices": {"light": {"day": one}}, "table": "evaluate.parquet", "model": {"name": "vit"}},
    }
    audit = {"schema": 1, "findings": [{"name": "ece", "value": 0.1, "interval": [0, 1], "n": 4, "judgement": "look"}]}
    gate = b"""[[gate]]\nmetric = "accuracy"\nmin = 0.4\nconfidence = "lower"\nby = "class"\n
[[gate]]\nmetric = "accuracy"\nmax_drop = 0.1\nagainst = "baseline"\n[[gate]]\nmetric = "ece"\nmax = 0.2\n"""
    rows = {"label": [0, 1, 0, 1], "prediction": [0, 1, 1, 0], "confidence": [0.5] * 4, "loss": [0.7] * 4}
    with tempfile.TemporaryDirectory() as folder:
        Table.of(id=list("abcd"), **rows).write(Path(folder) / "evaluate.parquet")
        table = read_in(Path(folder))
    judged = b'[[gate]]\nmetric = "findings"\njudgement = "look"\n'
    pairs = [(json.dumps(one).encode(), rows) for one, rows in ((document, gate), (audit, judged))]
    return [{"evaluate.json": one, "before.json": one, "gate.toml": asked, **table} for one, asked in pairs]


def maps() -> list[Files]:
    """Return a raw map of a picture."""
    kept = {"raw": np.zeros((3, 8, 8), np.float32), "heat": np.zeros((8, 8), np.float32), "box": np.array([0, 0, 8, 8])}
    return [{"data.npz": written(lambda file: np.savez_compressed(file, **kept))}]


def loops() -> list[Files]:
    """Return the state of a loop over pixels."""
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loop.pt"
        next(turns(None, distance(images, squared=True), Pixels(images), SGD(0.1), steps=3)).save(path)
        return [read_in(Path(folder))]


class _Stop:
    """Interrupt training after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def start(self, total: int, description: str) -> None:
        """Begin."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count a step."""
        self.left -= count
        if self.left < 0:
            raise KeyboardInterrupt

    def announce(self, text: str) -> None:
        """Say nothing."""

    def done(self) -> None:
        """End."""
