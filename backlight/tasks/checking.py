"""The verb `check`: whether the result of a verb holds what a gate file asks of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from backlight.core.files import require_new, write_bytes, write_text
from backlight.core.outermost import is_outermost
from backlight.gate import (
    Verdict,
    annotation_lines,
    append_summary,
    junit,
    markdown,
    read_gates,
    read_result,
)
from backlight.gate import (
    check as check_result,
)
from backlight.tasks.outcome import Outcome, plain_json


@dataclass(frozen=True)
class CheckRequest:
    """Which document is held against which gates, and an older one; `junit` and `markdown` are files to write.

    `annotations` adds lines that GitHub's workflows understand; `summary` is the file of a build step's summary, to
    which the Markdown is appended.

    >>> CheckRequest(Path("audit.json")).gate is None
    True
    """

    result: Path
    gate: Path | None = None
    baseline: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None
    annotations: bool = False
    summary: Path | None = None
    force: bool = False


def check(request: CheckRequest) -> Outcome:
    """Judge the JSON document of a verb by a gate file, by a baseline, or an audit by its own findings.

    The status is 0 where all gates hold, 4 where one does not, else 3 where one could not be judged; the result is a
    `Verdict`. Raises UsageError and FileError as `backlight.gate.check` does, and where a file is there already.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "evaluate.json").write_text('{"n": 100, "accuracy": 0.85, "per_class": {}}')
    >>> _ = (folder / "gate.toml").write_text('[[gate]]\\nmetric = "accuracy"\\nmin = 0.9\\n')
    >>> check(CheckRequest(folder / "evaluate.json", folder / "gate.toml")).status
    4
    """
    files = tuple(path for path in (request.junit, request.markdown) if path is not None)
    for path in files:
        require_new(path, request.force)
    gates = () if request.gate is None else read_gates(request.gate)
    baseline = None if request.baseline is None else read_result(request.baseline)
    result = read_result(request.result)
    verdict = check_result(result, gates, baseline)
    if request.junit is not None:
        write_bytes(request.junit, junit(verdict))
    if request.markdown is not None:
        write_text(request.markdown, markdown(verdict))
    told = annotation_lines(verdict, str(request.gate or request.result)) if request.annotations else []
    warnings = () if request.summary is None else summarized(verdict, request.summary)
    return Outcome(
        plain_json(verdict.to_json() | result.about),
        verdict.lines(),
        files,
        warnings=(*verdict.notes, *warnings),
        result=verdict,
        passed=verdict.passed,
        commands=tuple(told),
    )


def step_summary() -> Path | None:
    """Return the file that GitHub's workflows show as a step's summary, to the outermost command alone.

    >>> step_summary() is None or step_summary().name != ""
    True
    """
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(name) if name and is_outermost() else None


def summarized(verdict: Verdict, summary: Path) -> tuple[str, ...]:
    """Append a verdict to a build step's summary; warn where it is full."""
    written = append_summary(verdict, summary)
    return () if written else (f"{summary} has no room left for the gates",)
