"""All methods, attacks and checks in one list, as the verb `methods` prints it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backlight.attack import ATTACKS
from backlight.attack.transfer.parts import TRANSFER_PARTS
from backlight.audit import CHECKS
from backlight.audit.detectors import DETECTORS
from backlight.audit.proxies import PROXIES
from backlight.core.plugins import Registry
from backlight.corrupt import CORRUPTIONS
from backlight.data.sources import DATA_SOURCES
from backlight.evaluate.registry import EVALUATION_METRICS
from backlight.explain import METHODS
from backlight.explain.scores import METRICS
from backlight.models.networks import NETWORKS
from backlight.models.registry import MODEL_SOURCES
from backlight.report.tables import TABLE_SECTIONS
from backlight.sharing import TRACKERS
from backlight.sweep.crew import ENGINES
from backlight.tasks.entries import Entry, list_attacks, list_explanations
from backlight.train.adversaries import ADVERSARIES
from backlight.train.losses import LOSSES

REGISTRIES: tuple[Registry[Any], ...] = (
    ATTACKS,
    TRANSFER_PARTS,
    METHODS,
    METRICS,
    EVALUATION_METRICS,
    DATA_SOURCES,
    MODEL_SOURCES,
    NETWORKS,
    TABLE_SECTIONS,
    LOSSES,
    ADVERSARIES,
    CORRUPTIONS,
    CHECKS,
    DETECTORS,
    PROXIES,
    TRACKERS,
    ENGINES,
)
_WORDS = re.compile(r"[A-Za-z][A-Za-z-]+")


def list_methods() -> list[Entry]:
    """List every explanation method, every attack and every check of the audit.

    >>> {entry.kind for entry in list_methods()}
    {...}
    """
    checks = [
        Entry("audit", card.name, ", ".join(sorted(card.needs)) or "nothing", card.depth, card.reference, card.avoid)
        for card in CHECKS.values()
    ]
    return [*list_explanations(), *list_attacks(), *checks]


@dataclass(frozen=True)
class Origin:
    """One card of any registry, and the package that it comes from.

    >>> Origin("attacks", "pgd", "backlight").to_json()
    {'kind': 'attacks', 'name': 'pgd', 'origin': 'backlight'}
    """

    kind: str
    name: str
    origin: str

    def to_json(self) -> dict[str, str]:
        """Return the fields as a dictionary."""
        return dict(vars(self))


def list_origins() -> list[Origin]:
    """List every card of every registry with its origin; the kind is that of the entry points `backlight.KIND`.

    >>> Origin("attacks", "pgd", "backlight") in list_origins()
    True
    """
    return [Origin(one.plural, name, one.origin(name)) for one in REGISTRIES for name in one]


def bibtex_entries(entries: Sequence[Entry]) -> list[str]:
    """Write one BibTeX entry per reference that names authors, year and an arXiv number or DOI.

    >>> entry = Entry("attack", "fgsm", "", "", "Goodfellow et al., 2015, arXiv:1412.6572", "")
    >>> print(bibtex_entries([entry])[0])
    @misc{goodfellow2015,
      author = {Goodfellow and others},
      year = {2015},
      eprint = {1412.6572},
      archivePrefix = {arXiv},
      note = {fgsm}
    }
    """
    by_reference: dict[str, list[str]] = {}
    for entry in entries:
        by_reference.setdefault(entry.reference, []).append(entry.name)
    written = {one: names for one, names in by_reference.items() if re.search(r"\d{4}", one) and _authors(one)}
    return [_bibtex(reference, names) for reference, names in written.items()]


def _authors(reference: str) -> list[str]:
    return _WORDS.findall(reference.split(",")[0])


def _bibtex(reference: str, names: list[str]) -> str:
    authors, year = reference.split(",")[0], re.search(r"\b(19|20)\d\d\b", reference)
    first = _authors(reference)[0]
    fields = {"author": authors.replace(" et al.", " and others"), "year": year.group() if year else ""}
    arxiv, doi = re.search(r"arXiv:(\d+\.\d+)", reference), re.search(r"doi:(\S+)", reference)
    if arxiv:
        fields |= {"eprint": arxiv.group(1), "archivePrefix": "arXiv"}
    if doi:
        fields["doi"] = doi.group(1).rstrip(",;.)")
    fields["note"] = ", ".join(names)
    body = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items() if value)
    return f"@misc{{{first.lower()}{fields['year']},\n{body}\n}}"
