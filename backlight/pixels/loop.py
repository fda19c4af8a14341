"""The loop that changes pixels.

One turn: look once at one point per image, judge it, let finished images leave, move the rest. A rule never
sees the model and a measure never sees the rule: only this file brings them together. Searches around it
(restarts, targets, constants) are plain `for` loops that merge results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.chunks import Chunk
from backlight.core.errors import InputError
from backlight.pixels.constraints import Constraint
from backlight.pixels.describe import brief
from backlight.pixels.look import Look, look_at
from backlight.pixels.measure import Measure
from backlight.pixels.parametrizations import Parametrization
from backlight.pixels.problem import Keep, Problem, RandomKey
from backlight.pixels.result import Result, Stopped, better
from backlight.pixels.rule import Observation, Rule
from backlight.pixels.run import Run
from backlight.pixels.transforms import Transforms
from backlight.pixels.view import guarded


def optimize(
    classifier: Classifier | None,
    objective: Measure,
    parametrization: Parametrization,
    rule: Rule,
    *,
    steps: int,
    constraint: Constraint | None = None,
    transforms: Transforms | None = None,
    success: Measure | None = None,
    stop: Measure | None = None,
    keep: Keep = "best",
    random: RandomKey = (0, None),
    after: Result | None = None,
    rows: Tensor | None = None,
    chunk: int | Chunk | None = None,
    watch: Callable[[Run], None] | None = None,
) -> Result:
    """Climb an objective by changing pictures, and keep per image the best picture looked at.

    Arguments are those of `turns`. With `after`, an earlier result of the same batch, only images without
    success run (unless `rows` says which), and each keeps the better of both. `watch` is shown the run after every
    turn; what it raises ends the work.

    >>> from torch import nn
    >>> from backlight.pixels import Ball, Box, Pixels, Sign, cross_entropy, misclassified
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> classifier = Classifier.from_module(net, size=2)
    >>> x = torch.rand(4, 3, 2, 2)
    >>> y = classifier.logits(x).argmax(1)
    >>> fooled = misclassified(y)
    >>> result = optimize(classifier, cross_entropy(y), Pixels(x), Sign(0.1), steps=3,
    ...                   constraint=Ball("linf", x, 0.3) & Box(), success=fooled, stop=fooled)
    >>> bool((result.images - x).abs().max() <= 0.3 + 1e-6)
    True
    """
    if after is not None and rows is None:
        rows = ~after.success
    with guarded(classifier):
        for run in turns(
            classifier,
            objective,
            parametrization,
            rule,
            steps=steps,
            constraint=constraint,
            transforms=transforms,
            success=success,
            stop=stop,
            keep=keep,
            random=random,
            rows=rows,
            chunk=chunk,
        ):
            result = run.result
            if watch is not None:
                watch(run)
    return result if after is None else after.merge(result)


def turns(
    classifier: Classifier | None,
    objective: Measure,
    parametrization: Parametrization,
    rule: Rule,
    *,
    steps: int,
    constraint: Constraint | None = None,
    transforms: Transforms | None = None,
    success: Measure | None = None,
    stop: Measure | None = None,
    keep: Keep = "best",
    random: RandomKey = (0, None),
    rows: Tensor | None = None,
    chunk: int | Chunk | None = None,
    run: Run | None = None,
) -> Iterator[Run]:
    """Yield the run before the first look and after every turn, so anyone can watch, time, save or stop it.

    The classifier is None where no measure reads it. `success` says which pictures are answers, `stop` which
    images may leave, `keep` which picture stays: "best" (by the objective), "last", or by a measure; an answer
    always beats a picture that is none. `random` is a seed and the images' ids, whose places in the batch
    serve for None: pass ids wherever the batch is a part of a data set. `rows` (bool `[B]` or places) limits
    the run to some images. `chunk` bounds how many are looked at together, by default to
    what suits the machine. Give a saved `run` to go on from it.

    The same `Run` is yielded each time and changes from turn to turn.

    Raises UsageError for parts that do not go together and InputError for unusable values, before any work.

    >>> from backlight.pixels import Pixels, SGD, distance
    >>> gray = torch.full((1, 3, 2, 2), 0.5)
    >>> darker = -distance(torch.zeros(1, 3, 2, 2), squared=True)
    >>> for run in turns(None, darker, Pixels(gray), SGD(0.25), steps=2):
    ...     print(run.t, [round(value, 3) for value in run.result.value.tolist()])
    0 [nan]
    1 [-3.0]
    2 [-0.75]
    2 [-0.188]
    """
    problem = Problem(
        classifier, objective, parametrization, rule, steps, constraint, transforms, success, stop, keep, random
    )
    run = _begin(problem, rows) if run is None else _resume(problem, run)
    size = Chunk.fitting(run.result.images) if chunk is None else Chunk.of(chunk)
    return _turns(problem, run, size)


def _turns(problem: Problem, run: Run, size: Chunk) -> Iterator[Run]:
    # No context may be held across a yield: the caller's own grad mode would be lost in between.
    yield run
    while len(run.rows):
        with torch.inference_mode(False), torch.no_grad(), guarded(problem.classifier):
            _take_turn(problem, run, size)
        yield run


def _begin(problem: Problem, rows: Tensor | None) -> Run:
    """Choose start points for some rows of the batch, and open an empty result for all of it."""
    with torch.inference_mode(False), torch.no_grad():
        count = len(problem.ids)
        places = _places(rows, count)
        if problem.classifier is not None:
            places = places.to(problem.classifier.device)
        params = problem.parametrization.start(places, problem.draws("start", places))
        places = places.to(params.device)
        params = problem.projection(places, 0)(params)
        first = problem.parametrization.images(params, places)
        result = Result.blank(first.new_zeros(count, *first.shape[1:]))
        result.images[places] = first
        result.stopped[places] = Stopped.RUNNING
        return Run(0, places, params, problem.rule.init(params, places), result, problem.fingerprint)


def _places(rows: Tensor | None, count: int) -> Tensor:
    if rows is None:
        return torch.arange(count)
    places = rows.nonzero()[:, 0] if rows.dtype == torch.bool and len(rows) == count else rows
    inside = places.ndim == 1 and not places.is_floating_point() and places.dtype != torch.bool
    if not inside or not bool(((places >= 0) & (places < count)).all()) or len(places.unique()) < len(places):
        raise InputError(f"rows {brief(rows)}", expected=f"bool [{count}], or places below {count}, each once")
    return places.long()


def _resume(problem: Problem, run: Run) -> Run:
    if run.fingerprint() != problem.fingerprint():
        raise InputError(
            "the saved run belongs to another problem",
            expected="the same pictures, measures, rule, constraint, steps, seed and weights",
        )
    return run


def _take_turn(problem: Problem, run: Run, size: Chunk) -> None:
    look = look_at(problem, run.params, run.rows, run.t, size)
    sound = _record(run, look)
    why = torch.full_like(run.rows, Stopped.STEPS if run.t == problem.steps else Stopped.RUNNING)
    why[~sound] = Stopped.NON_FINITE
    why[~look.well_defined] = Stopped.UNDEFINED
    why[look.finite & look.stop] = Stopped.STOPPED
    here = why == Stopped.RUNNING
    run.leave(~here, why)
    if len(run.rows):
        _move(problem, run, look if bool(here.all()) else look.take(here))


def _record(run: Run, look: Look) -> Tensor:
    """Keep what was looked at where it is better, count costs, and tell where a next step makes sense."""
    kept, rows, finite, slope = run.result, run.rows, look.finite, look.largest_slope
    if slope is not None:
        kept.zero_grads[rows] += look.finite & look.well_defined & ((slope == 0) | ~slope.isfinite())
    kept.steps[rows] = run.t
    kept.forwards[rows] += look.forwards
    kept.backwards[rows] += look.backwards
    best = finite & better(look.success, look.score, kept.success[rows], kept.score[rows])
    places = rows[best]
    # Where all are better, picking them would only copy the pictures once more.
    kept.images[places] = look.images if len(places) == len(rows) else look.images[best]
    kept.value[places] = look.clean[best].to(kept.value.dtype)
    kept.score[places] = look.score[best].to(kept.score.dtype)
    kept.success[places] = look.success[best]
    return finite if slope is None else finite & slope.isfinite()


def _move(problem: Problem, run: Run, look: Look) -> None:
    project = problem.projection(run.rows, run.t)
    random = problem.draws("turn", run.rows, run.t)
    seen = Observation(run.t, problem.steps, run.params, look.value, look.grad, look.success, random, project)
    move = problem.rule.step(run.state, seen)
    run.t, run.params, run.state = run.t + 1, project(move.params), move.state
    if move.done is not None or move.diverged is not None:
        nobody = torch.zeros_like(look.success)
        done, diverged = (nobody if one is None else one for one in (move.done, move.diverged))
        why = torch.where(diverged, int(Stopped.DIVERGED), torch.full_like(run.rows, Stopped.CONVERGED))
        run.leave(done | diverged, why)
