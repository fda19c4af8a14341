"""How large a change is where no norm of pixels says so: as a flow, as a map of colors, by the model's own features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backlight.core.errors import UsageError


@dataclass(frozen=True)
class OwnMeasure:
    """A measure of change that stands in the place of a norm: its usual bound, the largest possible one, in words.

    `limit` and `aim` say in a sentence what a bound allows and what an attack without one would keep small. None of
    them says how large the change of a pixel is: l2 and linf are told beside it.

    >>> MEASURES["flow"].limit.format(size="0.05")[:40]
    'Every pixel may take the color of a plac'
    """

    name: str
    eps: float
    largest: float
    limit: str
    aim: str
    unit: str
    """What 1 of it is."""
    from_below: bool = False
    """Whether what is measured is the least that it can have been."""

    def check(self, eps: float) -> None:
        """Raise UsageError for a bound beyond the largest possible one."""
        if eps > self.largest:
            raise UsageError(f"{self.name} {eps:g}", expected=f"at most {self.largest:g}, {self.unit}")


MEASURES: Mapping[str, OwnMeasure] = {
    one.name: one
    for one in (
        OwnMeasure(
            "flow",
            0.05,
            2.0,
            "Every pixel may take the color of a place at most {size} away, across and down, where the picture's width "
            "is 2. What is measured is the least that any such flow must reach; how much a value changes has no bound.",
            "how far pixels move",
            "where the picture's width is 2",
            from_below=True,
        ),
        OwnMeasure(
            "color",
            0.06,
            1.0,
            "Every color may become another one, at most {size} of the way from black to white off in each channel, "
            "and the same one wherever it occurs.",
            "how far colors move",
            "where a channel from black to white is 1",
        ),
        OwnMeasure(
            "features",
            0.5,
            10.0,
            "The picture may change as long as the model's own features, normalized, stay within {size}. The distance "
            "is by the attacked model's own features: it is not LPIPS and compares with no other model's. How much a "
            "value changes has no bound.",
            "how far the model's own features move",
            "the length of the difference of normalized features",
        ),
    )
}
"""By the name that stands where others have a norm.

0.05 and 0.06 are the published bounds of StAdv and ReColorAdv. 0.5 is LPA's by LPIPS, and of the same size here: by the
features of the embedded model, JPEG of quality 90 moves 12 photographs by 0.40 (median; 0.35 to 0.47), quality 75 by
0.63, a shift by one pixel by 0.56, noise of 2/255 by 0.34; another photograph lies 2.1 away.
"""
