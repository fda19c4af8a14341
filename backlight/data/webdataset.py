"""WebDataset archives (.tar): pictures and labels that share a name, read where they lie and never unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from backlight.core.errors import BacklightError, DataError, FileError
from backlight.core.fingerprint import fingerprint
from backlight.core.pieces import Pieces
from backlight.core.reading import open_regular, parse_json
from backlight.core.remote import RemoteFile, Stored, open_stored
from backlight.data.arrays import labels_by_name
from backlight.data.contents import keep_rows, kept_rows
from backlight.data.dataset import Dataset
from backlight.data.decoded import from_encoded
from backlight.data.splits import part_of

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
LABEL_LIMIT = 2**20
MEMBER_LIMIT = 512 * 2**20
NAME_LIMIT = 4096


@dataclass(slots=True)
class Sample:
    """Where a sample's picture lies in its archive, and its label."""

    archive: Stored
    start: int = -1
    size: int = 0
    label: str | int | None = None


def read_tars(paths: Sequence[Stored]) -> dict[str, Dataset]:
    """Read WebDataset archives: `KEY.jpg` (or .png, ...) with `KEY.cls` (a number or a name) or `KEY.json`.

    The label of a .json is its "label". Parts come from file names such as `train-000000.tar`; ids are the keys.
    Only the table of contents is kept in memory. Raises `FileError` or `DataError`.
    """
    parts: dict[str, dict[str, Sample]] = {}
    for path in paths:
        part = part_of(path.stem.split("-")[0]) or "all"
        _index(path, parts.setdefault(part, {}))
    if "all" in parts and len(parts) > 1:
        raise DataError(f"{paths[0].parent}: archives with and without a part's name", expected="all or none")
    columns = {part: _label_column(samples, str(paths[0])) for part, samples in parts.items()}
    names, labels = labels_by_name(columns, None, str(paths[0]))
    made = {}
    for part, samples in parts.items():
        keys, found = list(samples), list(samples.values())
        members = Members(found)
        pictures = from_encoded(len(found), members.__getitem__, keys.__getitem__, version=members.version)
        prefix = "" if part == "all" else f"{part}/"
        made[part] = Dataset(pictures, tuple(prefix + key for key in keys), labels[part], names)
    return made


def _index(path: Stored, samples: dict[str, Sample]) -> None:
    known = kept_rows(path) if isinstance(path, RemoteFile) else None
    if known is None:
        whole = _read_contents(path)
    else:
        whole = {key: Sample(path, start, size, label) for key, start, size, label in known}
    twice = whole.keys() & samples.keys()
    if twice:
        raise FileError(path, f"key {min(twice)!r} occurs twice", expected="one sample per key")
    if not whole:
        raise FileError(path, "holds no pictures", expected="members such as 000001.jpg and 000001.cls")
    if known is None and isinstance(path, RemoteFile):
        keep_rows(path, [(key, one.start, one.size, one.label) for key, one in whole.items()])
    samples.update(whole)


def _read_contents(path: Stored) -> dict[str, Sample]:
    """Read an archive from one end to the other, and return where its pictures lie."""
    here: dict[str, Sample] = {}
    with open_stored(path, expected="an uncompressed .tar") as stream:
        stored = stream.seek(0, 2)
        stream.seek(0)
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for member in archive:
                    archive.members.clear()  # type: ignore[attr-defined]  # all that were read
                    _require_inside(path, member, stored)
                    if member.isfile() and not member.issparse():
                        _add(path, archive, member, here)
        except BacklightError:
            raise
        except Exception as error:  # a damaged header decides in which of its ways tarfile fails
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise FileError(path, f"not a usable archive ({reason})", expected="an uncompressed .tar") from None
    return {key: sample for key, sample in here.items() if sample.start >= 0}


def _require_inside(path: Stored, member: tarfile.TarInfo, stored: int) -> None:
    if member.issparse() or not 0 <= member.offset_data <= member.offset_data + member.size <= stored:
        raise FileError(path, f"{member.name[:80]!r} is not stored as it is", expected="whole members, none sparse")
    if len(member.name) > NAME_LIMIT:
        raise FileError(path, f"a name of {len(member.name)} letters", expected=f"at most {NAME_LIMIT}")
    if member.size > MEMBER_LIMIT:
        raise FileError(path, f"{member.name} has {member.size:,} bytes", expected=f"at most {MEMBER_LIMIT:,}")


def _add(path: Stored, archive: tarfile.TarFile, member: tarfile.TarInfo, samples: dict[str, Sample]) -> None:
    folder, _, name = member.name.rpartition("/")
    stem, dot, kind = name.partition(".")
    key, kind = f"{folder}/{stem}" if folder else stem, "." + kind.lower()
    if not dot or kind not in (*PICTURES, ".cls", ".json"):
        return
    sample = samples.setdefault(key, Sample(path))
    if kind in PICTURES:
        sample.start, sample.size = member.offset_data, member.size
        return
    if member.size > LABEL_LIMIT:
        raise FileError(path, f"{member.name} is larger than 1 MiB", expected="a label")
    stream = archive.extractfile(member)
    text = stream.read().decode("utf-8", "replace").strip() if stream else ""
    if kind == ".cls":
        sample.label = text
    elif sample.label is None:
        sample.label = _json_label(path, member.name, text)


def _json_label(path: Stored, name: str, text: str) -> str | int | None:
    content = parse_json(text, f"{path}: {name}")
    label = content.get("label") if isinstance(content, dict) else None
    return label if isinstance(label, str | int) and not isinstance(label, bool) else None


def _label_column(samples: dict[str, Sample], source: str) -> np.ndarray:
    without = [key for key, sample in samples.items() if sample.label is None]
    if without:
        raise DataError(f"{source}: no label for {without[:3]}", expected="KEY.cls, or 'label' in KEY.json")
    return np.array([str(sample.label) for sample in samples.values()])


@dataclass(frozen=True)
class Members:
    """Return the encoded pictures of some samples, one at a time."""

    samples: list[Sample]
    pieces: Pieces = field(default_factory=Pieces)

    def __getitem__(self, row: int) -> bytes:
        sample = self.samples[row]
        if isinstance(sample.archive, RemoteFile):
            return self.pieces.read(sample.archive, sample.start, sample.size)
        with open_regular(sample.archive) as stream:
            stream.seek(sample.start)
            return stream.read(sample.size)

    def version(self, row: int) -> str:
        """Tell a picture from another by what a store says of its archive, if that is anything."""
        archive, start, size = (getattr(self.samples[row], name) for name in ("archive", "start", "size"))
        known = isinstance(archive, RemoteFile) and archive.version
        return fingerprint((archive.url, archive.version, start, size)) if known else ""
