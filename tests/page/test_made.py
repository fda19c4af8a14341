"""What a page of made pictures says of how they came about: formulas as people write them."""

from __future__ import annotations

import pytest
import torch

from backlight.page.made import MadePicture, made_section, readable

FORMULAS = {
    "-(distance('blocks.2') * its weight) - 6.643282312925171e-07 * total_variation('l2')": (
        "raised",
        "-(distance at blocks.2 * its weight) - 6.64e-07 * total variation (l2)",
    ),
    "-(1.0 * content('a.1.act') + 0.5 * style('b'))": ("lowered", "content at a.1.act + 0.5 * style at b"),
    "activation('blocks.4:its channel')": ("raised", "activation at blocks.4:its channel"),
    "the score (logit) of its class": ("raised", "the score (logit) of its class"),
    "-(a) - (b)": ("raised", "-(a) - (b)"),
    "-(": ("raised", "-("),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_are_said_as_people_do(formula: str) -> None:
    assert readable("raised", formula) == FORMULAS[formula]


def test_names_of_terms_are_said_so_and_what_was_measured_stays() -> None:
    assert readable("content('blocks.5')", "1.0 * 2") == ("content at blocks.5", "1.0 * 2")


def test_the_page_says_them() -> None:
    facts = (("raised", "energy('blocks.4')"), ("style('b1')", "0.4 to 0.2"))
    html = made_section([MadePicture("a", torch.zeros(3, 8, 8), facts)], "Pictures").html
    assert "<dd>energy at blocks.4</dd>" in html
    assert "<dt>style at b1</dt><dd>0.4 to 0.2</dd>" in html
