"""Draw the page of the docs on models that go wrong: `python -m tests.hostile.page`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.expected import EXPECTED, Row
from tests.hostile.kinds import KINDS
from tests.hostile.verbs import REFUSED, VERBS

PAGE = Path(__file__).parents[2] / "docs" / "models_that_go_wrong.rst"
WIDTH = 120
TITLE = "Models that go wrong"
SAID = """What {verbs} say of {count} kinds of models that people have. Every verb is asked of every kind. Its numbers
are compared with those of the bare module where that is steady, and the module and the random numbers are left as they
were. `tests/hostile/test_models.py` holds each cell, and `python -m tests.hostile.page` draws this page from it. An
error that is the model's own says so, and is the cause of the one that is raised."""
FINE = "Nothing has to be said of these: {fine}."
TABLE = """.. list-table::
   :header-rows: 1
   :widths: 26 74

   * - the model, or what it returns
     - what is said
"""


def draw() -> str:
    """Return the page."""
    fine = "; ".join(kind for kind in KINDS if kind not in EXPECTED)
    said = SAID.format(verbs=", ".join(VERBS), count=len(KINDS)).replace("`", "``")
    texts = [textwrap.fill(text, WIDTH) for text in (said, FINE.format(fine=fine))]
    lines = ["\n\n".join([f"{TITLE}\n{'=' * len(TITLE)}", *texts, TABLE])]
    for kind in KINDS:
        if kind in EXPECTED:
            first, *others = map(_said, EXPECTED[kind])
            lines += [f"   * - {kind}\n", f"     - | {first}\n", *(f"       | {one}\n" for one in others)]
    return "".join(lines)


def _said(row: Row) -> str:
    named = row.verbs.split()
    verbs = "every verb" if set(named) == set(VERBS) else ", ".join(named)
    ended = f" {'refuse' if len(named) > 1 and verbs != 'every verb' else 'refuses'}" if row.ended == REFUSED else ""
    return f"{verbs}{ended}: " + " ... ".join(_quoted(row.words))


def _quoted(words: tuple[str, ...]) -> Iterator[str]:
    yield from (f"``{one}``" for one in words)


if __name__ == "__main__":
    PAGE.write_text(draw(), encoding="utf-8")
