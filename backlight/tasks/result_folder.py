"""What a verb over a data set keeps in its folder: blocks while it works, then a table, a page, exports, a document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from backlight.classifier import Classifier
from backlight.core.errors import Failure, FileError, UsageError
from backlight.core.files import require_new, write_text
from backlight.core.processes import Engine, make_engine
from backlight.core.progress import Progress
from backlight.core.reading import read_json
from backlight.core.schema import record
from backlight.page.sections import Section
from backlight.report import Options, write_report
from backlight.sweep.parts import forget, holds_parts, try_all_again
from backlight.sweep.plan import each_planned
from backlight.table import Table
from backlight.tasks.named_tables import with_names
from backlight.tasks.outcome import keeping, plain_json
from backlight.tasks.pulling import ALONE, Pulling

T = TypeVar("T")


@dataclass(frozen=True)
class Sweeping:
    """What a sweep over a data set is handed: where its blocks are, who works on them, and whom it tells.

    >>> from backlight.core.processes import Engine
    >>> Sweeping(Path("out/audit-blocks"), Engine("cpu"), None).is_main
    True
    """

    blocks: Path
    engine: Engine
    progress: Progress | None

    def each(self, looks: Sequence[Callable[[], T]]) -> list[T]:
        """Call several looks at the same data, each with a sweep; where they are only planned, all of them."""
        return each_planned(looks, planning=self.engine.planning)

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes the result and tells of it."""
        return self.engine.is_main


@dataclass(frozen=True)
class ResultFolder:
    """The folder of what a verb finds out about a data set.

    `shared_blocks` says that blocks stay for later runs: their names hold all that decides about them.

    >>> ResultFolder(Path("out"), "robustness").table.name
    'robustness.parquet'
    """

    out: Path
    verb: str
    shared_blocks: bool = False

    @property
    def table(self) -> Path:
        """Return the table with one row per image."""
        return self.out / f"{self.verb}.parquet"

    @property
    def document(self) -> Path:
        """Return the document, which is written last."""
        return self.out / f"{self.verb}.json"

    @property
    def page(self) -> Path:
        """Return the page."""
        return self.out / "report.html"

    @property
    def exports(self) -> Path:
        """Return the folder of tables and figures of the page."""
        return self.out / f"{self.verb}-tables"

    @property
    def told(self) -> tuple[str, str]:
        """Return what people are told: where tables, figures and the page are."""
        return str(self.exports), str(self.page)

    @property
    def blocks(self) -> Path:
        """Return the folder of finished blocks."""
        return self.out / f"{self.verb}-blocks"

    def check(self, asked: Mapping[str, Any], *, resume: bool, force: bool) -> None:
        """Refuse to replace what is there, unless it is the same evaluation that goes on."""
        if force:
            return
        if not resume:
            files = (self.table, self.document, self.page, self.exports)
            if not self.shared_blocks:
                require_fresh(self.blocks, files)
            for path in files:
                require_new(path)
            return
        before = _read_request(self.document) if self.document.is_file() else asked
        differing = sorted(name for name in asked if before.get(name) != asked[name])
        if differing:
            found = (
                f"{self.document} is of another {differing[0]}: {before.get(differing[0])}, not {asked[differing[0]]}"
            )
            raise UsageError(found, hint="--resume --force to replace it and begin with what its blocks hold")

    @contextmanager
    def sweeping(
        self, device: object, *, fresh: bool, progress: Progress | None, pulling: Pulling = ALONE
    ) -> Iterator[Sweeping]:
        """Let processes share the blocks of this folder; interrupted, say whether there are any to go on from.

        `fresh` deletes the blocks that are there, and nothing else, before any process begins. Workers are waited
        for; what they leave undone is this process's, as is all that is made of the parts.
        """
        engine = make_engine(str(device), pulling.part)
        if pulling.planning:
            with TemporaryDirectory() as where:
                yield Sweeping(Path(where) / self.blocks.name, replace(engine, planning=True), None)
            return
        if engine.is_main and fresh:
            forget(self.blocks)
        elif engine.is_main:
            try_all_again(self.blocks)
        engine.barrier()
        with keeping(resumable=lambda: engine.is_main and holds_parts(self.blocks)):
            if engine.is_main:
                pulling.attend(self.blocks, progress)
            yield Sweeping(self.blocks, engine, progress if engine.is_main else None)

    def write_table(self, table: Table, labels: Sequence[str]) -> Path:
        """Write the table, and return its path; `labels` name its classes."""
        with_names(table, labels, labels).write(self.table)
        return self.table

    def write(
        self,
        classifier: Classifier,
        document: Mapping[str, Any],
        sections: Sequence[Section],
        *,
        failed: Sequence[Failure],
        options: Options,
    ) -> tuple[Path, ...]:
        """Write page, its tables and figures, and document, and return their paths."""
        made = write_report(
            classifier,
            (),
            self.page,
            sections=sections,
            failed=failed,
            options=replace(options, exports=self.exports),
            force=True,
        )
        return self.page, *made.exports, self.write_document(document)

    def write_document(self, document: Mapping[str, Any]) -> Path:
        """Write the document, last: that this file is there says that the others are of the same evaluation."""
        write_text(self.document, json.dumps(plain_json(dict(document)), indent=2, allow_nan=False) + "\n")
        return self.document


def require_fresh(blocks: Path, files: Iterable[Path]) -> None:
    """Raise UsageError where an evaluation has begun already, or where one of the files that it writes is there.

    >>> require_fresh(Path("no-such-blocks"), [Path("no-such-report.html")])
    """
    for path in files:
        require_new(path)
    if holds_parts(blocks):
        raise UsageError(f"{blocks} holds finished blocks", hint="--resume to go on, --force to begin anew")


def _read_request(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path, record({"request": record({})}), expected="a result of this verb")["request"])
    except FileError as error:
        raise error.trying("--resume --force replaces it") from None
