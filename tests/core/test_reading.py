import json
import math

import pytest

from backlight.core.errors import FileError
from backlight.core.reading import parse_json, read_json_lines
from backlight.core.schema import array, either, number, record, text, whole

LINE = record({"step": whole()})


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("[" * 100_000, "too deeply nested"),
        ('{"a":' * 100_000, "too deeply nested"),
        ("9" * 5000, "cannot be read as JSON"),
        ('"\\ud800"', "cannot be read as JSON"),
        ('{"\\udfff": 1}', "cannot be read as JSON"),
        (b"\xff\xfe{", "cannot be read as JSON"),
        ("", "cannot be read as JSON"),
    ],
)
def test_what_is_no_json_names_its_file(found, message):
    with pytest.raises(FileError, match=f"model.json: .*{message}"):
        parse_json(found, "model.json")


def test_pairs_of_surrogates_are_text():
    assert parse_json('"\\ud83d\\ude00"', "model.json") == "\U0001f600"


@pytest.mark.parametrize("end", ["", "\n", '\n{"st', '\n{"step": 1e', "\nnull and more"])
def test_the_last_line_of_a_log_may_be_cut_off(tmp_path, end):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}' + end)
    assert read_json_lines(path, LINE) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"step": 1}\n{"st\n{"step": 3}\n', "line 2: cannot be read as JSON"),
        ('{"step": 1}\n{"step": "2"}', "line 2: step is '2'"),
        ('{"step": 1}\n{"step": -2}\n', "line 2: step is -2"),
        ('{"step": ' + "9" * 30 + "}\n", "line 1: step is 9"),
        ("null\n", "line 1: it is null"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, content, message):
    path = tmp_path / "log.jsonl"
    path.write_text(content)
    with pytest.raises(FileError, match=message):
        read_json_lines(path, LINE)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (number(), [0, -1.5, math.inf, 10**300], [10**400, -(10**400), math.nan, True, "1", None]),
        (number(0.0), [0, 0.0, 10**300], [-1, -1e-9, math.nan]),
        (number(undefined=True), [math.nan, 1], ["nan", None]),
        (whole(), [0, 2**63 - 1], [-1, 2**63, 10**400, 1.0, True]),
        (array(whole(), lowest=2, highest=2), [[1, 2]], [[1], [1, 2, 3], 3, "ab"]),
        (either(text(), array(text())), ["a", ["a", "b"]], [3, ["a", 3], None]),
    ],
)
def test_what_a_schema_holds(schema, good, bad):
    assert [value for value in good if list(schema(value))] == []
    assert [value for value in bad if not list(schema(value))] == []


def test_every_fault_can_be_written():
    for value in (10**400, math.nan, "x" * 10**6, {"a": 1}, [1] * 1000, None, b"bytes"):
        (fault,) = list(text()(value)) or [None]
        assert fault is None or len(json.dumps(fault)) < 200
