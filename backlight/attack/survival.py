"""What is left of adversarial pictures after they were saved as files."""

from __future__ import annotations

import io
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.images import round_to_8bit, to_picture, to_tensor
from backlight.table.statistics import wilson

QUALITY = 90


@dataclass(frozen=True)
class Survival:
    """How many of `n` pictures that the attack had fooled it fools as files too, attacked on the 8-bit lattice.

    `png` as PNG, which holds exactly what was attacked; `jpeg` as JPEG of quality 90.

    >>> Survival(n=10, png=9, jpeg=5).share("png")
    0.9
    """

    n: int
    png: int
    jpeg: int

    def share(self, kind: str) -> float:
        """Return the share that survives as `png` or `jpeg`."""
        return getattr(self, kind) / self.n

    def interval(self, kind: str) -> tuple[float, float]:
        """Return the 95% Wilson interval of that share."""
        return wilson(getattr(self, kind), self.n)

    def to_json(self) -> dict[str, object]:
        """Return the shares, their intervals, and of how many pictures they are."""
        kinds = ("png", "jpeg")
        intervals = {f"{kind}_interval": list(self.interval(kind)) for kind in kinds}
        return {"n": self.n, **{kind: self.share(kind) for kind in kinds}, **intervals}


def survives(challenge: Challenge, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Describe which adversarial pictures `[A,C,H,W]` of `rows` still succeed as 8-bit PNG, and as JPEG of quality 90.

    A PNG is rounded towards the original and must be allowed; a JPEG, which changes every pixel, must only fool.
    Two bool `[A]`.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=8), torch.full((1, 3, 8, 8), 0.5))
    >>> survives(challenge, challenge.images, torch.tensor([0]))[0]
    tensor([False])
    """
    if not len(rows):
        none = torch.zeros(0, dtype=torch.bool, device=images.device)
        return none, none
    rounded = round_to_8bit(images, challenge.images[rows])
    png = challenge.referee.judge(rounded, rows).success
    again = torch.stack([as_jpeg(image) for image in images]).to(images)
    verdict = challenge.referee.judge(again, rows)
    return png, verdict.margin < 0


def as_jpeg(image: Tensor, quality: int = QUALITY) -> Tensor:
    """Save an image `[C,H,W]` in [0,1] as JPEG in memory and read it back.

    >>> as_jpeg(torch.full((3, 8, 8), 0.5)).shape
    torch.Size([3, 8, 8])
    """
    buffer = io.BytesIO()
    to_picture(image).save(buffer, format="JPEG", quality=quality)
    with Image.open(buffer) as picture:
        return to_tensor(picture, channels=len(image))
