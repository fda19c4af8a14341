"""The verb `denoise`: picture files in, denoised PNGs out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from backlight.core.errors import Failure, FileError
from backlight.core.files import require_new, write_bytes
from backlight.core.locks import held_folder
from backlight.core.progress import Progress, reporting
from backlight.denoise import denoise as denoise_images
from backlight.denoise import quality, sweep_sheet
from backlight.images import find_pictures, open_picture, to_tensor, write_png
from backlight.images.intake import unique_stems
from backlight.images.render import amplify
from backlight.page.embed import file_uri
from backlight.page.made import MadePicture, made_section
from backlight.page.page import write_page
from backlight.report.about import about
from backlight.report.made_judged import judge_quality
from backlight.tasks.made import MOST_FILM
from backlight.tasks.outcome import Outcome, one_per_input
from backlight.visualize import Frame
from backlight.visualize.film import Film, animation

_ABOUT = "The result is near the noisy picture and smooth; alpha says how much smoothness counts beside nearness."


@dataclass(frozen=True)
class DenoiseRequest:
    """Which pictures lose their noise, and how; `reference` is a clean picture to compare with.

    `sweep` also draws a sheet over alpha and learning rate. Every `frames` steps a picture on the way is filmed.

    >>> DenoiseRequest((Path("noisy.png"),)).alpha
    'auto'
    """

    pictures: tuple[Path, ...]
    data_norm: str = "l1"
    smooth_norm: str = "l1"
    alpha: float | str = "auto"
    lr: float | None = None
    steps: int | None = None
    solver: str = "auto"
    reference: Path | None = None
    sweep: bool = False
    limit: int | None = None
    frames: int = 0
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    command: str = ""


def denoise(request: DenoiseRequest, *, progress: Progress | None = None) -> Outcome:
    """Remove noise from pictures, whole and in their own size; the result is a list of `DenoisedPicture`.

    Raises UsageError where a file is there already or no picture is found, and as `backlight.denoise.denoise` does.

    >>> import tempfile, torch
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_png(folder / "gray.png", torch.rand(3, 16, 16))
    >>> denoise(DenoiseRequest((folder / "gray.png",), alpha=1.0, out=folder / "out")).files[0].name
    'gray-denoised.png'
    """
    paths = find_pictures(request.pictures)[: request.limit]
    with held_folder(request.out):
        done, failed = denoise_pictures(
            paths,
            request.out,
            reference=request.reference,
            force=request.force,
            progress=progress,
            command=request.command,
            frames=request.frames,
            data_norm=request.data_norm,
            smooth_norm=request.smooth_norm,
            alpha=request.alpha,
            lr=request.lr,
            steps=request.steps,
            solver=request.solver,
            seed=request.seed,
        )
        sheets = [_sweep(one, request) for one in done] if request.sweep else []
    lines = [*chain.from_iterable(map(_lines, done)), *map(str, sheets)]
    files = [*(Path(file) for one in done for file in (one.png, one.html, one.animation) if file), *sheets]
    return one_per_input(done, failed, lines, files=files, result=done)


def _sweep(one: DenoisedPicture, request: DenoiseRequest) -> Path:
    target = require_new(Path(one.png).with_name(f"{Path(one.png).stem}-sweep.png"), request.force)
    image = to_tensor(open_picture(one.path))
    write_png(target, sweep_sheet(image, data_norm=request.data_norm, smooth_norm=request.smooth_norm))
    return target


def _lines(one: DenoisedPicture) -> Iterator[str]:
    score = "" if one.psnr is None else f", PSNR {one.psnr:.2f} dB, SSIM {one.ssim:.3f}"
    yield f"{one.path}: {one.png}"
    yield f"  loss {one.start:.5g} -> {one.objective:.5g}, alpha {one.alpha:.3g}{score}"
    yield f"  {one.verdict}"
    yield f"  {one.solver}, {one.steps} steps ({one.stopped})"


@dataclass(frozen=True)
class DenoisedPicture:
    """One denoised file: the loss before and after, how it came about, and PSNR and SSIM where a clean one is given.

    `psnr_before` and `ssim_before` are those of the noisy picture; `verdict` says whether it became better.

    >>> DenoisedPicture("a.png", "b.png", "b.html", 1.0, 2.0, 0.7, "exact", 0, "exact", 0.1).to_json()["psnr"]
    """

    path: str
    png: str
    html: str
    objective: float
    start: float
    alpha: float
    solver: str
    steps: int
    stopped: str
    seconds: float
    psnr: float | None = None
    ssim: float | None = None
    psnr_before: float | None = None
    ssim_before: float | None = None
    verdict: str = ""
    judgement: str | None = None
    animation: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the fields as a dictionary."""
        return dict(vars(self))


def denoise_pictures(
    paths: Sequence[Path],
    folder: Path,
    *,
    reference: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
    command: str = "",
    frames: int = 0,
    **options: Any,
) -> tuple[list[DenoisedPicture], list[Failure]]:
    """Denoise whole picture files in their own size; write `STEM-denoised.png` and a page of each into `folder`.

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
    for target in targets:
        for suffix in (".html", *((".webp",) if frames else ())):
            require_new(target.with_suffix(suffix), force)
    clean = None if reference is None else to_tensor(open_picture(reference))[None]
    done: list[DenoisedPicture] = []
    failed: list[Failure] = []
    with reporting(progress, len(paths), "denoise") as advance:
        for path, target in zip(paths, targets, strict=True):
            try:
                done.append(_denoise_file(path, target, clean, command, frames, options))
            except FileError as error:
                failed.append(Failure.of(str(path), error))
            advance()
    return done, failed


def _denoise_file(
    path: Path, target: Path, clean: Tensor | None, command: str, frames: int, options: dict[str, Any]
) -> DenoisedPicture:
    noisy = to_tensor(open_picture(path))[None]
    if clean is not None and clean.shape != noisy.shape:
        raise FileError(path, "the clean picture has another size", expected=f"{list(clean.shape[2:])}")
    began = time.perf_counter()
    film = Film() if frames else None
    found = denoise_images(noisy, watch=None if film is None else partial(_show, film, frames), **options)
    seconds = time.perf_counter() - began
    write_png(target, found.images[0])
    animated = None if film is None else target.with_suffix(".webp")
    if film is not None and animated is not None:
        film(Frame(int(found.steps), int(found.steps), found.images))
        write_bytes(animated, animation(frame.images[0] for frame in film.frames))
    before, score = (None if clean is None else _quality(one, clean) for one in (noisy, found.images))
    judged = judge_quality(before, score)
    done = DenoisedPicture(
        path=str(path),
        png=str(target),
        html=str(target.with_suffix(".html")),
        objective=float(found.loss),
        start=float(found.start),
        alpha=float(found.alpha),
        solver=found.solver,
        steps=int(found.steps),
        stopped=found.stopped[0],
        seconds=seconds,
        psnr=None if score is None else score[0],
        ssim=None if score is None else score[1],
        psnr_before=None if before is None else before[0],
        ssim_before=None if before is None else before[1],
        verdict=judged.sentence,
        judgement=judged.light or None,
        animation=None if animated is None else str(animated),
    )
    shown = MadePicture(
        path.name,
        found.images[0],
        tuple(_facts(done)),
        noisy[0],
        amplify(found.images[0] - noisy[0]),
        sources=() if clean is None else (("The clean picture", clean[0]),),
        verdict=judged.sentence,
        light=judged.light,
        animation="" if animated is None else file_uri(animated, MOST_FILM),
    )
    page = made_section([shown], "Before and after", _ABOUT)
    write_page(
        done.html,
        [page],
        title=f"{path.name} without its noise",
        seconds=seconds,
        about=about(command=command),
        headline=done.verdict,
    )
    return done


def _facts(one: DenoisedPicture) -> Iterator[tuple[str, str]]:
    yield "minimized, from and to", f"{one.start:.5g} to {one.objective:.5g}"
    yield "alpha, how smooth", f"{one.alpha:.3g}"
    yield "by", f"{one.solver} in {one.steps} steps ({one.stopped})"
    if one.psnr is not None and one.psnr_before is not None:
        yield "PSNR beside the clean picture", f"{one.psnr_before:.2f} dB before, {one.psnr:.2f} dB after"
        yield "SSIM beside the clean picture", f"{one.ssim_before:.3f} before, {one.ssim:.3f} after"


def _quality(image: Tensor, clean: Tensor) -> tuple[float, float]:
    found = quality(image, clean)
    return found.psnr[0], found.ssim[0]


def _show(film: Film, every: int, step: int, steps: int, images: Tensor) -> None:
    if step % every == 0:
        film(Frame(step, steps, images))
