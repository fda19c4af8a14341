"""A challenge: images, a threat model, the model to fool and who judges. Attacks are functions of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from backlight.attack.claims import Search, Within, confirmed, confirmed_nearest
from backlight.attack.referee import Referee, judge_logits
from backlight.attack.threat import ThreatModel
from backlight.classifier import Classifier
from backlight.classifier.heads import well_defined
from backlight.classifier.targets import Target, resolve_targets
from backlight.core.chunks import Chunk
from backlight.core.errors import InputError
from backlight.core.random import Random, Seed, hash_ids
from backlight.pixels import Measure, Result, Rule, Stopped, distance, misclassified, predicted
from backlight.pixels.parametrizations import LEVELS, Parametrization, Pixels, round_towards
from backlight.pixels.run import Run
from backlight.pixels.starts import Start
from backlight.pixels.transforms import Transforms

Ids = Tensor | Sequence[int] | Sequence[str] | None
"""The images' names, which key their random numbers; None for their places in the batch."""


@dataclass(frozen=True, eq=False, repr=False)
class Challenge:
    """Hold all that an attack needs and does not choose; build one with `Challenge.of`.

    `classifier` judges, `search` is what attacks look at (the same, or its fast copy). `clean` are the
    originals' logits `[B,K]`. An attack is a function of a challenge that returns a `Result` in which every
    success is confirmed by the referee.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> challenge = Challenge.of(Classifier.from_module(net, size=2), torch.rand(4, 3, 2, 2))
    >>> challenge.begin()
    Result(4 images, 0 successes; 4 not run)
    """

    classifier: Classifier
    images: Tensor
    labels: Tensor
    threat: ThreatModel
    clean: Tensor
    search: Classifier
    targets: Tensor | None = None
    seed: Seed = 0
    ids: Ids = None
    watch: Callable[[Run], None] | None = None
    """Shown every turn of every search; what it raises ends the attack."""

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        images: Tensor,
        labels: Tensor | None = None,
        *,
        threat: ThreatModel | None = None,
        target: Target = None,
        seed: Seed = 0,
        ids: Ids = None,
        fast: bool = False,
        watch: Callable[[Run], None] | None = None,
    ) -> Challenge:
        """Check everything before any long work, look once at the originals, and settle labels and targets.

        `images` are `[B,C,H,W]` in [0,1]; `labels` int64 `[B]`, the predictions where None. `target` is a label, a
        number, `random`, `least-likely`, one of these per image, or None for any wrong class. `fast` searches
        on a private faster copy.

        Raises InputError for images, labels or targets that cannot be used, and for a target that is the label.
        """
        threat = (threat or ThreatModel()).seen_by(classifier)
        if classifier.multilabel:
            raise InputError(
                f"{classifier.name} answers a question per label",
                expected="one question to attack",
                hint="classifier.question(LABEL), or attack(..., target=LABEL)",
            )
        with torch.inference_mode(False), torch.no_grad():
            images = classifier.check(images).clone().clamp(0, 1)
            # Searches compute in the logits' precision, and would meet pictures of another.
            images = images.double() if classifier.dtype == torch.float64 else images
            threat.mask_of(images)
            clean = judge_logits(classifier, images)
            predictions = clean.argmax(1)
            labels = predictions if labels is None else _checked_labels(labels, clean)
            keys = hash_ids(list(range(len(images))) if ids is None else ids)
            if len(keys) != len(images):
                raise InputError(f"{len(keys)} ids for {len(images)} images", expected="one id per image")
            targets = (
                None if target is None else _targets(classifier, clean, labels, target, Random((seed, "target"), keys))
            )
        search = classifier.fast() if fast else classifier
        return cls(classifier, images, labels, threat, clean, search, targets, seed, keys, watch)

    @cached_property
    def referee(self) -> Referee:
        """Return who decides: the untouched classifier."""
        return Referee(self.classifier, self.images, self.labels, self.threat, self.targets, self.clean)

    @cached_property
    def chunk(self) -> Chunk:
        """Bound how many images are looked at together; the size that fits in memory is remembered."""
        return Chunk.fitting(self.images)

    @property
    def classes(self) -> int:
        """Count the classes."""
        return self.clean.shape[1]

    @property
    def fooled(self) -> Measure:
        """Return the measure of what the attacker wants: another class than the label, or the target."""
        return misclassified(self.labels) if self.targets is None else predicted(self.targets)

    def begin(self) -> Result:
        """Return the result before any attack: originals, which are successes where the model is not right already."""
        blank = Result.blank(self.images)
        wrong = self.clean.argmax(1) != self.labels if self.targets is None else self.clean.argmax(1) == self.targets
        # Where there is no prediction nothing is right, so nothing is left to attack.
        known = well_defined(self.clean)
        stopped = torch.where(wrong, Stopped.STOPPED.value, Stopped.NOT_RUN.value)
        stopped = torch.where(known, stopped, Stopped.UNDEFINED.value)
        return replace(blank, images=self.images.clone(), success=wrong | ~known, stopped=stopped)

    def claim(self, found: Result | Tensor) -> Result:
        """Judge what a foreign attack returned, a result or pictures `[B,C,H,W]` alone, every image of it.

        Pictures alone are rounded to 8 bits, towards the originals, where the threat model asks for such. Pictures that
        are not allowed get no score, so that merging with what stood before drops them.

        Raises InputError for pictures of another shape, and for anything else.
        """
        images = found if isinstance(found, Tensor) else getattr(found, "images", None)
        if not isinstance(images, Tensor) or images.shape != self.images.shape:
            seen = type(found).__name__ if images is None else list(images.shape)
            raise InputError(f"an attack returned {seen}", expected=f"a Result, or pictures {list(self.images.shape)}")
        with torch.no_grad():
            images = images.detach().to(self.images)
            if self.threat.lattice and isinstance(found, Tensor):
                images = round_towards(images, self.images) / LEVELS
            verdict = self.referee.judge(images)
        result = found if isinstance(found, Result) else self._looked_at(images)
        score = torch.where(verdict.inside, result.score.to(images), -torch.inf)
        return replace(result, images=images, success=verdict.success, score=score)

    def _looked_at(self, images: Tensor) -> Result:
        stopped = torch.full((len(images),), Stopped.STEPS.value, device=images.device)
        return replace(Result.blank(images), score=torch.zeros_like(images[:, 0, 0, 0]), stopped=stopped)

    def unbounded(self) -> Challenge:
        """Return the same challenge without eps, for attacks that look for the nearest success."""
        return replace(self, threat=replace(self.threat, eps=None))

    def searching(self, search: Classifier) -> Challenge:
        """Return the same challenge with another model for attacks to look at; the judge stays."""
        return replace(self, search=search)

    def rivals(self, count: int) -> Tensor:
        """List per image the most likely classes other than the label, most likely first: int64 `[B,n]`.

        There are at most `count`; with targets only the target.
        """
        if self.targets is not None:
            return self.targets[:, None]
        others = self.clean.scatter(1, self.labels[:, None], -torch.inf)
        return others.sort(1, descending=True).indices[:, : min(count, self.classes - 1)]

    def pixels(self, start: Start | None = None) -> Pixels:
        """Return what is moved: the originals' pixels, or those of the 8-bit lattice, from `start` near them."""
        return self.threat.pixels(self.images, start)

    def climb(
        self,
        objective: Measure,
        rule: Rule,
        *,
        steps: int,
        stream: Seed,
        moved: Parametrization | None = None,
        after: Result | None = None,
        stop: bool = True,
        transforms: Transforms | None = None,
        within: Within | None = None,
    ) -> Result:
        """Climb an objective inside the threat model, and merge with `after`.

        Only images without success in `after` run; each leaves at its first success, unless `stop` is false.
        `stream` keys the random numbers of this climb. `moved` is what changes, by default pixels from the originals;
        `within` says which pictures are allowed where no projection does.
        """
        fooled = self.fooled if within is None else self.fooled & within.allowed
        moved = self.pixels() if moved is None else moved
        search = Search(
            self.search,
            objective,
            moved,
            rule,
            steps,
            constraint=self.threat.constraint(self.images) if moved.pixels else None,
            transforms=transforms,
            success=fooled,
            stop=fooled if stop else None,
            keep="best" if within is None else within.keep,
            random=((self.seed, stream), self.ids),
            chunk=self.chunk,
            watch=self.watch,
        )
        before = self.begin() if after is None else after
        return before.merge(confirmed(search, self.referee, ~before.success))

    def approach(
        self,
        objective: Measure,
        rule: Rule,
        *,
        steps: int,
        stream: Seed,
        moved: Parametrization | None = None,
        after: Result | None = None,
        first: bool = False,
    ) -> Result:
        """Look for the nearest success in the threat model's norm, the box and the mask, and merge with `after`.

        `moved` is what changes, by default pixels from the originals. Where the threat model has an eps, images
        leave once a success within it is found; without one every image goes on to the end, or with `first` to
        its first success.
        """
        far, bounded = distance(self.threat.centers(self.images), self.threat.norm), self.threat.eps is not None
        near_enough = self.fooled & (far <= self.threat.size)
        moved = self.pixels() if moved is None else moved
        search = Search(
            self.search,
            objective,
            moved,
            rule,
            steps,
            constraint=self.threat.limits(self.images) if moved.pixels else None,
            success=self.fooled,
            stop=near_enough if bounded or first else None,
            keep=-far,
            random=((self.seed, stream), self.ids),
            chunk=self.chunk,
            watch=self.watch,
        )
        before = self.begin() if after is None else after
        rows = ~before.success if bounded else ~self.begin().success
        return before.merge(confirmed_nearest(search, self.referee, rows))


def _checked_labels(labels: Tensor, clean: Tensor) -> Tensor:
    count, classes = clean.shape
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.dtype == torch.bool:
        raise InputError("labels are no integers", expected="an int64 tensor [B] of class indices")
    if labels.shape != (count,):
        raise InputError(f"labels of shape {list(labels.shape)} for {count} images", expected=f"[{count}]")
    if count and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        found = f"labels range from {int(labels.min())} to {int(labels.max())}"
        raise InputError(found, expected=f"0 to {classes - 1}")
    return labels.clone().long().to(clean.device)


def _targets(classifier: Classifier, clean: Tensor, labels: Tensor, target: Target, random: Random) -> Tensor:
    # The least likely class other than the label: on an image that is far off, the label itself is the least.
    logits = clean.scatter(1, labels[:, None], torch.inf) if target == "least-likely" else clean
    targets = resolve_targets(classifier, logits, target, random=random, avoid=labels)
    same = (targets == labels).nonzero()[:, 0].tolist()
    if same:
        raise InputError(f"the target is the label for images {same[:5]}", expected="another class")
    return targets
