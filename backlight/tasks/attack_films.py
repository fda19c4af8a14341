"""How an attack went, as an animated picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from backlight.attack.adversarial import AttackResult
from backlight.core.files import write_bytes
from backlight.images.render import amplify
from backlight.page.embed import file_uri
from backlight.report.picture import amplification_of
from backlight.tasks.made import MOST_FILM
from backlight.visualize import Frame
from backlight.visualize.film import Film, animation


def filmed(film: Film, every: int, watch: Callable[[Frame], None] | None) -> Callable[[Frame], None]:
    """Return what films every so many steps, and shows each to who watches besides."""

    def show(frame: Frame) -> None:
        if frame.t % every == 0:
            film(frame)
        if watch is not None:
            watch(frame)

    return show


def write_film(film: Film, result: AttackResult, row: int, png: Path) -> Path:
    """Write how the attack went: the picture, and beside it what was added so far, made visible."""
    original, end = result.originals[row].cpu(), result.images[row].cpu()
    shown = [original, *(frame.images[row] for frame in film.frames), end]
    factor = amplification_of(result.threat.norm)
    pairs = (torch.cat([one, amplify(one - original, factor)], 2) for one in shown)
    target = png.with_suffix(".webp")
    write_bytes(target, animation(pairs))
    return target


def film_uri(film: Path | None) -> str:
    """Return a film as its page holds it, empty where there is none."""
    return "" if film is None else file_uri(film, MOST_FILM)
