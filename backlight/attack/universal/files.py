"""A change as files: a picture to look at, one to print at a size, and the exact numbers to apply it again."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from backlight.attack.universal.change import Change, Patch, Perturbation
from backlight.attack.universal.placing import outline
from backlight.core.atomic import atomic
from backlight.core.errors import FileError, UsageError
from backlight.core.files import write_bytes
from backlight.core.tensors import read_safetensors
from backlight.images import open_picture, to_tensor, write_png
from backlight.pixels.geometry import ORDERS

PRINT_SIZE = "10cm"
_PER_INCH = {"in": 1.0, "cm": 2.54, "mm": 25.4}
_FINE, _MOST_PIXELS = 300, 4096  # dots per inch that printers show, and the longest side of a picture to print
_MIDDLE, _LEVELS = 128, 127
_EXPECTED = "a perturbation or a patch, as backlight universal writes it"


def parse_length(text: str) -> float:
    """Read a printed length, `10cm`, `80mm` or `4in`, and return it in inches.

    Raises UsageError for anything else.

    >>> parse_length("25.4mm"), parse_length("4in")
    (1.0, 4.0)
    """
    found = re.fullmatch(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*(in|cm|mm)\s*", text)
    inches = float(found[1]) / _PER_INCH[found[2]] if found else 0.0
    if not 0 < inches < math.inf:
        raise UsageError(f"{text[:80]!r} is no printed size", expected="a length such as 10cm, 80mm or 4in")
    return inches


def save_change(change: Change, folder: str | os.PathLike[str], *, print_size: str = PRINT_SIZE) -> dict[str, Path]:
    """Write a change into a folder, read it back, and return the files by what they are.

    `exact` is a .safetensors from which `read_change` makes the same change again. `picture` is a PNG: a patch as it
    is, transparent around a circle; a perturbation around mid-grey, a whole number of times stronger.
    `print`, of a patch, is the same patch with every pixel repeated, at 300 dots per inch or more, and says in its
    metadata that it is `print_size` wide.

    Raises UsageError for another `print_size` than a length, FileError where a file cannot be written or reads back as
    something else.

    >>> import tempfile
    >>> patch = Patch(torch.ones(3, 8, 8), "circle", (0.2, 0.5), 22.5)
    >>> files = save_change(patch, tempfile.mkdtemp(), print_size="2cm")
    >>> [(name, path.name) for name, path in files.items()]
    [('exact', 'patch.safetensors'), ('picture', 'patch.png'), ('print', 'patch-print.png')]
    """
    from safetensors.torch import save

    exact, picture = (Path(folder) / f"{change.kind}.{suffix}" for suffix in ("safetensors", "png"))
    inches = parse_length(print_size)
    write_bytes(exact, save(_tensors(change)))
    files = {"exact": exact, "picture": picture}
    if isinstance(change, Patch):
        files["print"] = Path(folder) / f"{change.kind}-print.png"
        _write_patch(picture, change, 1, inches)
        side = change.values.shape[-1]
        times = max(1, min(math.ceil(_FINE * inches / side), _MOST_PIXELS // side))
        _write_patch(files["print"], change, times, inches)
        for path, step in ((picture, 1), (files["print"], times)):
            _check_same(path, _read_patch(path, len(change.values))[:, ::step, ::step], change)
    else:
        write_png(picture, magnified(change.values))
    _check_same(exact, read_change(exact).values, change)
    return files


def read_change(path: str | os.PathLike[str]) -> Perturbation | Patch:
    """Read a change that `save_change` wrote as .safetensors, to apply it to other pictures, or for another model.

    Raises FileError for anything else.

    >>> import tempfile
    >>> files = save_change(Perturbation(torch.zeros(3, 4, 4), "linf", 8 / 255), tempfile.mkdtemp())
    >>> read_change(files["exact"]).norm
    'linf'
    """
    found = read_safetensors(path, expected=_EXPECTED)
    try:
        if "patch" in found:
            low, high = found["size"].tolist()
            shape = "circle" if bool(found["circle"]) else "square"
            return Patch(found["patch"], shape, (low, high), float(found["degrees"]))
        norm = next(name for name, order in ORDERS.items() if order == float(found["order"]))
        return Perturbation(found["perturbation"], norm, float(found["eps"]))
    except (KeyError, StopIteration, ValueError, RuntimeError):
        raise FileError(path, f"holds {', '.join(found)[:80] or 'nothing'}", expected=_EXPECTED) from None


def magnified(values: Tensor) -> Tensor:
    """Return a perturbation `[C,H,W]` as a picture: around mid-grey, a whole number of times stronger.

    >>> (magnified(torch.tensor([[[-2.0, 0.0, 2.0]]]) / 255) * 255).round()
    tensor([[[  2., 128., 254.]]])
    """
    levels = (values * 255).round()
    return (_MIDDLE + levels * magnification(values)) / 255


def magnification(values: Tensor) -> int:
    """Return how many times stronger `magnified` shows a perturbation.

    >>> magnification(torch.tensor([[[-2.0, 0.0, 2.0]]]) / 255)
    63
    """
    return max(1, _LEVELS // max(1, int((values * 255).round().abs().max())))


def _tensors(change: Change) -> dict[str, Tensor]:
    values = change.values.detach().cpu().contiguous()
    if isinstance(change, Patch):
        size = torch.tensor(change.size, dtype=torch.float64)
        degrees = torch.tensor(change.degrees, dtype=torch.float64)
        return {"patch": values, "circle": torch.tensor(change.shape == "circle"), "size": size, "degrees": degrees}
    assert isinstance(change, Perturbation)
    order, eps = (torch.tensor(one, dtype=torch.float64) for one in (ORDERS[change.norm], change.eps))
    return {"perturbation": values, "order": order, "eps": eps}


def _write_patch(path: Path, patch: Patch, times: int, inches: float) -> None:
    levels = (patch.values * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    alpha = (outline(len(levels), patch.shape).numpy() * 255).astype(np.uint8)[..., None]
    colors = levels if levels.shape[2] == 3 else levels.repeat(3, axis=2)
    pixels = np.concatenate([colors, alpha], 2) if patch.shape == "circle" else colors
    large = pixels.repeat(times, 0).repeat(times, 1)
    dots = len(large) / inches
    with atomic(path) as temporary:
        Image.fromarray(large).save(temporary, format="PNG", dpi=(dots, dots))


def _read_patch(path: Path, channels: int) -> Tensor:
    return to_tensor(open_picture(path), channels)


def _check_same(path: Path, read: Tensor, change: Change) -> None:
    if not torch.equal(read, change.values.cpu()):
        raise FileError(path, "reads back as something else", expected=f"the {change.kind} that was written")
