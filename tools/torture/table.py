"""The table of what came of all trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

COLUMNS = ("killed", "interrupted", "finished", "refused")


def table(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return a Markdown table: one row per verb and kind of trial, with how the runs ended and how many were wrong.

    >>> lines = [{"verb": "train", "kind": "SIGKILL", "ended": "killed", "wrong": []}]
    >>> print(table(lines).splitlines()[2])
    | train | SIGKILL | 1 | 1 | 0 | 0 | 0 | 0 |
    """
    rows: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in lines:
        rows.setdefault((line["verb"], line["kind"]), []).append(line)
    head = ("verb", "trial", "n", *COLUMNS, "wrong")
    text = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for (verb, kind), found in rows.items():
        ended = [one["ended"] if one["ended"] in COLUMNS else "refused" for one in found]
        counts = (len(found), *(ended.count(name) for name in COLUMNS), sum(bool(one["wrong"]) for one in found))
        text.append(f"| {verb} | {kind} | {' | '.join(map(str, counts))} |")
    return "\n".join(text)
