"""One call that attacks images and says, per image, what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from torch import Tensor

from backlight.attack.challenge import Challenge, Ids
from backlight.attack.choosing import Attack, ChosenAttack, choose_attack
from backlight.attack.objectives import Objective
from backlight.attack.referee import UNDECIDED, Referee
from backlight.attack.threat import ThreatModel
from backlight.classifier import Classifier
from backlight.classifier.heads import predicted_classes
from backlight.classifier.targets import Target
from backlight.core.display import Displayed
from backlight.core.random import Seed
from backlight.pixels import Result
from backlight.pixels.result import Stopped
from backlight.pixels.run import Run
from backlight.table import Table
from backlight.table.statistics import wilson

_WORTH_A_COPY = 10  # steps from which making the fast copy pays for itself


@dataclass(frozen=True, eq=False, repr=False)
class AttackResult(Displayed):
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
    """The predicted class of the original, int64 `[B]`, -1 where none is well defined; so is `label_after`."""
    label_after: Tensor
    success: Tensor
    distance: Tensor
    """The perturbation's size in the threat model's norm, pixel units, `[B]`."""
    margin: Tensor
    """The label minus the best other, or the best other minus the target, below 0 where fooled: in logits `[B]`."""
    steps: Tensor
    forwards: Tensor
    backwards: Tensor
    zero_grads: Tensor
    stopped: tuple[str, ...]
    referee: Referee
    stands_in_for: str = ""
    """The published attack that the method only approximates, empty for all others."""

    @property
    def perturbation(self) -> Tensor:
        """Return what was added to the originals `[B,C,H,W]`."""
        return self.images - self.originals

    @property
    def changed_pixels(self) -> Tensor:
        """Count the pixels of which any channel changed, int64 `[B]`."""
        return self.threat.changed_pixels(self.images, self.originals)

    @property
    def undecided(self) -> Tensor:
        """Describe where the margin is too small (1e-4) to hold on every machine: bool `[B]`."""
        return self.margin.abs() < UNDECIDED

    @property
    def blind(self) -> Tensor:
        """Describe where no answer was found and gradients were zero all over or no numbers: bool `[B]`.

        Such a picture may be easy to fool all the same.
        """
        return (self.zero_grads > 0) & ~self.success

    def summary_table(self) -> Table:
        """Return in a row the share of images that were fooled with its 95% interval, and their median distance."""
        return attack_summary(self.method, self.threat, self.success.tolist(), self.distance.tolist())

    def __len__(self) -> int:
        return len(self.success)

    def __repr__(self) -> str:
        fooled = int(self.success.sum())
        blind = int(self.blind.sum())
        doubt = f"; gradients of {blind} others were zero all over or no numbers" if blind else ""
        name = f"{self.method} for {self.stands_in_for}" if self.stands_in_for else self.method
        return f"AttackResult({name}, {self.threat.describe()}: {fooled} of {len(self)} fooled{doubt})"


def attack_summary(method: str, threat: ThreatModel, success: Sequence[bool], distance: Sequence[float]) -> Table:
    """Return in a row what share of images was fooled, with its 95% interval `from` and `to`, and how far away.

    `median_distance` is that of the fooled ones, missing where there are none. Raises DataError without images.

    >>> attack_summary("pgd", ThreatModel(), [True, False, True], [0.01, 0.03, 0.02]).rows()[0]["median_distance"]
    0.015
    """
    low, high = wilson(sum(success), len(success))
    far = [size for size, fooled in zip(distance, success, strict=True) if fooled]
    bound = None if threat.eps is None else threat.text(threat.size)
    row = {"attack": method, "norm": threat.norm, "bound": bound, "eps": threat.eps, "n": len(success)}
    row |= {"fooled": sum(success) / len(success), "from": low, "to": high}
    return Table.numbered(
        {name: [value] for name, value in (row | {"median_distance": median(far) if far else None}).items()}
    )


def attack(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    method: Attack = "pgd",
    norm: str | None = None,
    eps: float | str | None = None,
    lattice: bool = False,
    steps: int | None = None,
    step_size: float | str | None = None,
    objective: Objective | None = None,
    target: Target = None,
    seed: Seed = 0,
    ids: Ids = None,
    watch: Callable[[Run], None] | None = None,
    search: Classifier | None = None,
    **options: Any,
) -> AttackResult:
    """Change images `[B,C,H,W]` in [0,1] a little so that the classifier errs, and judge the outcome.

    `labels` `[B]` are what must not be predicted any more, the predictions where None; with `target` (a label, a
    number, `random`, `least-likely`, or one per image) that class must be predicted. `method` is a name of
    `backlight.attack.ATTACKS`, with options as `pgd:restarts=5`, a card, or a function of a challenge; norm, steps,
    step size (norm's units), objective (`cross-entropy`, `logit`, `probability`, `margin`, `dlr`, or a function of
    logits and classes) and further `options` default to the method's own, `eps` (pixel units, "8/255") to 8/255 in
    linf, 0.5 in l2, 12 in l1, and to none for attacks that look for the nearest success. `lattice` keeps pictures to
    what an 8-bit file holds. Of a multi-label classifier `target` is the label whose answer shall change, as in
    `classifier.question`. `watch` is shown the run after every turn of every search. Attacks of many steps search on a
    private `classifier.fast()`; who attacks often makes it once and hands it in as `search`.

    Raises InputError for images, labels and targets, UsageError for options that cannot be used.

    >>> import torch
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> result = attack(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2), eps="8/255", steps=5)
    >>> bool((result.distance <= 8 / 255 + 1e-6).all())
    True
    """
    beside = {"steps": steps, "step_size": step_size, "objective": objective, **options}
    if classifier.multilabel and isinstance(target, str | int):
        search = None if search is None else search.question(target)
        classifier, target = classifier.question(target), None
    chosen = choose_attack(method, norm=norm, eps=eps, target=target, lattice=lattice, **beside)
    fast = _is_worth_a_copy(chosen)
    challenge = Challenge.of(
        classifier,
        images,
        labels,
        threat=chosen.threat,
        target=chosen.target,
        seed=seed,
        ids=ids,
        fast=fast and search is None,
        watch=watch,
    )
    challenge = challenge.searching(search) if fast and search is not None else challenge
    found = chosen.card.run(challenge, **chosen.options)
    return replace(judged(challenge, chosen.label, found), stands_in_for=chosen.card.stands_in_for)


def _is_worth_a_copy(chosen: ChosenAttack) -> bool:
    looks = next((name for name in ("steps", "queries") if name in chosen.card.options), None)
    return looks is not None and bool(chosen.options.get(looks, _WORTH_A_COPY) >= _WORTH_A_COPY)


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
        label_before=predicted_classes(challenge.clean),
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
