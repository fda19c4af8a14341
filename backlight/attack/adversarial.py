"""One call that attacks images and says, per image, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from backlight.attack.challenge import Challenge, Ids
from backlight.attack.objectives import NAMES
from backlight.attack.referee import UNDECIDED, Referee
from backlight.attack.registry import AttackCard, card_of
from backlight.attack.threat import DEFAULT_EPS, ThreatModel
from backlight.classifier import Classifier
from backlight.classifier.targets import Target
from backlight.errors import UsageError, did_you_mean
from backlight.grammar import parse_number
from backlight.pixels import Result
from backlight.pixels.result import Stopped
from backlight.random import Seed

_WORTH_A_COPY = 10  # steps from which making the fast copy pays for itself


@dataclass(frozen=True, eq=False, repr=False)
class AttackResult:
    """Hold what an attack found for each of B images, as the referee judged it on the untouched model.

    >>> import torch
    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> result = attack(classifier, torch.rand(4, 3, 2, 2), eps="8/255", steps=5)
    >>> result.perturbation.shape, len(result.stopped)
    (torch.Size([4, 3, 2, 2]), 4)
    """

    method: str
    threat: ThreatModel
    originals: Tensor
    images: Tensor
    """The kept pictures `[B,C,H,W]`: an allowed and fooling one wherever `success`."""
    labels: Tensor
    targets: Tensor | None
    label_before: Tensor
    """The predicted class of the original, int64 `[B]`."""
    label_after: Tensor
    success: Tensor
    distance: Tensor
    """The perturbation's size in the threat model's norm, pixel units, `[B]`."""
    margin: Tensor
    """In logits, above 0 where fooled `[B]`."""
    steps: Tensor
    forwards: Tensor
    backwards: Tensor
    zero_grads: Tensor
    stopped: tuple[str, ...]
    referee: Referee

    @property
    def perturbation(self) -> Tensor:
        """Return what was added to the originals `[B,C,H,W]`."""
        return self.images - self.originals

    @property
    def undecided(self) -> Tensor:
        """Describe where the margin is too small (1e-4) to hold on every machine: bool `[B]`."""
        return self.margin.abs() < UNDECIDED

    def __len__(self) -> int:
        return len(self.success)

    def __repr__(self) -> str:
        fooled = int(self.success.sum())
        return f"AttackResult({self.method}, {self.threat.describe()}: {fooled} of {len(self)} fooled)"


def attack(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    method: str = "pgd",
    norm: str | None = None,
    eps: float | str | None = None,
    lattice: bool = False,
    steps: int | None = None,
    step_size: float | str | None = None,
    objective: str | None = None,
    target: Target = None,
    seed: Seed = 0,
    ids: Ids = None,
) -> AttackResult:
    """Change images `[B,C,H,W]` in [0,1] a little so that the classifier errs, and judge the outcome.

    `labels` `[B]` are what must not be predicted any more, the predictions where None; with `target` (a label, a
    number, `random`, `least-likely`, or one per image) that class must be predicted. `method` is a name of
    `backlight.attack.ATTACKS`; norm, steps, step size (norm's units) and objective (`cross-entropy`, `logit`,
    `probability`, `margin`, `dlr`) default to the method's own, `eps` (pixel units, "8/255") to 8/255 in linf, 0.5
    in l2, 12 in l1, and to none for attacks that look for the nearest success. `lattice` keeps pictures to what
    an 8-bit file holds.

    Raises InputError for images, labels and targets, UsageError for options that cannot be used.

    >>> import torch
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> result = attack(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2), eps="8/255", steps=5)
    >>> bool((result.distance <= 8 / 255 + 1e-6).all())
    True
    """
    card = card_of(method)
    threat = threat_for(card, norm, eps, lattice)
    options = checked_options(card, {"steps": steps, "step_size": step_size, "objective": objective})
    fast = "steps" in card.options and options.get("steps", _WORTH_A_COPY) >= _WORTH_A_COPY
    challenge = Challenge.of(classifier, images, labels, threat=threat, target=target, seed=seed, ids=ids, fast=fast)
    return judged(challenge, method, card.function(challenge, **options))


def threat_for(card: AttackCard, norm: str | None, eps: float | str | None, lattice: bool = False) -> ThreatModel:
    """Fill in an attack's own norm and eps; raises UsageError for a norm that it does not work in.

    >>> threat_for(card_of("pgd"), None, None).describe()
    'linf 8/255 = 0.03137 in [0,1] pixels'
    """
    norm = card.norms[0] if norm is None else norm
    if norm not in card.norms:
        raise UsageError(f"{card.name} in {norm}", expected=" or ".join(card.norms))
    if eps is None and not card.minimum_norm and card.targeted != "always":
        eps = DEFAULT_EPS[norm]
    return ThreatModel(norm, eps, lattice)


def checked_options(card: AttackCard, given: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the options that are given, as numbers; raises UsageError for what the attack does not understand.

    >>> checked_options(card_of("pgd"), {"steps": 5, "step_size": "2/255", "objective": None})["step_size"] == 2 / 255
    True
    """
    options = {name: value for name, value in given.items() if value is not None}
    unknown = sorted(set(options) - card.options)
    if unknown:
        known = ", ".join(sorted(card.options)) or "no options"
        raise UsageError(f"{card.name} has no option {unknown[0]!r}", expected=known)
    if options.get("steps", 1) < 1:
        raise UsageError(f"{options['steps']} steps", expected="1 or more")
    if "objective" in options and options["objective"] not in NAMES:
        raise UsageError(f"objective {options['objective']!r}", hint=did_you_mean(options["objective"], NAMES))
    if "step_size" in options:
        options["step_size"] = parse_number(options["step_size"])
    return options


def judged(challenge: Challenge, method: str, result: Result) -> AttackResult:
    """Judge what an attack on a challenge returned, every image of it, and put it beside the originals.

    >>> from torch import nn
    >>> import torch
    >>> from backlight.attack.gradient import fgsm
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))
    >>> judged(challenge, "fgsm", fgsm(challenge))
    AttackResult(fgsm, linf 8/255 = 0.03137 in [0,1] pixels: ... of 4 fooled)
    """
    verdict = challenge.referee.judge(result.images)
    return AttackResult(
        method=method,
        threat=challenge.threat,
        originals=challenge.images,
        images=result.images,
        labels=challenge.labels,
        targets=challenge.targets,
        label_before=challenge.clean.argmax(1),
        label_after=verdict.prediction,
        success=verdict.success,
        distance=verdict.distance,
        margin=verdict.margin,
        steps=result.steps,
        forwards=result.forwards,
        backwards=result.backwards,
        zero_grads=result.zero_grads,
        stopped=tuple(Stopped(code).words for code in result.stopped.tolist()),
        referee=challenge.referee,
    )
