"""The page and the sheet of pictures that were explained: the original, then its maps side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from PIL import Image
from torch import Tensor

from backlight.classifier.predictions import Prediction
from backlight.core.errors import counted
from backlight.images import Picture
from backlight.images.picture import Photograph
from backlight.images.sheets import grid
from backlight.page.sections import Section, percent
from backlight.report.agreement import Agreement, agreement_word, measure_agreement
from backlight.report.fill import fill
from backlight.report.looking import Embed, maps_facts, said_facts
from backlight.report.study import MapStudy


@dataclass(frozen=True, eq=False, repr=False)
class Explained:
    """One explained picture: its name, the photograph, what was said of it, the class explained, and its maps."""

    name: str
    photograph: Photograph
    answers: tuple[Prediction, ...]
    target: str
    maps: tuple[MapStudy, ...]

    @cached_property
    def agreement(self) -> Agreement | None:
        """Return how far the maps agree."""
        return measure_agreement({found.method: found.heat for found in self.maps})

    @property
    def picture(self) -> Picture:
        """Return the part of the photograph that the classifier sees."""
        return self.photograph.picture


def explained_section(one: Explained, place: int) -> Section:
    """Write the section of one explained picture, the `place`-th of the page."""
    embed = Embed(True)
    facts = {
        **said_facts(place, one.name, one.picture, one.photograph.whole, one.answers, embed),
        **maps_facts(one.target, one.maps, one.agreement, embed),
    }
    return Section(f"picture-{place}", one.name, fill("explained.html", facts))


def explained_headline(shown: Sequence[Explained]) -> str:
    """Say how far the maps of these pictures agree, or what was explained where there is nothing to compare."""
    overlaps = [one.agreement.overlap for one in shown if one.agreement is not None]
    pictures = counted(len(shown), "picture")
    if not overlaps:
        return f"what speaks for {shown[0].target}" if len(shown) == 1 else f"{pictures} explained"
    mean = sum(overlaps) / len(overlaps)
    return f"the maps of {pictures} {agreement_word(mean)} agree: {percent(mean)} of the strongest tenth in common"


def explained_sheet(shown: Sequence[tuple[Explained, Mapping[str, Tensor]]]) -> Image.Image:
    """Lay out a row for each picture: the original with its first answer, then its overlays by method.

    Raises InputError for no pictures.
    """
    cells: list[Tensor] = []
    words: list[str] = []
    for one, overlays in shown:
        image = one.picture.image
        cells += [image if len(image) == 3 else image.mean(0, keepdim=True), *overlays.values()]
        best = one.answers[0]
        words += [f"{best.label.split(',')[0]}, {percent(best.probability)}"]
        words += [f"{method}: {one.target.split(',')[0]}" for method in overlays]
    return grid(cells, 1 + len(shown[0][1]), words)
