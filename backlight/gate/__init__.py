"""Gates: what the JSON of any verb has to hold, so that a build can fail by it; knows no model and no picture.

read_gates, Gate         rows of a gate file: a metric, and the bound that it has to keep
read_result, Result      the JSON document of a verb, and the table of pictures that lies beside it
check, Verdict, Judged   gates held against a result, and against an older one: passed, failed, could not judge
junit, markdown, annotation_lines   the verdict as builds read it
"""

from backlight.gate.gates import Gate, read_gates
from backlight.gate.judging import check, default_gates, require_baseline
from backlight.gate.result import Result, read_result
from backlight.gate.verdict import Judged, Part, Verdict
from backlight.gate.writing import annotation_lines, append_summary, junit, markdown

__all__ = [
    "Gate",
    "Judged",
    "Part",
    "Result",
    "Verdict",
    "annotation_lines",
    "append_summary",
    "check",
    "default_gates",
    "junit",
    "markdown",
    "read_gates",
    "read_result",
    "require_baseline",
]
