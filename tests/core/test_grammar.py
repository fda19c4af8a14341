import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backlight.core.errors import UsageError
from backlight.core.grammar import Spec, parse_epsilon, parse_number, parse_spec

names = st.text("abcdefgh_", min_size=1, max_size=8)


@given(names, st.dictionaries(names, names, max_size=4))
def test_text_of_a_spec_parses_back(name, options):
    spec = Spec(name, options)
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    "text", ["", ":", "pgd:", ":n=2", "pgd:steps", "pgd:=3", "pgd:steps=", "a:b=1,,c=2", "a:b=1,b=2"]
)
def test_broken_specs_are_refused(text):
    with pytest.raises(UsageError):
        parse_spec(text)


def test_unknown_option_lists_near_names():
    with pytest.raises(UsageError, match="try: steps"):
        parse_spec("pgd:step=3").only("steps", "eps")


def test_getters():
    spec = parse_spec("x:n=3,rate=1/4,kind=red,eps=2/255")
    assert spec.integer("n", 0, low=1, high=3) == 3
    assert spec.integer("missing", 7) == 7
    assert spec.number("rate", 0.0) == 0.25
    assert spec.number("missing", 0.5) == 0.5
    assert spec.text("kind", "blue", ["red", "blue"]) == "red"
    assert spec.epsilon("eps", 0.0) == 2 / 255
    assert spec.epsilon("missing", 0.125) == 0.125


@pytest.mark.parametrize(
    "read",
    [
        lambda spec: spec.integer("n", 0),
        lambda spec: spec.number("word", 0.0),
        lambda spec: spec.integer("k", 0, low=4),
        lambda spec: spec.integer("k", 0, high=2),
        lambda spec: spec.number("k", 0, low=0, high=1),
        lambda spec: spec.text("word", "", ["rad", "blue"]),
    ],
)
def test_getters_name_the_option_that_does_not_fit(read):
    with pytest.raises(UsageError, match="x:(n|word|k)=|is not a number"):
        read(parse_spec("x:n=1.5,word=red,k=3"))


@pytest.mark.parametrize(
    ("value", "norm", "expected"),
    [
        ("8/255", "linf", 8 / 255),
        (0.03, "linf", 0.03),
        ("0.5", "linf", 0.5),
        (0, "linf", 0.0),
        (1.0, "linf", 1.0),
    ]
    + [("1/2", "l2", 0.5), (3, "l2", 3.0), ("12", "l1", 12.0), ("255/255", "linf", 1.0)],
)
def test_epsilon(value, norm, expected):
    assert parse_epsilon(value, norm) == expected


@pytest.mark.parametrize("value", [8, "8", 1, "1", 1.5, "8.0", 255])
def test_epsilon_in_the_scale_of_bytes_says_so(value):
    with pytest.raises(UsageError, match=rf"0\.\.255.*write '{value}/255'"):
        parse_epsilon(value)


@pytest.mark.parametrize("value", [-0.1, "-1/255", math.nan, "nan", math.inf, "eight", "8/0", "", "1/2/3"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_epsilon_refuses_what_is_no_size(value, norm):
    with pytest.raises(UsageError):
        parse_epsilon(value, norm)


def test_number_refuses_other_types():
    with pytest.raises(UsageError):
        parse_number(None)
