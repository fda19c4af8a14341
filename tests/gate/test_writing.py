"""What builds read: JUnit, Markdown and annotations of hostile names, and the summary of a step."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from backlight.core.errors import FileError
from backlight.gate import Gate, Result, annotation_lines, append_summary, check, junit, markdown
from backlight.gate.writing import SUMMARY_LIMIT
from tests.gate.documents import AUDIT, evaluation

HOSTILE = "a|b\r\n`c`<script>alert(1)</script>\x00\x1b[31m\ud800\uffff,:%"


def hostile() -> Result:
    return evaluation(9, 10, per_class={HOSTILE: {"n": 10, "accuracy": 0.1}, "fine": {"n": 10, "accuracy": 0.9}})


def test_a_suite_for_each_section_and_a_case_for_each_gate() -> None:
    gates = [Gate("accuracy", "min", 0.5), Gate("label_errors", "max", 0.01), Gate("leaked_pictures", "max", 0.01)]
    root = ElementTree.fromstring(junit(check(Result(AUDIT, "audit.json"), gates)))
    assert root.attrib == {"name": "audit.json", "tests": "3", "failures": "1", "skipped": "1"}
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["accuracy", "labels", "splits"]
    failure, skipped = suites["labels"].find("testcase/failure"), suites["splits"].find("testcase/skipped")
    assert failure is not None
    assert skipped is not None
    assert "at most 1%" in failure.get("message", "")
    assert "No --train data." in skipped.get("message", "")
    assert len(suites["accuracy"].findall("testcase/*")) == 0


def test_what_xml_forbids_is_replaced_and_the_rest_comes_back() -> None:
    verdict = check(hostile(), [Gate("accuracy", "min", 0.5, "class")])
    case = ElementTree.fromstring(junit(verdict)).find("testsuite/testcase/failure")
    assert case is not None
    assert "<script>alert(1)</script>\ufffd\ufffd[31m?\ufffd,:%" in case.get("message", "")
    assert all(ord(one) >= 32 for one in case.get("message", "").replace("\n", "").replace("\r", ""))


def test_a_row_of_markdown_stays_one_row() -> None:
    text = markdown(check(hostile(), [Gate("accuracy", "min", 0.5, "class")]))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert rows[2].replace(r"\|", "").count("|") == 4
    assert "<script>" not in text
    assert r"\`c\`" in text
    text.encode()


def test_annotations_are_escaped_as_github_reads_them() -> None:
    verdict = check(hostile(), [Gate("accuracy", "min", 0.5, "class"), Gate("ece", "max", 0.2, worse_end=True)])
    error, warning = annotation_lines(verdict, "gates,a:b\n%.toml")
    assert error.startswith("::error file=gates%2Ca%3Ab%0A%25.toml,title=accuracy by class%3A min 0.5::")
    assert "a|b%0D%0A`c`" in error
    assert "\n" not in error
    assert warning.startswith("::warning file=")


def test_the_summary_is_appended_within_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("what stood before\n")
    many = evaluation(9, 10, **{f"number{place}": place for place in range(9000)})
    verdict = check(many, [Gate(f"number{place}", "max", 1e9) for place in range(9000)])
    assert append_summary(check(evaluation(9, 10), [Gate("accuracy", "min", 0.5)]), path)
    assert path.read_text().startswith("what stood before\n### evaluate.json: passed\n")
    while append_summary(verdict, path):
        assert path.stat().st_size <= SUMMARY_LIMIT
    assert path.stat().st_size <= SUMMARY_LIMIT
    assert "more gates do not fit here" in path.read_text()


def test_a_short_limit_counts_what_does_not_fit_and_shows_what_failed_first() -> None:
    verdict = check(evaluation(9, 10), [Gate("accuracy", "min", 0.5)] * 50 + [Gate("accuracy", "min", 0.95)])
    text = markdown(verdict, 1000)
    assert len(text.encode()) <= 1000
    assert "| failed |" in text
    assert "more gates do not fit here" in text
    assert markdown(verdict, 100) == ""


def test_a_summary_that_is_no_file_is_told(tmp_path: Path) -> None:
    verdict = check(evaluation(9, 10), [Gate("accuracy", "min", 0.5)])
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent" / "summary.md"):
        with pytest.raises(FileError):
            append_summary(verdict, path)
