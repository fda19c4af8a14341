"""The sections of an audit's page: the first screen, what to do next, then a card for every finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from markupsafe import Markup

from backlight.audit.auditing import Audit
from backlight.audit.card import SECTIONS
from backlight.audit.finding import Columns, Finding, NotChecked, Shown, Source
from backlight.audit.paired import PairedFinding
from backlight.data.dataset import Dataset
from backlight.images import to_floats, to_picture
from backlight.images.render import normalize_map, overlay
from backlight.page.embed import photograph_uri
from backlight.page.sections import Section, number
from backlight.report.audit_verdict import SIGNS, AuditFacts, verdict_section
from backlight.report.audit_words import interval_text, second_text, title_of, value_text
from backlight.report.fill import fill
from backlight.report.gallery import Captioned, Thumbnail, read_thumbnails

_ROWS, _SIDE = 12, 160
_SOURCES: tuple[Source, ...] = ("data", "train", "against")
_MOST_PICTURES, _MOST_BYTES = 400, 3_000_000


@dataclass(frozen=True)
class ShownTable:
    """One table of a card: its title, its columns, its first rows as text, how many more there are, which are numbers.

    >>> ShownTable.of("Classes", {"class": ["cat"], "accuracy": [0.5]}).rows
    (('cat', '0.5'),)
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int
    numeric: tuple[bool, ...] = ()

    @classmethod
    def of(cls, title: str, columns: Columns) -> ShownTable:
        """Take the first rows of a table."""
        values = [list(column) for column in columns.values()]
        count = len(values[0]) if values else 0
        rows = tuple(tuple(_cell(column[row]) for column in values) for row in range(min(count, _ROWS)))
        numeric = tuple(all(one is None or isinstance(one, int | float) for one in column) for column in values)
        return cls(title, tuple(columns), rows, max(0, count - _ROWS), numeric)


def audit_sections(found: Audit, about: AuditFacts) -> list[Section]:
    """Write the sections of an audit's page, the verdict first; without `about.pictures` it holds numbers only.

    >>> import numpy as np
    >>> from backlight.audit import Examined, Kept, run_checks
    >>> examined = Examined.of(Kept.of(np.eye(3), labels=[0, 1, 2]))
    >>> [one.anchor for one in audit_sections(Audit(examined, run_checks(examined, []), 0, 0), AuditFacts("d"))]
    ['verdict', 'next']
    """
    gallery = _Gallery.of(found, about.pictures)
    sections = [verdict_section(found, about), _next(found)]
    for name, about_section in SECTIONS.items():
        own = [one for one in found.findings if one.section == name]
        absent = [one for one in found.not_checked if one.section == name]
        if own:
            sections.append(_section(name, about_section.title, about_section.asks, own, absent, gallery))
    others = [one for one in found.findings if one.section not in SECTIONS]
    if others:
        sections.append(
            _section("others", "Other checks", "Found by checks of installed packages.", others, [], gallery)
        )
    return [*sections[:2], *_with_pictures(sections[2:], gallery)]


def _with_pictures(sections: list[Section], gallery: _Gallery) -> list[Section]:
    """Lay the embedded pictures before the first section that shows any."""
    if not sections or not gallery.stores:
        return sections
    first = sections[0]
    return [Section(first.anchor, first.title, gallery.markup + first.html), *sections[1:]]


def _next(found: Audit) -> Section:
    steps = [
        {
            "judgement": one.judgement,
            "step": one.next,
            "command": one.command,
            "anchor": f"finding-{one.name}",
            "why": one.sentence,
            "gain": one.gain,
        }
        for one in found.next_steps
    ]
    return Section("next", "To do next", fill("audit_next.html", {"steps": steps, "signs": SIGNS}))


def _section(
    name: str, title: str, asks: str, own: Sequence[Finding], absent: Sequence[NotChecked], gallery: _Gallery
) -> Section:
    facts = {
        "asks": asks,
        "cards": [_card(one, gallery, gallery.paired.get(one.name)) for one in own],
        "absent": [(title_of(one.name), one.why) for one in absent],
        "signs": SIGNS,
    }
    return Section(name, title, fill("audit_section.html", facts))


def _card(found: Finding, gallery: _Gallery, other: PairedFinding | None) -> dict[str, Any]:
    return {
        "finding": found,
        "title": title_of(found.name),
        "value": value_text(found),
        "interval": interval_text(found),
        "second": "" if other is None else second_text(other),
        "groups": gallery.groups(found.pictures),
        "images": gallery.made(found),
        "charts": list(found.charts.items()),
        "tables": [ShownTable.of(title, columns) for title, columns in found.tables.items()],
    }


def _cell(value: object) -> str:
    if isinstance(value, float):
        return number(value)
    return "" if value is None else str(value)


@dataclass(frozen=True, eq=False)
class _Gallery:
    """The pictures of a page, each embedded once, by the data set that they are of and their id."""

    thumbnails: Mapping[tuple[Source, str], Thumbnail]
    datasets: Mapping[Source, Dataset]
    paired: Mapping[str, PairedFinding] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Audit, wanted: bool) -> _Gallery:
        parts = {source: found.examined.of_source(source) for source in _SOURCES} if wanted else {}
        datasets = {source: part.data for source, part in parts.items() if part is not None and part.data is not None}
        whole = {source: part.whole or part.data for source, part in parts.items() if part is not None}
        shown = _first_of_each([one.pictures for one in found.findings])
        embedded: dict[tuple[Source, str], Thumbnail] = {}
        for source, data in whole.items():
            if data is None:
                continue
            ids = [one.id for one in shown if one.source == source]
            read = read_thumbnails(data, ids, anchor=f"picture-{source}", most=_MOST_PICTURES, most_bytes=_MOST_BYTES)
            embedded |= {(source, one): thumbnail for one, thumbnail in read.items()}
        return cls(embedded, datasets, {one.name: one for one in found.paired})

    @property
    def stores(self) -> list[Thumbnail]:
        return list(self.thumbnails.values())

    @property
    def markup(self) -> Markup:
        return fill("audit_stores.html", {"stores": self.stores})

    def groups(self, shown: Sequence[Shown]) -> list[dict[str, Any]]:
        """Return the pictures of a card: those of one group together, each with its map where there is one."""
        groups = [list(members) for _, members in groupby(shown, key=lambda one: one.group)]
        laid = [
            {"together": group[0].group is not None, "shown": [found for one in group for found in self._of(one)]}
            for group in groups
        ]
        return [one for one in laid if one["shown"]]

    def _of(self, one: Shown) -> list[Captioned]:
        thumbnail = self.thumbnails.get((one.source, one.id))
        if thumbnail is None:
            return []
        name = one.id
        captioned = [Captioned(name, one.caption, thumbnail)]
        return captioned if one.map is None else [*captioned, Captioned(name, "what it looks at", self._mapped(one))]

    def _mapped(self, one: Shown) -> Thumbnail:
        assert one.map is not None
        data = self.datasets[one.source]
        image = data[[data.ids.index(one.id)]].images[0].cpu()
        drawn = overlay(
            image[:3] if len(image) >= 3 else image[:1], normalize_map(one.map.detach().cpu().float()).values
        )
        return Thumbnail("", (drawn.shape[1], drawn.shape[2]), photograph_uri(to_picture(drawn), _SIDE))

    def made(self, found: Finding) -> list[tuple[str, str]]:
        """Embed the pictures that a finding made, by caption."""
        if not self.datasets:
            return []
        return [
            (caption, photograph_uri(to_picture(to_floats(one).clamp(0, 1)), _SIDE))
            for caption, one in found.images.items()
        ]


def _first_of_each(lists: Sequence[Sequence[Shown]]) -> list[Shown]:
    """List the first picture of every finding before the second of any: where room ends, each has some."""
    longest = max(map(len, lists), default=0)
    return [one[place] for place in range(longest) for one in lists if place < len(one)]
