"""Write any data set as .npz, Parquet or folders of PNG files, so that its parts read back as they were."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

import numpy as np
from torch import Tensor

from backlight.core.atomic import atomic
from backlight.core.errors import DataError, Failure, FileError, UsageError
from backlight.core.files import require_new
from backlight.core.locks import held, hidden_beside
from backlight.core.progress import Progress, reporting
from backlight.data.dataset import Dataset
from backlight.data.fitted import to_pil
from backlight.data.splits import Splits
from backlight.images import write_png

Advance = Callable[..., None]
NAME_LIMIT = 120


def convert_data(
    splits: Splits, target: str | Path, *, force: bool = False, progress: Progress | None = None
) -> tuple[Failure, ...]:
    """Write a data set to `target`: .npz, .parquet, or a new folder; return the pictures that are left out.

    Every picture is in the same part again. Files keep the ids, by which parts are drawn, and mark what the source
    marks. In a folder ids become paths, and a set without its broken pictures is drawn otherwise: there all parts
    are marked, the drawn ones too. Nothing is written over without `force`, a folder never. Raises `DataError` for
    unlabeled data, for sizes that differ in .npz, and for classes that no folder can hold.

    >>> import tempfile
    >>> from backlight.data import load_data, load_splits
    >>> target = Path(tempfile.mkdtemp()) / "shapes.npz"
    >>> convert_data(load_splits("shapes:n=20,size=16,classes=4"), target)
    ()
    >>> load_data(target, split="all").label_names
    ('circle', 'square', 'triangle', 'star')
    """
    path = Path(target)
    if path.suffix not in _WRITERS:
        raise FileError(path, f"unknown kind {path.suffix!r}", expected=".npz, .parquet, or a new folder")
    # Two that write one target would each work to the end before the second finds out.
    with held(hidden_beside(path, "lock", ".lock"), path, "written"):
        if path.suffix == "" and os.path.lexists(path):
            expected = "a new folder: none is ever replaced"
            raise UsageError(f"{path} exists already", expected=expected, hint="another name")
        require_new(path, force)
        return _write(splits, path, progress)


def _write(splits: Splits, path: Path, progress: Progress | None) -> tuple[Failure, ...]:
    if not all(part.labeled for part in splits.found.values()):
        raise DataError(f"{splits.whole.name} has pictures without labels", expected="a label for each")
    known = splits.whole.failed
    broken: list[Failure] = []
    for parts in (splits.found, splits.parts) if path.suffix else (splits.parts,):
        with reporting(progress, sum(map(len, parts.values())), f"write {path.name}") as advance:
            broken = [one for one in _WRITERS[path.suffix](parts, path, advance) if one not in known]
        if not broken or parts == splits.parts:
            break
    return (*known, *broken)


def _write_npz(found: Mapping[str, Dataset], path: Path, advance: Advance) -> list[Failure]:
    arrays: dict[str, np.ndarray] = {}
    failed: list[Failure] = []
    for part, data in found.items():
        behind = "" if part == "all" else f"_{part}"
        kept = data.in_memory()
        failed += kept.failed
        arrays[f"X{behind}"] = kept.read(slice(None)).permute(0, 2, 3, 1).contiguous().numpy()
        arrays[f"y{behind}"] = kept.labels.numpy()
        arrays[f"ids{behind}"] = np.array(kept.ids)
        arrays["label_names"] = np.array(data.label_names)
        advance(len(data))
    with atomic(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]
    return failed


def _write_parquet(found: Mapping[str, Dataset], path: Path, advance: Advance) -> list[Failure]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(next(iter(found.values())).label_names)
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [("id", pa.string()), ("image", image), ("label", pa.int64())]
    schema = pa.schema(fields + ([] if "all" in found else [("split", pa.string())]), metadata=metadata)
    failed: list[Failure] = []
    with atomic(path) as temporary, temporary.open("wb") as file, pq.ParquetWriter(file, schema) as writer:
        for part, data in found.items():
            for start in range(0, len(data), 256):
                good, images, broken = data.readable(range(start, min(start + 256, len(data))))
                failed += broken
                rows = [
                    {"id": data.ids[row], "image": {"bytes": _png(one)}, "label": int(data.labels[row]), "split": part}
                    for row, one in zip(good.tolist(), images)
                ]
                writer.write_table(pa.Table.from_pylist(rows, schema))
                advance(len(rows) + len(broken))
    return failed


def _write_folder(found: Mapping[str, Dataset], path: Path, advance: Advance) -> list[Failure]:
    for name in next(iter(found.values())).label_names:
        if "/" in name or "\0" in name or name.startswith(".") or not 0 < len(name.encode()) <= 255:
            raise DataError(f"the class name {name!r} cannot name a folder", hint="write .npz or .parquet")
    temporary = hidden_beside(path, "partial")
    shutil.rmtree(temporary, ignore_errors=True)  # what a killed process left: nobody else writes this one now
    failed: list[Failure] = []
    try:
        for part, data in found.items():
            names = _file_names(data)
            for start in range(0, len(data), 256):
                good, images, broken = data.readable(range(start, min(start + 256, len(data))))
                failed += broken
                for row, image in zip(good.tolist(), images):
                    write_png(temporary / part / data.label_names[int(data.labels[row])] / names[row], to_pil(image))
                advance(len(good) + len(broken))
        _require_classes_of_train(temporary, found)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return failed


_WRITERS = {".npz": _write_npz, ".parquet": _write_parquet, "": _write_folder}


def _require_classes_of_train(root: Path, parts: Iterable[str]) -> None:
    """Refuse what could not be read back: pictures may be broken, and arrays name classes without pictures."""
    classes = {part: {folder.name for folder in (root / part).glob("*")} for part in parts}
    if not any(classes.values()):
        raise DataError("no picture can be read", expected="at least one")
    for part, names in classes.items():
        new = sorted(names - classes.get("train", names))
        if new:
            raise DataError(
                f"{part} holds classes that train lacks: {', '.join(map(repr, new[:5]))}",
                expected="pictures of every class in train, to write a folder",
                hint="write .npz or .parquet",
            )


def _file_names(data: Dataset) -> list[str]:
    """Name files by the end of the id where that is unique in its class, else by the whole id."""
    ends = [quote(Path(key).stem, safe=" ()+=,@")[:NAME_LIMIT] for key in data.ids]
    ends = ["_" + end if end.startswith(".") else end for end in ends]  # hidden files are not read
    labels = data.labels.tolist()
    if len(set(zip(labels, ends))) == len(ends):
        return [end + ".png" for end in ends]
    return [f"{row:07}-{end}.png" for row, end in enumerate(ends)]


def _png(image: Tensor) -> bytes:
    stream = io.BytesIO()
    to_pil(image).save(stream, format="PNG")
    return stream.getvalue()
