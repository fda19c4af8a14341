from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backlight.sharing import numbers_of

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=40)


def test_the_numbers_of_an_evaluation_have_names() -> None:
    document = {
        "accuracy": 0.5,
        "accuracy_interval": [0.4, 0.6],
        "confusion": [[1, 2], [3, 4]],
        "per_class": {"cat": {"n": 3, "f1": None}},
        "most_confused": [{"true": "cat", "predicted": "dog", "count": 2}],
        "model": {"size": [32, 32]},
        "doubtful": True,
    }
    assert numbers_of(document) == {
        "accuracy": 0.5,
        "accuracy_interval/low": 0.4,
        "accuracy_interval/high": 0.6,
        "per_class/cat/n": 3.0,
        "most_confused/1/count": 2.0,
    }


def test_findings_go_by_their_names_and_severities_by_their_places() -> None:
    document = {"findings": [{"name": "ece", "value": 0.1}], "kinds": {"fog": {"accuracy": [0.9, 0.8]}}}
    expected = {"findings/ece/value": 0.1, "kinds/fog/accuracy/1": 0.9, "kinds/fog/accuracy/2": 0.8}
    assert numbers_of(document) == expected


def test_the_outermost_numbers_stay_where_there_are_too_many() -> None:
    document = {"per_class": {str(index): {"n": index} for index in range(10_000)}, "accuracy": 0.5}
    found = numbers_of(document)
    assert len(found) == 1000
    assert next(iter(found)) == "accuracy"


@given(DOCUMENTS)
def test_numbers_are_finite_whatever_a_document_holds(document: Any) -> None:
    found = numbers_of(document, most=20)
    assert len(found) <= 20
    assert all(isinstance(value, float) and math.isfinite(value) for value in found.values())
