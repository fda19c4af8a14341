"""What to corrupt a data set with: kinds, severities, small shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backlight.core.errors import UsageError
from backlight.core.grammar import parse_whole, shortened
from backlight.corrupt.corrupting import Kind
from backlight.corrupt.registry import (
    CORRUPTIONS,
    FIFTEEN,
    PUBLISHED_NAMES,
    CorruptionCard,
    corruption_of,
    stored_card,
)
from backlight.corrupt.severities import SEVERITIES, check_severity
from backlight.corrupt.shifts import SHIFTS

GROUPS = ("noise", "blur", "weather", "digital")


@dataclass(frozen=True)
class CorruptionRequest:
    """Which kinds at which severities, and whether small shifts are tried too; `table` overrules the one by size.

    `stored` says that corrupted pictures are views of the data, and are not made; `clean` that the data's own pictures
    are as they were before.

    >>> CorruptionRequest.of("noise,fog", severities="1,3-5").names
    ('gaussian_noise', 'shot_noise', 'impulse_noise', 'speckle_noise', 'fog')
    """

    kinds: tuple[CorruptionCard, ...]
    severities: tuple[int, ...] = SEVERITIES
    stability: bool = False
    table: str | None = None
    stored: bool = False
    clean: bool = True

    @classmethod
    def of(
        cls,
        kinds: str | Sequence[Kind] = "published",
        *,
        severities: str | Sequence[int] = SEVERITIES,
        stability: bool = False,
        frost: CorruptionCard | None = None,
        table: str | None = None,
        stored: Sequence[str] | None = None,
        clean: bool = True,
    ) -> CorruptionRequest:
        """Read what is asked for: names, groups, `published` (the fifteen), `all`, `none`, cards and functions.

        `frost` is the card that has photographs; without it the drawn `frost_like` stands among the published kinds.
        `stored` names the kinds that a published set holds, of which is chosen then.

        Raises UsageError for unknown kinds and severities, for a kind named twice, and for nothing to look at.
        """
        wanted = [part.strip() for part in kinds.split(",")] if isinstance(kinds, str) else list(kinds)
        if stored is not None:
            cards = [card for one in wanted for card in _stored_cards(one, stored)]
        else:
            cards = [card for one in wanted if one != "none" for card in _cards(one, frost)]
        names = [card.name for card in cards]
        if len(set(names)) < len(names):
            found = f"{next(one for one in names if names.count(one) > 1)} twice"
            raise UsageError(found, expected="kinds of corruption, each once")
        chosen = _severities(severities) if isinstance(severities, str) else tuple(severities)
        return cls(tuple(cards), tuple(map(check_severity, chosen)), stability, table, stored is not None, clean)

    def __post_init__(self) -> None:
        if not self.kinds and not self.stability:
            raise UsageError("no kind", expected="kinds of corruption", hint="--stability, for small shifts alone")
        if self.stability and not self.clean:
            found = "small shifts of pictures that are corrupted already"
            raise UsageError(found, expected="pictures as they are", hint="--clean DATA, or without --stability")
        if not self.severities or len(set(self.severities)) < len(self.severities):
            raise UsageError(f"severities {self.severities}", expected="some of 1 to 5, each once")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the kinds by name."""
        return tuple(card.name for card in self.kinds)

    @property
    def looks(self) -> int:
        """Return how often a picture is looked at, as it is and corrupted."""
        return self.clean + len(self.kinds) * len(self.severities)

    @property
    def passes(self) -> int:
        """Return how many forward passes a picture takes, small shifts included."""
        return self.looks + (sum(len(one.amounts) for one in SHIFTS.values()) if self.stability else 0)

    def describe(self) -> dict[str, object]:
        """Return what decides about the results, for a fingerprint and for the document."""
        return {
            "kinds": list(self.names),
            "severities": list(self.severities),
            "stability": self.stability,
            "stored": self.stored,
            "clean": self.clean,
        }


def view_name(kind: str, severity: int) -> str:
    """Name the view of a data set that holds its pictures under a kind at a severity.

    >>> view_name("fog", 3)
    'fog/3'
    """
    return f"{kind}/{severity}"


def _stored_cards(kind: str | Kind, there: Sequence[str]) -> list[CorruptionCard]:
    cards = {name: stored_card(name) for name in there}
    if not isinstance(kind, str):
        raise UsageError(f"the kind {kind}", expected=f"the name of a stored one: {', '.join(there)}")
    if kind == "published":
        return [cards[name] for name in FIFTEEN if name in cards] or list(cards.values())
    if kind in ("all", *GROUPS):
        return [card for card in cards.values() if kind in ("all", card.group)]
    names = {published: name for name, published in PUBLISHED_NAMES.items()}
    wanted = names.get(kind.replace("-", "_"), kind.replace("-", "_"))
    if wanted not in cards:
        raise UsageError(f"no kind {kind!r} is stored", expected=f"one of {', '.join(there)}")
    return [cards[wanted]]


def _cards(kind: Kind, frost: CorruptionCard | None) -> list[CorruptionCard]:
    if not isinstance(kind, str):
        return [corruption_of(kind)]
    icy = frost or CORRUPTIONS["frost_like"]
    if kind == "published":
        return [icy if name == "frost" else CORRUPTIONS[name] for name in FIFTEEN]
    every = [*(card for card in CORRUPTIONS.values() if card.name != "frost_like"), icy]
    if kind == "all":
        return every
    if kind in GROUPS:
        return [card for card in every if card.group == kind]
    if kind == "frost" and frost is not None:
        return [frost]
    return [corruption_of(kind)]


def _severities(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.strip().partition("-")
        try:
            ends = [check_severity(parse_whole(one)) for one in (low, high or low)]
        except UsageError:
            raise UsageError(f"severities {shortened(text)}", expected="such as 1-5 or 1,3,5") from None
        found += range(ends[0], ends[1] + 1)
    return tuple(found)
