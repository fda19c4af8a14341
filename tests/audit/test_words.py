"""Sentences agree with their numbers: 0, 1 and 2 of everything, and articles with the names behind them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from backlight.audit import Examined, Kept, run_checks
from backlight.audit.kept import HEALTH, PROPERTIES
from backlight.audit.registry import CHECKS
from backlight.audit.words import agreeing, number_of, pictures, some_of, with_article

WRONG = re.compile(
    r"\b1 (?:\w+ )?(?:pictures|classes|groups|kinds|mistakes)\b|(?<![\d.,])1 of [\d,]+ \w+ (?:are|have|differ)\b"
    r"|\b[02-9] (?:picture|class|group|kind|mistake)\b|\ba [aeiou](?!ni|ne\b)|\ban [^aeiouh]"
)


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 pictures are"), (1, "1 picture is"), (2, "2 pictures are"), (2000, "2,000 pictures are")],
)
def test_nouns_and_verbs_follow_the_number(number: int, told: str) -> None:
    assert number_of(number, "picture", "are") == told
    assert pictures(number) == told.rsplit(" ", 1)[0]
    assert some_of(number, 3000) == f"{number:,} of 3,000 pictures {told.rsplit(' ', 1)[1]}"


def test_a_part_decides_the_verb_and_the_whole_the_noun() -> None:
    assert some_of(1, 2) == "1 of 2 pictures is"
    assert some_of(0, 1, "class", "have") == "0 of 1 class have"
    assert [agreeing(number, "differ") for number in (0, 1, 2)] == ["differ", "differs", "differ"]
    assert number_of(2, "box") == "2 boxes"


def test_articles_follow_the_sound() -> None:
    names = ("automobile", "Egyptian cat", "dog", "hourglass", "unicycle", "umbrella", "European fire salamander")
    told = [with_article(one).split()[0] for one in names]
    assert told == ["an", "an", "a", "an", "a", "an", "a"]


@pytest.mark.parametrize("odd", [0, 1, 2])
def test_sentences_of_findings_agree_with_their_numbers(odd: int) -> None:
    count = 60
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    answers = labels.copy()
    answers[:odd] = 1 - answers[:odd]
    properties = {name: 0.5 + 0.1 * random.random(count) for name in (*PROPERTIES, *HEALTH)}
    properties |= {"luminance_99": np.where(np.arange(count) < odd, 0.1, 0.9), "entropy": np.full(count, 6.0)}
    hashes = random.integers(0, 2**63, count, dtype=np.uint64)
    thumbnails = random.integers(0, 255, (count, 256), dtype=np.uint8)
    digests = random.integers(0, 2**63, (count, 2), dtype=np.uint64)
    for place in range(odd):
        hashes[30 + place], thumbnails[30 + place] = hashes[place], thumbnails[place]
    one = Kept.of(
        5 * np.eye(3)[answers],
        labels=labels,
        label_names=["automobile", "owl", "eel"],
        features=random.normal(size=(count, 8)),
        hashes=hashes,
        thumbnails=thumbnails,
        digests=digests,
        **properties,
    )
    other = one.take(np.arange(count)[::-1][: count - odd])
    names = ("pictures", "class_balance", "duplicates", "leaked_pictures", "classes_without_training", "accuracy")
    cards = [CHECKS[name] for name in (*names, "most_confused", "gravest_errors", "label_errors", "two_models")]
    examined = Examined.of(one, train=other, second=one)
    told = [each.sentence for each in run_checks(examined, cards).findings]
    assert len(told) > 12
    assert [each for each in told if WRONG.search(each)] == []
