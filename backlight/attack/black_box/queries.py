"""Queries of many pictures, answered in full batches: each picture is a state machine of its own, a walk.

A walk is a generator: it yields pictures to be looked at, is handed what the model says of them, and goes on until
it ends or its budget is spent. It sees no gradient and no other picture, so no result depends on the batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.attack.claims import stretched
from backlight.classifier.heads import predicted_classes
from backlight.classifier.recording import LOGITS
from backlight.core.chunks import in_chunks
from backlight.core.errors import UsageError
from backlight.core.random import Random, Seed
from backlight.pixels import Result
from backlight.pixels.result import Stopped, better
from backlight.pixels.run import Run
from backlight.pixels.view import guarded


class Answers(NamedTuple):
    """What the model says of the n pictures that a walk asked about."""

    images: Tensor
    """The pictures as they were shown `[n,C,H,W]`: in the box and the mask, and on the 8-bit lattice where asked."""
    fooled: Tensor
    """Bool `[n]`: all that an attack by decisions may read."""
    gain: Tensor
    """How far each is on the attacker's side, in logits `[n]`, above 0 where fooled."""
    left: int
    """How many queries the walk has left."""


Walk = Generator[Tensor, Answers, None]
"""Yields pictures `[n,C,H,W]`, is sent their `Answers`."""


@dataclass(frozen=True, eq=False, repr=False)
class Place:
    """Where one walk begins: all that it knows about its picture.

    >>> place = Place(torch.zeros(3, 2, 2), "linf", 0.1, torch.tensor(-1.0), 100, (0, "mine"), torch.tensor([7]))
    >>> place.random(3).sign(4).shape
    torch.Size([1, 4])
    """

    original: Tensor
    """`[C,H,W]`."""
    norm: str
    eps: float
    gain: Tensor
    """That of the original."""
    queries: int
    seed: Seed
    ids: Tensor
    """The key of the picture, int64 `[1]`."""
    mask: Tensor | None = None
    """What may change, bool `[C,H,W]`; None for everything."""
    project: Callable[[Tensor], Tensor] = lambda pictures: pictures
    """Bring pictures `[n,C,H,W]` into the threat model."""
    _last: dict[Hashable, tuple[Tensor, ...]] = field(default_factory=dict, init=False)

    def random(self, turn: int = 0) -> Random:
        """Return the random numbers of a turn, keyed by the picture alone; each draw is `[1, ...]`."""
        return Random(self.seed, self.ids, turn)

    def once(self, name: Hashable, make: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Make tensors that follow from the place and a name alone, and hold them until another name is asked for."""
        if name not in self._last:
            self._last.clear()
            self._last[name] = make()
        return self._last[name]

    def span(self, pictures: Tensor) -> Tensor:
        """Flatten changes from the original `[n,C,H,W]` to `[n,d]`."""
        return (pictures - self.original).flatten(1)


def ask(
    challenge: Challenge,
    name: str,
    walk: Callable[[Place], Walk],
    *,
    queries: int,
    nearest: bool = False,
    after: Result | None = None,
) -> Result:
    """Walk from every image that `after` leaves, at most `queries` looks each, and merge with it.

    An image leaves at its first success within eps. With `nearest` the fooled picture with the smallest change is kept,
    and without an eps every image uses up its budget; otherwise the picture with the largest gain in the ball is.

    Raises UsageError for a budget below 1.

    >>> from backlight.testing import small_challenge
    >>> def ends(place):
    ...     yield torch.stack([1 - place.original, place.original])
    >>> ask(small_challenge(), "ends", ends, queries=10).forwards
    tensor([2, 2, 2, 2])
    """
    if queries < 1:
        raise UsageError(f"{name}:queries={queries}", expected="1 or more")
    before = challenge.begin() if after is None else after
    bounded = challenge.threat.eps is not None
    rows = ~(before if bounded else challenge.begin()).success
    with torch.inference_mode(False), torch.no_grad(), guarded(challenge.search):
        pool = _Pool(challenge, (challenge.seed, name), queries, nearest)
        pool.run(walk, rows.nonzero()[:, 0].tolist())
    found = pool.result
    if nearest:
        free = challenge.unbounded()
        found = stretched(found, free.referee.confirm(found), free.referee)
    return before.merge(challenge.referee.confirm(found))


class _Pool:
    """The walks under way, and what was found so far."""

    def __init__(self, challenge: Challenge, seed: Seed, queries: int, nearest: bool) -> None:
        self.challenge, self.seed, self.queries, self.nearest = challenge, seed, queries, nearest
        self.result = Result.blank(challenge.images)
        self.device, self.walks = challenge.images.device, dict[int, Walk]()
        self.limits = challenge.threat.limits(challenge.images)
        self.ball = challenge.threat.constraint(challenge.images)
        self.pixels = challenge.threat.pixels(challenge.images)
        self.mask = challenge.threat.mask_of(challenge.images)
        # What is known of the originals costs no query.
        self.clean = -challenge.referee.margin(challenge.clean, torch.arange(len(self.result), device=self.device))

    def run(self, walk: Callable[[Place], Walk], rows: list[int]) -> None:
        """Take walks in turn until a batch is full, look at it, hand out the answers, go on with the next ones."""
        self.walks = {row: walk(self._place(row)) for row in rows}
        for row in rows:
            self.result.stopped[row] = Stopped.RUNNING
        waiting: deque[tuple[int, Answers | None]] = deque((row, None) for row in rows)
        while waiting:
            asked: dict[int, Tensor] = {}
            count = 0
            while waiting and count < self.challenge.chunk.size:
                row, answers = waiting.popleft()
                pictures = self._advance(row, answers)
                if pictures is not None:
                    asked[row] = pictures
                    count += len(pictures)
            if asked:
                waiting.extend(self._answer(asked))
                self._show()

    def _place(self, row: int) -> Place:
        threat, rows = self.challenge.threat, torch.tensor([row], device=self.device)

        def project(pictures: Tensor) -> Tensor:
            return self.ball.project(pictures, rows.expand(len(pictures)), 0)

        original = self.challenge.images[row].contiguous()
        ids = torch.as_tensor(self.challenge.ids)[row : row + 1].to(self.device)
        mask = None if self.mask is None else self.mask[row]
        return Place(original, threat.norm, threat.size, self.clean[row], self.queries, self.seed, ids, mask, project)

    def _advance(self, row: int, answers: Answers | None) -> Tensor | None:
        """Let a walk go on to its next question; None where it has ended."""
        try:
            pictures = next(self.walks[row]) if answers is None else self.walks[row].send(answers)
        except StopIteration:
            self._end(row, Stopped.CONVERGED)
            return None
        return pictures[: self.queries - int(self.result.forwards[row])]

    def _end(self, row: int, why: Stopped) -> None:
        self.result.stopped[row] = why
        self.walks.pop(row).close()

    def _answer(self, asked: dict[int, Tensor]) -> Iterator[tuple[int, Answers]]:
        """Look at pictures of several walks, keep the best of each, and yield the answers of those that go on."""
        counts = [len(pictures) for pictures in asked.values()]
        rows = torch.tensor(list(asked), device=self.device).repeat_interleave(torch.tensor(counts, device=self.device))
        looking = _Looking(self, torch.cat(list(asked.values())), rows)
        looks = in_chunks(looking, len(rows), self.challenge.chunk)
        images, fooled, gain, defined = (torch.cat(parts) for parts in zip(*looks))
        success, score, inside = self._judge(images, rows, fooled, gain)
        answer, sound = (fooled & inside).tolist(), defined.tolist()
        ranks = list(zip(success.tolist(), score.tolist()))
        end = 0
        for row, count in zip(asked, counts):
            part = slice(end, end + count)
            end = part.stop
            self.result.forwards[row] += count
            self.result.steps[row] += 1
            self._keep(row, max(range(part.start, part.stop), key=ranks.__getitem__), images, success, score, gain)
            left = self.queries - int(self.result.forwards[row])
            if not all(sound[part]):
                self._end(row, Stopped.UNDEFINED)
            elif any(answer[part]) and self._answered(row):
                self._end(row, Stopped.STOPPED)
            elif left <= 0:
                self._end(row, Stopped.STEPS)
            else:
                yield row, Answers(images[part], fooled[part], gain[part], left)

    def _judge(self, images: Tensor, rows: Tensor, fooled: Tensor, gain: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return which pictures are answers, how good they are, and which are in the threat model."""
        threat, originals = self.challenge.threat, self.challenge.images[rows]
        far = threat.distance(images, originals)
        none = torch.full_like(gain, -torch.inf)
        if self.nearest and threat.eps is None:  # nobody asks: what was shown is in the box and the mask
            return fooled, torch.where(fooled, -far.to(gain), none), fooled
        mask = None if self.mask is None else self.mask[rows]
        inside = threat.inside(images, originals, mask, distance=far)
        if self.nearest:
            return fooled, torch.where(fooled, -far.to(gain), none), inside
        return fooled & inside, torch.where(inside, gain, none), inside

    def _keep(self, row: int, at: int, images: Tensor, success: Tensor, score: Tensor, gain: Tensor) -> None:
        found = self.result
        if bool(better(success[at], score[at].to(found.score), found.success[row], found.score[row])):
            found.images[row], found.success[row] = images[at].to(found.images), success[at]
            found.score[row], found.value[row] = score[at], gain[at]

    def _answered(self, row: int) -> bool:
        """Whether an image may leave: it is fooled within eps, and the referee agrees; else the claim is none."""
        if self.challenge.threat.eps is None:
            return False
        one = torch.tensor([row], device=self.device)
        if bool(self.challenge.referee.judge(self.result.images[one], one).success):
            return True
        if not self.nearest:
            self.result.success[row], self.result.score[row] = False, -torch.inf
        return False

    def _show(self) -> None:
        if self.challenge.watch is not None:
            rows = torch.tensor(list(self.walks), dtype=torch.int64, device=self.device)
            turn = int(self.result.steps.max())
            self.challenge.watch(Run(turn, rows, self.result.images[rows], {}, self.result, str))


@dataclass(frozen=True, eq=False, repr=False)
class _Looking:
    """Look at one part of some pictures; free to start over with a smaller one."""

    pool: _Pool
    pictures: Tensor
    rows: Tensor

    def __call__(self, part: slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        pool, rows = self.pool, self.rows[part]
        shown = pool.pixels.images(pool.limits.project(self.pictures[part], rows, 0), rows)
        logits = pool.challenge.search.record(shown, (LOGITS,))[LOGITS]
        prediction, referee = predicted_classes(logits), pool.challenge.referee
        return shown, referee.fooled(prediction, rows), -referee.margin(logits, rows), prediction >= 0
