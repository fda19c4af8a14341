"""A verdict as builds read it: JUnit's XML, Markdown for a summary, and annotations of GitHub's workflows."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from backlight.core.errors import FileError
from backlight.gate.verdict import Judged, Verdict
from backlight.table.text import markdown_cell

SUMMARY_LIMIT = 2**20
"""Bytes that GitHub shows of one step's summary."""

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS = {True: "passed", False: "failed", None: "not judged"}


def junit(verdict: Verdict) -> bytes:
    """Write a verdict as JUnit's XML: a suite for each section, a case for each gate; what is not judged is skipped.

    Characters that XML forbids become U+FFFD.

    >>> junit(Verdict((), "e.json")).splitlines()[1]
    b'<testsuites name="e.json" tests="0" failures="0" skipped="0" />'
    """
    root = ElementTree.Element("testsuites", _counts(verdict.of, verdict.judged))
    for section in dict.fromkeys(one.section for one in verdict.judged):
        cases = tuple(one for one in verdict.judged if one.section == section)
        suite = ElementTree.SubElement(root, "testsuite", _counts(section, cases))
        for one in cases:
            case = ElementTree.SubElement(suite, "testcase", {"classname": _xml(section), "name": _xml(one.title)})
            if one.passed is not True:
                kind = "failure" if one.passed is False else "skipped"
                told = ElementTree.SubElement(case, kind, {"message": _xml(one.sentence)})
                told.text = _xml("\n".join(_parts(one))) or None
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _counts(name: str, judged: tuple[Judged, ...]) -> dict[str, str]:
    outcomes = [one.passed for one in judged]
    counts = {"tests": len(outcomes), "failures": outcomes.count(False), "skipped": outcomes.count(None)}
    return {"name": _xml(name)} | {key: str(count) for key, count in counts.items()}


def _parts(one: Judged) -> Iterator[str]:
    return (f"{part.name}: {part.words}" for part in one.parts if part.passed is not True)


def _xml(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def markdown(verdict: Verdict, limit: int | None = None) -> str:
    """Write a verdict as Markdown: a heading, a table with a row for each gate, notes; at most `limit` bytes.

    Rows that do not fit are counted instead; "" where not even the heading fits.

    >>> print(markdown(Verdict((), "e|.json")))
    ### e\\|.json: passed
    <BLANKLINE>
    """
    head = f"### {markdown_cell(verdict.of)}: {_WORDS[verdict.passed]}\n\n"
    order = sorted(verdict.judged, key=lambda one: (False, None, True).index(one.passed))
    rows = [f"| {_WORDS[one.passed]} | {markdown_cell(one.title)} | {markdown_cell(one.sentence)} |\n" for one in order]
    table = ["| outcome | gate | what was found |\n", "| --- | --- | --- |\n", *rows] if rows else []
    tail = "".join(f"\n{markdown_cell(note)}\n" for note in verdict.notes)
    whole = head + "".join(table) + tail
    if limit is None or len(whole.encode()) <= limit:
        return whole
    left = limit - len((head + "".join(table[:2]) + tail).encode()) - 100
    fitting = 0
    while fitting < len(rows) and left >= len(rows[fitting].encode()):
        left -= len(rows[fitting].encode())
        fitting += 1
    if left < 0:
        return ""
    return head + "".join(table[: 2 + fitting]) + f"\n{len(rows) - fitting} more gates do not fit here.\n" + tail


def append_summary(verdict: Verdict, path: Path) -> bool:
    """Append a verdict to the file of a build step's summary, within what GitHub shows; whether there was room.

    Raises FileError where that is no regular file, or cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "summary.md"
    >>> append_summary(Verdict((), "e.json"), path), path.read_text().splitlines()[0]
    (True, '### e.json: passed')
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
    try:
        with os.fdopen(os.open(path, flags, 0o644), "ab") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise FileError(path, "is not a regular file", expected="the file of a step's summary")
            text = markdown(verdict, SUMMARY_LIMIT - found.st_size - 1)
            stream.write(f"{text}\n".encode() if text else b"")
            return bool(text)
    except OSError as error:
        raise FileError(path, f"cannot be written: {error.strerror}") from error


def annotation_lines(verdict: Verdict, file: str) -> list[str]:
    """Return a line for each gate that does not hold, as GitHub's workflows turn into annotations of a file.

    >>> from backlight.gate.gates import Gate
    >>> judged = Judged(Gate("accuracy", "min", 0.9), "evaluate", 0.8, None, False, "80%, too low")
    >>> annotation_lines(Verdict((judged,), "e.json"), "gates,1.toml")
    ['::error file=gates%2C1.toml,title=accuracy%3A min 0.9::80%25, too low']
    """
    levels = {False: "error", None: "warning"}
    return [
        f"::{levels[one.passed]} file={_property(file)},title={_property(one.title)}::{_message(one.sentence)}"
        for outcome in levels
        for one in verdict.with_outcome(outcome)
        if one.passed is not True
    ]


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
