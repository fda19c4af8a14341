import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from backlight.core.errors import UsageError
from backlight.page.glossary import GLOSSARY
from backlight.page.page import Page
from backlight.page.sections import percent, render, term


@given(st.floats(0, 1))
def test_a_share_is_never_rounded_to_none_or_all(share: float) -> None:
    text = percent(share)
    assert (text == "0%") == (share == 0)
    assert (text == "100%") == (share == 1)
    if text[0] not in "<>":
        assert abs(float(text.removesuffix("%")) - 100 * share) <= 0.5


def test_a_share_that_is_no_number_says_so() -> None:
    assert percent(float("nan")) == "not a number"


def test_everything_is_escaped() -> None:
    markup = render("skipped.html", {"failed": [('"><script>alert(1)</script>', "<b>&'")]})
    assert isinstance(markup, Markup)
    assert "<script" not in markup
    assert "<b>" not in markup


def test_a_term_is_explained_and_unknown_ones_raise() -> None:
    assert GLOSSARY["FGSM"] in term("FGSM", "<one step>")
    assert "&lt;one step&gt;" in term("FGSM", "<one step>")
    with pytest.raises(UsageError, match="logit"):
        term("logits")


def test_every_term_has_a_sentence() -> None:
    assert all(re.fullmatch(r"[A-Z0-9].*[.]", text) for text in GLOSSARY.values())


def test_names_that_are_no_text_or_reorder_it_can_be_shown() -> None:
    markup = render("skipped.html", {"failed": [("caf\udce9\u202egpj.exe", "broken\x1b[31m")]})
    assert "caf\\xe9\\u202egpj.exe" in markup
    assert "broken\\x1b[31m" in markup
    markup.encode("utf-8")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "less than a second"), (0.7, "1 second"), (12.3, "12 seconds"), (152.0, "3 minutes")]
)
def test_the_footer_counts_seconds_as_people_do(seconds: float, said: str) -> None:
    assert f"Made by Backlight in {said}. " in Page("", None, (), (), (), 0, seconds, "A page").html()
