"""The verb `methods`."""

from __future__ import annotations

from typing import Annotated

import typer

from backlight.cli.options import RunOptions
from backlight.cli.output import emit, say


def methods(
    run: RunOptions,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print the references as BibTeX.")] = False,
) -> None:
    """List every method and attack: what it needs, its cost, its reference, when not to use it."""
    from backlight.tasks.methods import bibtex_entries, list_methods

    cards = list_methods()
    if bibtex:
        for line in "\n\n".join(bibtex_entries(cards)).splitlines():
            say(line)
        return
    if run.json:
        emit([card.to_json() for card in cards])
        return
    for kind in dict.fromkeys(card.kind for card in cards):
        say()
        say(kind.upper())
        for card in cards:
            if card.kind == kind:
                say(card.name)
                for title in ("needs", "cost", "reference", "avoid"):
                    say(f"  {'source' if title == 'reference' else title:<6}  {getattr(card, title)}")
