"""The command line's part: picture files in, made pictures out as PNG, with what scripts want to know."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from torch import Tensor

from backlight.classifier import Classifier
from backlight.errors import Failure, FileError
from backlight.files import require_new
from backlight.images import open_picture, round_to_8bit, to_tensor, write_png
from backlight.images.intake import unique_stems
from backlight.page.made import made_section
from backlight.page.page import write_page
from backlight.visualize.fooling import Fooling
from backlight.visualize.gallery import contact_sheet, frame_sheet, shown_pictures
from backlight.visualize.pictures import Pictures

_LONGEST_NAME = 60


@dataclass(frozen=True)
class Made:
    """One written picture: what it shows, its files, how it came about, and what its verb adds.

    >>> Made("a.png", "cat", 3.0, 10, "steps", 0.5).to_json()["png"]
    'a.png'
    """

    png: str
    name: str
    objective: float
    steps: int
    stopped: str
    seconds: float
    more: dict[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return `{"png", "name", "objective", "steps", "stopped", "seconds", ...}`."""
        return {**{name: value for name, value in vars(self).items() if name != "more"}, **self.more}


def file_stem(name: str) -> str:
    """Turn a label or layer into a safe file name without suffix.

    >>> file_stem("tiger cat, Felis/../x")
    'tiger-cat'
    """
    return re.sub(r"[^A-Za-z0-9_.=]+", "-", name.split(",")[0]).strip("-.")[:_LONGEST_NAME] or "picture"


def write_made(
    make: Callable[[], Pictures],
    stems: Sequence[str],
    folder: Path,
    *,
    title: str,
    sheet: str = "",
    force: bool = False,
) -> list[Made]:
    """Make pictures and write each as `STEM.png` into `folder`, with a contact sheet, the frames kept, and a page.

    Equal stems are numbered; the sheet is left out where `sheet` is empty. The page is named as the sheet, or as the
    first picture, and headed by `title`. Every name is checked before any work.

    Raises UsageError where a file exists and `force` is not given, FileError where one cannot be written.

    >>> import tempfile
    >>> import torch
    >>> nothing = torch.zeros(1)
    >>> made = Pictures(torch.zeros(1, 3, 8, 8), ("cat",), "f", nothing, nothing, nothing.int(), ("steps",))
    >>> Path(write_made(lambda: made, ["cat"], Path(tempfile.mkdtemp()), title="A cat")[0].png).name
    'cat.png'
    """
    stems = unique_stems([f"{stem}.png" for stem in stems])
    targets = [require_new(folder / f"{stem}.png", force) for stem in stems]
    contact = require_new(folder / f"{sheet}.png", force) if sheet else None
    page = require_new(folder / f"{sheet or stems[0]}.html", force)
    began = time.perf_counter()
    pictures = make()
    seconds = time.perf_counter() - began
    for target, image in zip(targets, pictures.images, strict=True):
        write_png(target, image)
    if contact is not None:
        write_png(contact, contact_sheet(pictures))
    write_page(page, [made_section(shown_pictures(pictures), "Pictures")], title=title, seconds=seconds)
    written = []
    for row, (stem, target) in enumerate(zip(stems, targets, strict=True)):
        more = _more(pictures, row) | {"html": str(page)}
        if pictures.frames:
            path = require_new(folder / f"{stem}-iterations.png", force)
            write_png(path, frame_sheet(pictures, row))
            more["iterations_png"] = str(path)
        if contact is not None:
            more["sheet"] = str(contact)
        objective, steps = float(pictures.objective[row]), int(pictures.steps[row])
        share = seconds / len(pictures)
        written.append(Made(str(target), pictures.names[row], objective, steps, pictures.stopped[row], share, more))
    return written


def _more(pictures: Pictures, row: int) -> dict[str, object]:
    more: dict[str, object] = {"start": float(pictures.start[row])}
    if isinstance(pictures, Fooling):
        more |= {"distance": float(pictures.distance[row]), "success": bool(pictures.success[row])}
    if pictures.terms:
        more["losses"] = {
            term.name: {"before": float(term.before[row]), "after": float(term.after[row])} for term in pictures.terms
        }
    return more


def read_sized(path: str | os.PathLike[str], longest: int, channels: int = 3) -> Tensor:
    """Read a whole picture `[1,C,H,W]` with its longer side at most `longest` pixels, in its own proportions.

    Raises FileError for anything that is not a picture.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "wide.png"
    >>> Image.new("RGB", (64, 16)).save(path)
    >>> read_sized(path, 32).shape
    torch.Size([1, 3, 8, 32])
    """
    picture = open_picture(path)
    scale = min(1.0, longest / max(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    shown = picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)
    return to_tensor(shown, channels)[None]


def read_each(
    paths: Sequence[Path], read: Callable[[Path], Tensor], failed: list[Failure]
) -> list[tuple[Path, Tensor]]:
    """Read picture files by `read`; those that cannot be read are added to `failed`.

    >>> failed = []
    >>> read_each([Path("nowhere.png")], lambda path: read_sized(path, 32), failed), failed[0].path
    ([], 'nowhere.png')
    """
    found = []
    for path in paths:
        try:
            found.append((path, read(path)))
        except FileError as error:
            failed.append(Failure.of(str(path), error))
    return found


def read_for(classifier: Classifier) -> Callable[[Path], Tensor]:
    """Return a reader of pictures `[1,C,h,w]` at the classifier's input size, on the 8-bit levels of the file."""
    return lambda path: round_to_8bit(classifier.read(path).image[None]).to(classifier.device)
