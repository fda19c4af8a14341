"""Checks that run, that lack what they need, that fail, and that come from elsewhere."""

import numpy as np
import pytest

from backlight.audit import CHECKS, SECTIONS, CheckCard, Examined, Finding, Kept, run_checks
from backlight.audit.card import LIGHTS, NEEDS
from backlight.audit.examined import DEPTHS
from backlight.audit.registry import checks_of
from backlight.core.errors import DataError, UsageError
from backlight.testing import check_check

EXAMINED = Examined.of(Kept.of(np.eye(3), labels=[0, 1, 2]), depth="quick")


def card(name: str = "mine", section: str = "labels", **options: object) -> CheckCard:
    def function(examined: Examined) -> list[Finding]:
        return [Finding(name, section, 1.0, None, len(examined.kept), "good", "So.")]

    return CheckCard(name, section, function, **options)  # type: ignore[arg-type]


def test_findings_come_in_the_order_of_the_page() -> None:
    found = run_checks(EXAMINED, [card("b", "why"), card("a", "labels"), card("c", "health"), card("d", "elsewhere")])
    assert [one.name for one in found.findings] == ["c", "a", "b", "d"]


def test_what_is_lacking_is_named() -> None:
    cards = [card("a", needs=frozenset({"against", "features"})), card("b", depth="deep"), card("c")]
    found = run_checks(EXAMINED, cards)
    assert [one.name for one in found.findings] == ["c"]
    told = {one.name: one.why for one in found.not_checked}
    assert told == {"a": f"needs {NEEDS['features']} and {NEEDS['against']}", "b": "needs --depth deep"}


def test_an_error_of_this_program_is_a_finding_without_judgement() -> None:
    def fails(examined: Examined) -> list[Finding]:
        raise DataError("one class only", expected="two")

    (found,) = run_checks(EXAMINED, [CheckCard("x", "labels", fails)]).findings
    assert (found.judgement, found.sentence, found.n) == ("not judged", "one class only; expected two", 3)


def test_a_bug_is_not_swallowed() -> None:
    def fails(examined: Examined) -> list[Finding]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_checks(EXAMINED, [CheckCard("x", "labels", fails)])


def test_two_findings_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="two findings"):
        run_checks(EXAMINED, [card("a"), card("a")])


def test_depths_hold_one_another() -> None:
    names = [{one.name for one in checks_of(depth)} for depth in DEPTHS]
    assert names[0] <= names[1] <= names[2] == set(CHECKS)
    with pytest.raises(UsageError, match="quick"):
        checks_of("deeper")  # type: ignore[arg-type]


def test_every_section_feeds_a_light_and_every_check_is_in_a_section() -> None:
    assert {name: one.light for name, one in SECTIONS.items() if one.light not in LIGHTS} == {"second": ""}
    assert {one.light for one in SECTIONS.values()} == {*LIGHTS, ""}
    assert {one.section for one in CHECKS.values()} <= set(SECTIONS)
    assert all(one.needs <= set(NEEDS) for one in CHECKS.values())


@pytest.mark.parametrize("name", sorted(CHECKS.built_in))
def test_every_check_is_proved(name: str) -> None:
    check_check(name)


def test_the_kit_finds_what_does_not_hold() -> None:
    def drawn(examined: Examined) -> list[Finding]:
        value = float(np.abs(np.asarray(examined.kept.logits)).sum())
        examined.kept.logits[0, 0] += 1
        return [Finding("drawn", "labels", value, None, 1, "good", "So.")]

    with pytest.raises(AssertionError, match="finds something else"):
        check_check(CheckCard("drawn", "labels", drawn))
    with pytest.raises(AssertionError, match="section 'elsewhere'"):
        check_check(card(section="elsewhere"))
