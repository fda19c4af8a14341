"""The command line's part of denoising: picture files in, denoised PNGs out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backlight.denoise.denoising import denoise
from backlight.denoise.quality import quality
from backlight.errors import FileError
from backlight.files import require_new
from backlight.images import open_picture, to_tensor, write_png
from backlight.intake import Failed, unique_stems
from backlight.progress import Progress, reporting


@dataclass(frozen=True)
class DenoisedPicture:
    """One denoised file: the loss before and after, how it came about, and PSNR and SSIM where a clean one is given.

    >>> DenoisedPicture("a.png", "a-denoised.png", 1.0, 2.0, 0.7, "primal-dual", 50, "converged", 0.1).to_json()["psnr"]
    """

    path: str
    png: str
    objective: float
    start: float
    alpha: float
    solver: str
    steps: int
    stopped: str
    seconds: float
    psnr: float | None = None
    ssim: float | None = None

    def to_json(self) -> dict[str, object]:
        """Give the fields as a dictionary."""
        return dict(vars(self))


def denoise_pictures(
    paths: Sequence[Path],
    folder: Path,
    *,
    reference: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> tuple[list[DenoisedPicture], list[Failed]]:
    """Denoise whole picture files in their own size and write `STEM-denoised.png` into `folder`.

    `options` are those of `denoise`; `reference` is a clean picture to compare with. A file that cannot be read,
    or that has another size than the reference, is noted and the others go on.

    Raises UsageError where a file exists and `force` is not given.

    >>> import tempfile, torch
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_png(folder / "gray.png", torch.rand(3, 16, 16))
    >>> done, failed = denoise_pictures([folder / "gray.png"], folder / "out", alpha=1.0)
    >>> Path(done[0].png).name
    'gray-denoised.png'
    """
    stems = unique_stems(paths)
    targets = [require_new(folder / f"{stem}-denoised.png", force) for stem in stems]
    clean = None if reference is None else to_tensor(open_picture(reference))[None]
    done: list[DenoisedPicture] = []
    failed: list[Failed] = []
    with reporting(progress, len(paths), "denoise") as advance:
        for path, target in zip(paths, targets, strict=True):
            try:
                noisy = to_tensor(open_picture(path))[None]
                if clean is not None and clean.shape != noisy.shape:
                    raise FileError(path, "the clean picture has another size", expected=f"{list(clean.shape[2:])}")
            except FileError as error:
                failed.append(Failed(str(path), str(error).removeprefix(f"{error.path}: ")))
                continue
            began = time.perf_counter()
            found = denoise(noisy, **options)
            seconds = time.perf_counter() - began
            write_png(target, found.images[0])
            score = None if clean is None else quality(found.images, clean)
            done.append(
                DenoisedPicture(
                    path=str(path),
                    png=str(target),
                    objective=float(found.loss),
                    start=float(found.start),
                    alpha=float(found.alpha),
                    solver=found.solver,
                    steps=int(found.steps),
                    stopped=found.stopped[0],
                    seconds=seconds,
                    psnr=None if score is None else score.psnr[0],
                    ssim=None if score is None else score.ssim[0],
                )
            )
            advance()
    return done, failed
