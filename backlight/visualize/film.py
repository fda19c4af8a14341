"""How a picture came about, as an animated WebP: bounded in pictures and memory, however long the work is."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from backlight.core.errors import InputError
from backlight.images import to_floats, to_picture
from backlight.visualize.pictures import Frame

MOST_FRAMES, MOST_BYTES, LONGEST = 48, 128 * 1024**2, 384
"""A film holds at most so many pictures, in so many bytes; an animation's longer side has at most so many pixels."""

_STEP_MS, _LAST_MS, _QUALITY = 90, 1500, 80


@dataclass
class Film:
    """Keep pictures on the way: where they become too many or too large, every second of them, and fewer from then on.

    The newest is always kept, so that a film ends where the work does.

    >>> film = Film(most=4)
    >>> for step in range(20):
    ...     film(Frame(step, 19, torch.full((1, 3, 2, 2), step / 19)))
    >>> [frame.t for frame in film.frames]
    [0, 8, 16, 19]
    """

    most: int = MOST_FRAMES
    most_bytes: int = MOST_BYTES
    stride: int = 1
    seen: int = 0
    kept: list[tuple[int, int, Tensor]] = field(default_factory=list)
    newest: tuple[int, int, Tensor] | None = None

    def __post_init__(self) -> None:
        if self.most < 2:
            raise InputError(f"a film of {self.most} pictures", expected="2 or more")

    def __call__(self, frame: Frame) -> None:
        """Take a frame, or only remember it as the newest."""
        levels = (frame.images.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
        self.newest = (frame.t, frame.total, levels)
        if self.seen % self.stride == 0:
            self.kept.append(self.newest)
        self.seen += 1
        # One place is left for the newest.
        while len(self.kept) > 1 and (len(self.kept) >= self.most or self._bytes > self.most_bytes):
            self.kept, self.stride = self.kept[::2], 2 * self.stride

    @property
    def _bytes(self) -> int:
        return sum(levels.numel() for _, _, levels in self.kept)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Return what was kept, in order, the newest last."""
        last = [] if self.newest is None or self.newest is self.kept[-1] else [self.newest]
        return tuple(Frame(t, total, to_floats(levels)) for t, total, levels in (*self.kept, *last))


def animation(pictures: Iterable[Tensor | Image.Image]) -> bytes:
    """Make an animated WebP of pictures `[C,H,W]` in [0, 1], scaled to the last; it rests on that and begins anew.

    Raises InputError for no pictures.

    >>> Image.open(io.BytesIO(animation([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)]))).n_frames
    2
    """
    shown = [_small(one if isinstance(one, Image.Image) else to_picture(one.clamp(0, 1))) for one in pictures]
    if not shown:
        raise InputError("an animation of no pictures", expected="at least one")
    buffer = io.BytesIO()
    durations = [_STEP_MS] * (len(shown) - 1) + [_LAST_MS]
    first, *rest = (one if one.size == shown[-1].size else one.resize(shown[-1].size) for one in shown)
    how = {"duration": durations, "loop": 0, "quality": _QUALITY, "method": 2}
    first.save(buffer, "WEBP", save_all=True, append_images=rest, **how)
    return buffer.getvalue()


def _small(picture: Image.Image) -> Image.Image:
    picture = Image.fromarray(np.asarray(picture.convert("RGB")))
    scale = LONGEST / max(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
