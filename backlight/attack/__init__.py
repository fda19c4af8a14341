"""Attacks on classifiers, and the referee that decides what they are worth.

attack, AttackResult                one call: images in, adversarial images and verdicts out
save_adversarial                    the same as PNG files, read back and judged again
ThreatModel, Challenge, Referee     what is allowed, on what, and who decides
ATTACKS, choose_attack              every attack by name; each is a function of a challenge
evaluate_robustness, Robustness     a whole data set: one table, and every number that follows from it;
                                    what is asked for is a RobustnessRequest
evaluate_transfer, TransferStudy    attacks made on one model and shown to others; asked for by a TransferRequest
evaluate_universal, UniversalStudy  one perturbation or patch for many pictures; asked for by a PerturbationRequest or a
                                    PatchRequest; save_change and read_change keep it
ensemble                            several models of any sizes as one
"""

from backlight.attack.adversarial import AttackResult, attack
from backlight.attack.card import AttackCard
from backlight.attack.challenge import Challenge
from backlight.attack.choosing import ChosenAttack, choose_attack
from backlight.attack.evaluation import evaluate_robustness
from backlight.attack.referee import UNDECIDED, Referee, Verdict
from backlight.attack.registry import ATTACKS
from backlight.attack.request import RobustnessRequest
from backlight.attack.robustness import Robustness
from backlight.attack.saved import SavedAttack, save_adversarial
from backlight.attack.threat import ThreatModel
from backlight.attack.transfer.ensemble import ensemble
from backlight.attack.transfer.evaluating import evaluate_transfer
from backlight.attack.transfer.parts import TRANSFER_PARTS, TransferPart
from backlight.attack.transfer.request import TransferRequest
from backlight.attack.transfer.study import TransferRate, TransferStudy
from backlight.attack.universal.change import Patch, Perturbation
from backlight.attack.universal.evaluating import evaluate_universal
from backlight.attack.universal.files import read_change, save_change
from backlight.attack.universal.request import (
    PatchRequest,
    PerturbationRequest,
    UniversalRequest,
    read_universal_request,
)
from backlight.attack.universal.study import FoolingRate, UniversalExample, UniversalStudy
from backlight.core.faces import call_room

__all__ = [
    "ATTACKS",
    "UNDECIDED",
    "AttackCard",
    "AttackResult",
    "Challenge",
    "ChosenAttack",
    "FoolingRate",
    "Patch",
    "PatchRequest",
    "Perturbation",
    "PerturbationRequest",
    "Referee",
    "Robustness",
    "RobustnessRequest",
    "SavedAttack",
    "TRANSFER_PARTS",
    "ThreatModel",
    "TransferPart",
    "TransferRate",
    "TransferRequest",
    "TransferStudy",
    "UniversalExample",
    "UniversalRequest",
    "UniversalStudy",
    "Verdict",
    "attack",
    "choose_attack",
    "ensemble",
    "evaluate_robustness",
    "evaluate_transfer",
    "evaluate_universal",
    "read_change",
    "read_universal_request",
    "save_adversarial",
    "save_change",
]

call_room(__name__, "attack")
