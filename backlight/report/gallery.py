"""Small pictures of a data set for a page: each is read once and embedded once, however often it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from backlight.classifier.predictions import class_name
from backlight.data.dataset import Dataset
from backlight.images import to_floats, to_picture
from backlight.page.embed import exact_uri, photograph_uri
from backlight.page.sections import percent
from backlight.report.looking import is_tiny
from backlight.table import Table

_SIDE, _EXACT = 96, 48  # larger pictures are reduced to the first, those up to the second are shown as they are
_MOST, _BYTES, _READ = 480, 3_500_000, 64


@dataclass(frozen=True)
class Thumbnail:
    """An embedded picture: the anchor by which the page shows it, its size (height, width), and its data.

    >>> Thumbnail("thumbnail-0", (32, 32), "data:image/png;base64,").tiny
    True
    """

    anchor: str
    size: tuple[int, int]
    uri: str

    @property
    def tiny(self) -> bool:
        """Whether the picture is so small that its pixels should stay sharp."""
        return is_tiny(self.size)


@dataclass(frozen=True)
class Captioned:
    """One picture on the page: its name, what is said below it, and its thumbnail.

    >>> Captioned("7", "cat, called dog", Thumbnail("thumbnail-0", (32, 32), "")).name
    '7'
    """

    name: str
    words: str
    thumbnail: Thumbnail


def read_thumbnails(
    data: Dataset, wanted: Iterable[str], *, anchor: str = "thumbnail", most: int = _MOST, most_bytes: int = _BYTES
) -> dict[str, Thumbnail]:
    """Embed the pictures of these ids, the first ones first, until there are `most` or they take `most_bytes`.

    Ids that the data does not hold and pictures that cannot be read are left out.

    >>> import torch
    >>> data = Dataset.of(torch.zeros(3, 3, 8, 8, dtype=torch.uint8))
    >>> list(read_thumbnails(data, ["2", "0", "2", "none"]))
    ['2', '0']
    """
    names = dict.fromkeys(wanted)
    places = {name: row for row, name in enumerate(data.ids) if name in names}
    rows = [places[name] for name in names if name in places][:most]
    found: dict[str, Thumbnail] = {}
    used = 0
    for start in range(0, len(rows), _READ):
        good, images, _ = data.readable(rows[start : start + _READ])
        for row, image in zip(good.tolist(), images):
            uri = _embedded(image)
            used += len(uri)
            if used > most_bytes:
                return found
            height, width = image.shape[-2:]
            found[data.ids[row]] = Thumbnail(f"{anchor}-{len(found)}", (height, width), uri)
    return found


def shown_rows(
    table: Table, labels: Sequence[str], thumbnails: Mapping[str, Thumbnail], *, told: bool = True
) -> tuple[Captioned, ...]:
    """Show the pictures of a table that have a thumbnail; `told` says which class they are and were taken for.

    >>> table = Table.of(id=["a"], label=[0], prediction=[1], confidence=[0.9])
    >>> shown_rows(table, ("cat", "dog"), {"a": Thumbnail("p", (8, 8), "")})[0].words
    'cat, taken for dog, 90% sure'
    """
    shown = []
    for row in table.rows():
        true, taken = (class_name(labels, row[name]) for name in ("label", "prediction"))
        sure = f"{percent(float(row['confidence']))} sure"
        words = (f"{true}, {'rightly' if true == taken else f'taken for {taken}'}, {sure}") if told else sure
        if row["id"] in thumbnails:
            shown.append(Captioned(row["id"], words, thumbnails[row["id"]]))
    return tuple(shown)


def _embedded(image: Tensor) -> str:
    # Other channels than those of a color picture cannot be shown: the first ones stand for them.
    values = to_floats(image[: 3 if len(image) >= 3 else 1])
    if max(image.shape[-2:]) <= _EXACT:
        return exact_uri(values)
    return photograph_uri(to_picture(values), _SIDE)
