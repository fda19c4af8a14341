"""The result of a verb: its document, and the table with a row per picture that lies beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from backlight.core.errors import FileError
from backlight.core.files import inside
from backlight.core.reading import read_json
from backlight.core.schema import leaf

_EXPECTED = "the JSON of a verb, as --json prints it"
_DOCUMENT = leaf(_EXPECTED, lambda value: isinstance(value, Mapping | list))
# What tells the verbs' documents apart, and the tables that they leave beside them.
_VERBS = {
    "findings": "audit",
    "robust_accuracy": "robustness",
    "certified_accuracy": "certify",
    "kinds": "corruptions",
    "rates": "transfer",
    "fooling": "universal",
    "per_class": "evaluate",
    "methods": "explain",
}
_TABLES = ("samples.parquet", "scores.parquet")


@dataclass(frozen=True)
class Result:
    """A document, how it is called, and where its table may lie; `folder` is None for one that is in no file.

    >>> Result({"accuracy": 0.9, "per_class": {}}, "e.json").verb
    'evaluate'
    """

    document: Any
    name: str
    folder: Path | None = None

    @property
    def verb(self) -> str:
        """Return the verb whose document it looks like, `result` for none that is known."""
        keys = self.document if isinstance(self.document, Mapping) else {}
        return next((verb for key, verb in _VERBS.items() if key in keys), "result")

    @property
    def about(self) -> dict[str, Any]:
        """Return what the document says of its model, as `{"model"}`, or nothing."""
        return (
            {"model": self.document["model"]} if isinstance(self.document, Mapping) and "model" in self.document else {}
        )

    @cached_property
    def findings(self) -> dict[str, Mapping[str, Any]]:
        """Return the findings of an audit by name, none of other documents.

        Raises FileError where they are no findings.
        """
        found = self.document.get("findings", []) if isinstance(self.document, Mapping) else []
        if not isinstance(found, list):
            raise FileError(self.name, "findings are no list", expected="the JSON of an audit")
        for place, one in enumerate(found):
            if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
                raise FileError(self.name, f"findings[{place}] has no name", expected="the JSON of an audit")
        return {one["name"]: one for one in found}

    @cached_property
    def tables(self) -> tuple[Path, ...]:
        """List the tables that may belong to the document: the one it names, those beside it and beside its page."""
        if self.folder is None:
            return ()
        document = self.document if isinstance(self.document, Mapping) else {}
        table, page = (one if isinstance(one, str) else None for one in (document.get("table"), document.get("html")))
        usual = (Path(self.name).with_suffix(".parquet").name, f"{self.verb}.parquet", *_TABLES)
        names = [table] if table else []
        names += [str(Path(page).parent / name) for name in usual] if page else []
        found = [path for name in (*names, *usual) for path in self._allowed(name)]
        return tuple(path for path in dict.fromkeys(found) if path.suffix == ".parquet" and path.is_file())

    def _allowed(self, name: str) -> list[Path]:
        """Return where a table of this name may be read: a document leads nowhere but below its folder or ours."""
        assert self.folder is not None
        found = []
        for folder in (self.folder, Path.cwd()):
            try:
                found.append(inside(folder, name))
            except FileError:
                continue  # of the other folder, perhaps
        return found


def read_result(path: str | os.PathLike[str]) -> Result:
    """Read the JSON document of a verb.

    Raises FileError for anything else: no JSON, too deep, too large.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "e.json"
    >>> _ = path.write_text('{"accuracy": 0.5, "n": 2}')
    >>> read_result(path).document["n"]
    2
    """
    return Result(read_json(path, _DOCUMENT, expected=_EXPECTED), str(path), Path(path).parent)
