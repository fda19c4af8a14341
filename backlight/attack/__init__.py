"""Attacks on classifiers, and the referee that decides what they are worth.

attack, AttackResult                one call: images in, adversarial images and verdicts out
save_adversarial                    the same as PNG files, read back and judged again
ThreatModel, Challenge, Referee     what is allowed, on what, and who decides
ATTACKS                             every attack by name; each is a function of a challenge
"""

from backlight.attack.adversarial import AttackResult, attack
from backlight.attack.catalog import ATTACKS, AttackCard, card_of
from backlight.attack.challenge import Challenge
from backlight.attack.referee import UNDECIDED, Referee, Verdict
from backlight.attack.saved import SavedAttack, save_adversarial
from backlight.attack.threat import ThreatModel

__all__ = [
    "ATTACKS",
    "UNDECIDED",
    "AttackCard",
    "AttackResult",
    "Challenge",
    "Referee",
    "SavedAttack",
    "ThreatModel",
    "Verdict",
    "attack",
    "card_of",
    "save_adversarial",
]
