"""What a tracker is handed: a finished result, its numbers and its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backlight.core.escaping import as_text
from backlight.core.fingerprint import fingerprint
from backlight.sharing.numbers import numbers_of

_LENGTH = 8  # of the fingerprint in a name


@dataclass(frozen=True)
class Record:
    """The document of a verb, the files that it wrote, and the command that made them.

    >>> record = Record("evaluate", {"accuracy": 0.5, "model": {"name": "net"}, "data": {"name": "photos"}})
    >>> record.settings["model"], record.numbers, record.name.rsplit("-", 1)[0]
    ('net', {'accuracy': 0.5}, 'evaluate-net')
    """

    verb: str
    document: Any
    files: tuple[Path, ...] = field(default=())
    command: str = ""

    @property
    def numbers(self) -> dict[str, float]:
        """Return the finished numbers, each under one name."""
        return {as_text(name): value for name, value in numbers_of(self.document).items()}

    @property
    def name(self) -> str:
        """Name the record by verb, model and result: the same result has the same name."""
        content = fingerprint(_without_times(self.document))
        model = self.settings.get("model", "")
        return "-".join(part for part in (self.verb, model.rsplit("/", 1)[-1], content[:_LENGTH]) if part)

    @property
    def settings(self) -> dict[str, str]:
        """Return what the numbers are about: verb, command, model, weights, data."""
        subject: dict[str, str] = {"verb": self.verb, "command": self.command}
        for key, names in (("model", ("name", "weights")), ("data", ("name", "split", "n", "fingerprint"))):
            about = self.document.get(key) if isinstance(self.document, Mapping) else None
            known = about if isinstance(about, Mapping) else {}
            subject |= {key if name == "name" else f"{key}_{name}": str(known.get(name)) for name in names}
        return {key: as_text(value) for key, value in subject.items() if value and value != "None"}

    @property
    def page(self) -> Path | None:
        """Return the page among the files, None where there is none."""
        return next((path for path in self.files if path.suffix == ".html"), None)


def _without_times(document: Any) -> Any:
    if not isinstance(document, Mapping):
        return document
    return {key: value for key, value in document.items() if key not in ("seconds", "cost", "html", "table")}
