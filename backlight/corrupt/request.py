"""What to corrupt a data set with: kinds, severities, small shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backlight.core.errors import UsageError
from backlight.corrupt.corrupting import Kind
from backlight.corrupt.registry import CORRUPTIONS, FIFTEEN, CorruptionCard, corruption_of
from backlight.corrupt.severities import SEVERITIES, check_severity
from backlight.corrupt.shifts import SHIFTS

GROUPS = ("noise", "blur", "weather", "digital")


@dataclass(frozen=True)
class CorruptionRequest:
    """Which kinds at which severities, and whether small shifts are tried too; `table` overrules the one by size.

    >>> CorruptionRequest.of("noise,fog", severities="1,3-5").names
    ('gaussian_noise', 'shot_noise', 'impulse_noise', 'speckle_noise', 'fog')
    """

    kinds: tuple[CorruptionCard, ...]
    severities: tuple[int, ...] = SEVERITIES
    stability: bool = False
    table: str | None = None

    @classmethod
    def of(
        cls,
        kinds: str | Sequence[Kind] = "published",
        *,
        severities: str | Sequence[int] = SEVERITIES,
        stability: bool = False,
        frost: CorruptionCard | None = None,
        table: str | None = None,
    ) -> CorruptionRequest:
        """Read what is asked for: names, groups, `published` (the fifteen), `all`, cards and functions.

        `frost` is the card that has photographs; without it the drawn `frost_like` stands among the published kinds.

        Raises UsageError for unknown kinds and severities, for a kind named twice and for none.
        """
        wanted = [part.strip() for part in kinds.split(",")] if isinstance(kinds, str) else list(kinds)
        cards = [card for one in wanted for card in _cards(one, frost)]
        names = [card.name for card in cards]
        if not cards or len(set(names)) < len(names):
            found = "no kind" if not cards else f"{next(one for one in names if names.count(one) > 1)} twice"
            raise UsageError(found, expected="kinds of corruption, each once")
        chosen = _severities(severities) if isinstance(severities, str) else tuple(severities)
        return cls(tuple(cards), tuple(map(check_severity, chosen)), stability, table)

    def __post_init__(self) -> None:
        if not self.severities or len(set(self.severities)) < len(self.severities):
            raise UsageError(f"severities {self.severities}", expected="some of 1 to 5, each once")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the kinds by name."""
        return tuple(card.name for card in self.kinds)

    @property
    def looks(self) -> int:
        """Return how often a picture is looked at, as it is and corrupted."""
        return 1 + len(self.kinds) * len(self.severities)

    @property
    def passes(self) -> int:
        """Return how many forward passes a picture takes, small shifts included."""
        return self.looks + (sum(len(one.amounts) for one in SHIFTS.values()) if self.stability else 0)

    def describe(self) -> dict[str, object]:
        """Return what decides about the results, for a fingerprint and for the document."""
        return {"kinds": list(self.names), "severities": list(self.severities), "stability": self.stability}


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
        low, dash, high = part.strip().partition("-")
        if not low.isdigit() or (dash and not high.isdigit()):
            raise UsageError(f"severities {text!r}", expected="such as 1-5 or 1,3,5")
        found += range(int(low), int(high or low) + 1)
    return tuple(found)
