"""The verb `check`: whether the result of a verb holds what a gate file asks of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from backlight.gate import read_result
from backlight.tasks.gating import GateRequest
from backlight.tasks.outcome import Outcome, plain_json


@dataclass(frozen=True)
class CheckRequest:
    """Which document is held against which gates.

    >>> CheckRequest(Path("audit.json")).gates.asked
    False
    """

    result: Path
    gates: GateRequest = field(default_factory=GateRequest)
    force: bool = False


def check(request: CheckRequest) -> Outcome:
    """Judge the JSON document of a verb by a gate file, by a baseline, or an audit by its own findings.

    The status is 0 where all gates hold, 4 where one does not, else 3 where one could not be judged; the result is a
    `Verdict`. Raises UsageError and FileError as `backlight.gate.check` does, and where a file is there already.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "evaluate.json").write_text('{"n": 100, "accuracy": 0.85, "per_class": {}}')
    >>> _ = (folder / "gate.toml").write_text('[[gate]]\\nmetric = "accuracy"\\nmin = 0.9\\n')
    >>> check(CheckRequest(folder / "evaluate.json", GateRequest(folder / "gate.toml"))).status
    4
    """
    gates = request.gates.read(force=request.force)
    result = read_result(request.result)
    verdict = gates.judge(result)
    told = gates.tell(verdict, request.result)
    return Outcome(
        plain_json(verdict.to_json() | result.about),
        told.lines,
        told.files,
        warnings=told.warnings,
        result=verdict,
        passed=told.passed,
        commands=told.commands,
    )
