"""How little must change before a classifier says something else: the attacks that a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backlight.attack import Challenge, ThreatModel
from backlight.attack.adversarial import AttackResult, judged
from backlight.attack.gradient import fgsm, pgd, targeted_l2
from backlight.classifier import Classifier

EPS = 0.007
"""The bound of the best known FGSM picture (Goodfellow et al., 2015, figure 1)."""
PGD_STEPS = 10
SEARCH_STEPS = 5
LEVELS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""The bounds that are tried for the smallest one that changes an answer, in 8-bit levels."""


@dataclass(frozen=True)
class Change:
    """One class with its probability on the original and on the attacked picture.

    >>> Change("cat", 3, 0.9, 0.1).label
    'cat'
    """

    label: str
    index: int
    before: float
    after: float


@dataclass(frozen=True, eq=False, repr=False)
class Attempt:
    """What one attack did to one picture; images are [C,H,W] in [0,1] and hold whole 8-bit levels.

    `first` is what the classifier said of the original, `now` what it says of the attacked picture, `target` the
    class aimed at, None where any other would do. `distance` is in the norm's pixel units, `eps` None where nothing
    bounds it.
    """

    method: str
    original: Tensor
    image: Tensor
    norm: str
    eps: float | None
    distance: float
    steps: int
    success: bool
    first: Change
    now: Change
    target: Change | None = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """List the classes that matter here, each once: the first answer, the one now, the one aimed at."""
        found = {one.index: one for one in (self.first, self.now, self.target) if one is not None}
        return tuple(found.values())

    @property
    def perturbation(self) -> Tensor:
        """Return what was added, [C,H,W]."""
        return self.image - self.original

    @property
    def noise(self) -> Tensor:
        """Return the perturbation before it was scaled down: its largest value becomes 1, [C,H,W] in [-1,1]."""
        return self.perturbation / self.perturbation.abs().max().clamp(min=1e-12)


@dataclass(frozen=True)
class Tried:
    """One bound of the search, in 8-bit levels, and the answer under it.

    >>> Tried(0.25, "cat", False).levels
    0.25
    """

    levels: float
    answer: str
    success: bool


@dataclass(frozen=True, eq=False, repr=False)
class AttackStudy:
    """All attacks on one picture; `tried` ends with the smallest bound that changed the answer, if one did."""

    one_step: Attempt
    many_steps: Attempt
    tried: tuple[Tried, ...]
    targeted: Attempt

    @property
    def shown(self) -> tuple[Attempt, ...]:
        """List the attacks whose pictures are shown."""
        return self.one_step, self.many_steps, self.targeted

    @property
    def smallest(self) -> Tried | None:
        """Return the smallest bound tried that changed the answer."""
        return self.tried[-1] if self.tried[-1].success else None


def study_attacks(
    classifier: Classifier, search: Classifier, images: Tensor, names: Sequence[str], *, seed: int = 0
) -> list[AttackStudy]:
    """Attack images [B,C,H,W] in [0,1] that hold whole 8-bit levels, in every way that a report shows.

    `search` is the classifier or a fast copy of it; `names` key the random numbers. FGSM and PGD stay within
    `EPS`, PGD goes on after its first success; the search for the smallest bound works on exact values, the
    others on 8-bit levels. The class aimed at is drawn at random.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), size=2)
    >>> study = study_attacks(classifier, classifier, torch.rand(1, 3, 2, 2).mul(255).round() / 255, ["cat.png"])
    >>> study[0].one_step.distance <= EPS
    True
    """

    def challenge(threat: ThreatModel, target: str | None = None) -> Challenge:
        made = Challenge.of(classifier, images, threat=threat, target=target, seed=seed, ids=list(names))
        return replace(made, search=search)

    within = challenge(ThreatModel("linf", EPS, lattice=True))
    aimed = challenge(ThreatModel("l2", None, lattice=True), target="random")
    one_step = _foolings(judged(within, "fgsm", fgsm(within)), within)
    many_steps = _foolings(judged(within, "pgd", pgd(within, steps=PGD_STEPS, stop=False)), within)
    targeted = _foolings(judged(aimed, "targeted_l2", targeted_l2(aimed)), aimed)
    tried = _search(within)
    return [AttackStudy(*parts) for parts in zip(one_step, many_steps, tried, targeted, strict=True)]


def _search(within: Challenge) -> list[tuple[Tried, ...]]:
    tried: list[list[Tried]] = [[] for _ in within.images]
    left = torch.arange(len(within.images))
    for levels in LEVELS:
        here = _some(within, left, levels)
        result = judged(here, "pgd", pgd(here, steps=SEARCH_STEPS))
        for place, row in enumerate(left.tolist()):
            answer = within.classifier.label(int(result.label_after[place]))
            tried[row].append(Tried(levels, answer, bool(result.success[place])))
        left = left[~result.success.cpu()]
        if not len(left):
            break
    return [tuple(one) for one in tried]


def _some(within: Challenge, rows: Tensor, levels: float) -> Challenge:
    # The ids of a challenge that was built are the keys themselves.
    assert isinstance(within.ids, Tensor)
    return replace(
        within,
        images=within.images[rows],
        labels=within.labels[rows],
        clean=within.clean[rows],
        ids=within.ids[rows],
        threat=ThreatModel("linf", levels / 255),
    )


def _foolings(result: AttackResult, challenge: Challenge) -> list[Attempt]:
    logits = result.referee.logits(result.images, torch.arange(len(result), device=result.images.device))
    return [_fooling(result, challenge, logits, row) for row in range(len(result))]


def _fooling(result: AttackResult, challenge: Challenge, logits: Tensor, row: int) -> Attempt:
    before = challenge.clean[row].double().softmax(0)
    after = logits[row].double().softmax(0)

    def change(index: int) -> Change:
        return Change(challenge.classifier.label(index), index, float(before[index]), float(after[index]))

    return Attempt(
        method=result.method,
        original=result.originals[row].cpu(),
        image=result.images[row].cpu(),
        norm=result.threat.norm,
        eps=None if result.threat.eps is None else result.threat.size,
        distance=float(result.distance[row]),
        steps=int(result.steps[row]),
        success=bool(result.success[row]),
        first=change(int(result.label_before[row])),
        now=change(int(result.label_after[row])),
        target=None if result.targets is None else change(int(result.targets[row])),
    )
