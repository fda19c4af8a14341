"""Picture files as tasks want them: at a model's input size, or whole and not too large."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import Failure, FileError
from backlight.images import open_picture, round_to_8bit, to_tensor


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
