"""Common corruptions and small shifts of pictures, and how a classifier fares under them.

corrupting   `corrupt`: one kind at one severity, keyed by picture; severities: the published constants
registry     every kind by name: noise, blurs, weather, spatter, colors, digital; filters: what they share
"""

from backlight.corrupt.corrupting import corrupt
from backlight.corrupt.registry import CORRUPTIONS, CorruptionCard

__all__ = ["CORRUPTIONS", "CorruptionCard", "corrupt"]
