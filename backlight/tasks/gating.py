"""Gates of a verb: what a result is held against, and where builds read what came of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from backlight.core.files import require_new, write_bytes, write_text
from backlight.core.outermost import is_outermost
from backlight.gate import (
    Gate,
    Result,
    Verdict,
    annotation_lines,
    append_summary,
    check,
    junit,
    markdown,
    read_gates,
    read_result,
    require_baseline,
)


@dataclass(frozen=True)
class GateRequest:
    """By which gates and against which older document a result is judged, and who is told.

    `junit` and `markdown` are files to write, `annotations` adds lines that GitHub's workflows understand, `summary` is
    the file of a build step's summary, to which the Markdown is appended.

    >>> GateRequest().asked, GateRequest(junit=Path("gates.xml")).asked
    (False, True)
    """

    gate: Path | None = None
    baseline: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None
    annotations: bool = False
    summary: Path | None = None

    @property
    def asked(self) -> bool:
        """Whether anything but the summary is asked for."""
        return self.annotations or any((self.gate, self.baseline, self.junit, self.markdown))

    def read(self, *, force: bool = False) -> Gates:
        """Read the gates and the baseline, before any long work.

        Raises UsageError for files that are there already and for a gate on a drop without a baseline, FileError as
        `read_gates` and `read_result` do.
        """
        for path in (self.junit, self.markdown):
            if path is not None:
                require_new(path, force)
        gates = () if self.gate is None else read_gates(self.gate)
        require_baseline(gates, self.baseline is not None)
        return Gates(self, gates, None if self.baseline is None else read_result(self.baseline))


@dataclass(frozen=True)
class Told:
    """What there is to tell of a verdict: whether all held, lines for people, files, warnings, lines for builds.

    >>> Told().passed
    True
    """

    passed: bool | None = True
    lines: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gates:
    """Gates and a baseline as they were read.

    >>> Gates(GateRequest(), (Gate("accuracy", "min", 0.9),)).judge(Result({"n": 9, "accuracy": 0.5}, "e.json")).passed
    False
    """

    request: GateRequest
    gates: tuple[Gate, ...] = ()
    baseline: Result | None = None

    def judge(self, result: Result) -> Verdict:
        """Hold a result against the gates; raises as `backlight.gate.check` does."""
        return check(result, self.gates, self.baseline)

    def tell(self, verdict: Verdict, source: Path) -> Told:
        """Write what was asked for of a verdict about a document; annotations name the gate file, or the document."""
        request = self.request
        if request.junit is not None:
            write_bytes(request.junit, junit(verdict))
        if request.markdown is not None:
            write_text(request.markdown, markdown(verdict))
        full = request.summary is not None and not append_summary(verdict, request.summary)
        return Told(
            verdict.passed,
            verdict.lines(),
            tuple(path for path in (request.junit, request.markdown) if path is not None),
            (*verdict.notes, *([f"{request.summary} has no room left for the gates"] if full else [])),
            tuple(annotation_lines(verdict, str(request.gate or source))) if request.annotations else (),
        )


def step_summary() -> Path | None:
    """Return the file that GitHub's workflows show as a step's summary, to the outermost command alone.

    >>> step_summary() is None or step_summary().name != ""
    True
    """
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(name) if name and is_outermost() else None
