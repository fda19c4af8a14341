"""The loop against written-out loops, its query law, its verdicts, and the traps met before."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.pixels import (
    SGD,
    Ball,
    Box,
    Jitter,
    Lattice,
    Measure,
    Observation,
    Pixels,
    Result,
    Rule,
    Sign,
    Stopped,
    Uniform,
    Update,
    cross_entropy,
    distance,
    logit,
    margin,
    misclassified,
    optimize,
    predicted,
    turns,
)
from backlight.pixels.rule import State
from backlight.testing import CALLERS, caller, small_net, unchanged
from tests.pixels.problems import classifier_of, convolutional, linear, mixed_labels, pictures, plain_pgd

EPSILON, SIZE = 16 / 255, 4 / 255


def pgd(classifier: Classifier, x: Tensor, y: Tensor, steps: int = 6, **options: object) -> Result:
    fooled = misclassified(y)
    parts: dict = {"success": fooled, "stop": fooled, "constraint": Ball("linf", x, EPSILON) & Box()} | options
    return optimize(classifier, cross_entropy(y), Pixels(x, Uniform("linf", EPSILON)), Sign(SIZE), steps=steps, **parts)


@pytest.mark.promises
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_plain_pgd_gives_the_same_pixels(dtype: torch.dtype) -> None:
    classifier, x = classifier_of(dtype=dtype), pictures(dtype=dtype)
    y = mixed_labels(classifier, x)
    ours = pgd(classifier, x, y, success=None, stop=None, keep="last")
    assert torch.equal(ours.images, plain_pgd(classifier, x, y, EPSILON, SIZE, 6))


def test_two_class_linear_model_falls_exactly_where_it_must() -> None:
    # The largest drop of the margin in the ball and box is the sum of |w| min(eps, room): sign steps reach it.
    weights = pictures(2, torch.float64).flatten(1) - 0.5
    classifier = linear(weights, torch.zeros(2, dtype=torch.float64))
    x = pictures(40, torch.float64)
    y = classifier.logits(x).argmax(1)
    slope = (weights[0] - weights[1]) * (1 - 2 * y.double())[:, None]  # of the label's lead over the other class
    flat = x.flatten(1)
    room = torch.where(slope > 0, flat, 1 - flat)
    lead = (slope * flat).sum(1)
    for epsilon in (lead / slope.abs().sum(1)).quantile(torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)).tolist():
        must_fall = lead < (slope.abs() * room.clamp(max=epsilon)).sum(1)
        fooled = misclassified(y)
        constraint = Ball("linf", x, epsilon) & Box()
        result = optimize(
            classifier, cross_entropy(y), Pixels(x), Sign(epsilon / 4), steps=5, constraint=constraint, success=fooled
        )
        assert 0 < int(must_fall.sum()) < 40
        assert torch.equal(result.success, must_fall)


def test_query_law() -> None:
    classifier, x = classifier_of(), pictures()
    y = mixed_labels(classifier, x)
    result = pgd(classifier, x, y, steps=4)
    stayed = result.stopped == Stopped.STEPS
    assert stayed.any()
    assert (~stayed).any()
    assert torch.equal(result.forwards, result.steps + 1)
    assert set(result.backwards[stayed].tolist()) == {4}
    assert torch.equal(result.backwards[~stayed], result.steps[~stayed].clamp(max=3) + 1)
    fooled_at_once = misclassified(y).evaluate(classifier, x)
    start_only = pgd(classifier, x, y, steps=0)
    assert set(start_only.forwards.tolist()) == {1}
    assert set(start_only.backwards.tolist()) == {0}
    assert fooled_at_once[::5].all()


def test_forward_passes_are_counted_as_they_happen() -> None:
    calls = []
    net = small_net(5)
    classifier = classifier_of(net)
    x = pictures(3)
    y = classifier.logits(x).argmax(1)
    handle = net.register_forward_hook(lambda *_: calls.append(1))
    optimize(classifier, cross_entropy(y), Pixels(x), Sign(SIZE), steps=3, success=misclassified(y))
    assert len(calls) == 4
    calls.clear()
    result = optimize(classifier, cross_entropy(y), Pixels(x), Sign(SIZE), steps=3, success=misclassified(y),
                      transforms=Jitter(1, samples=2))  # fmt: skip
    handle.remove()
    # Two views and the verdict on the picture itself at each turn, and only the picture at the last.
    assert len(calls) == 3 * 3 + 1
    assert set(result.forwards.tolist()) == {10}
    assert set(result.backwards.tolist()) == {6}


def test_without_verdicts_transforms_cost_no_second_forward() -> None:
    calls = []
    net = small_net(5)
    classifier, x = classifier_of(net), pictures(3)
    net.register_forward_hook(lambda *_: calls.append(1))
    result = optimize(classifier, logit(2), Pixels(x), Sign(SIZE), steps=3, transforms=Jitter(1), keep="last")
    assert set(result.forwards.tolist()) == {4}
    assert len(calls) == 4


def test_expectation_over_transforms_is_the_mean_gradient() -> None:
    classifier, x = classifier_of(dtype=torch.float64), pictures(4, torch.float64)
    seen: list[Observation] = []

    class Spy(Rule):
        def step(self, state: State, seen_now: Observation) -> Update:
            seen.append(seen_now)
            return Update(seen_now.params, state)

    jitter = Jitter(2, samples=3)
    optimize(classifier, logit(1), Pixels(x), Spy(), steps=1, transforms=jitter)
    leaf = x.clone().requires_grad_(True)
    views = [jitter(leaf, seen[0].random, draw) for draw in range(3)]
    with classifier.guard():
        values = torch.stack([classifier.logits(view)[:, 1] for view in views]).mean(0)
    (gradient,) = torch.autograd.grad(values.sum(), leaf)
    assert torch.allclose(seen[0].gradient, gradient, rtol=1e-12, atol=1e-14)
    assert torch.allclose(seen[0].value, values.detach(), rtol=1e-12)


def test_an_answer_is_kept_before_a_better_scored_picture() -> None:
    x = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    brightness = Measure(lambda view: view.images.flatten(1).mean(1), "brightness", layers=())
    between = (brightness > 0.15) & (brightness < 0.25)
    result = optimize(None, brightness, Pixels(x), SGD(0.1), steps=5, success=between)
    assert result.success.all()
    assert torch.allclose(result.images, torch.full_like(x, 0.2))
    assert result.reasons() == ("steps",)
    last = optimize(None, brightness, Pixels(x), SGD(0.1), steps=5, success=between, keep="last")
    assert torch.allclose(last.images, torch.full_like(x, 0.2))


@pytest.mark.parametrize(("keep", "kept"), [("best", 0.3), ("last", 0.5), (-distance(torch.zeros(1, 1, 1, 1)), 0.0)])
def test_keep_says_which_picture_stays(keep: object, kept: float) -> None:
    x = torch.zeros(1, 1, 1, 1)
    peak = Measure(lambda view: -(view.images.flatten(1).mean(1) - 0.3).abs(), "peak", layers=())

    class Walk(Rule):
        def step(self, state: State, seen: Observation) -> Update:
            return Update(seen.params + 0.1, state)

    result = optimize(None, peak, Pixels(x), Walk(), steps=5, keep=keep)
    assert result.images.item() == pytest.approx(kept, abs=1e-6)


def test_nan_logits_leave_alone_and_are_never_a_success() -> None:
    class Poisoned(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            logits = images.flatten(1)[:, :4] * 1.0
            poison = images.flatten(1).mean(1, keepdim=True) > 0.9
            return torch.where(poison, torch.nan, logits)

    classifier = Classifier.from_module(Poisoned(), size=8)
    x = pictures(4) * 0.5
    x[2] = 1.0
    y = torch.zeros(4, dtype=torch.long)
    for success in (misclassified(y), ~predicted(y), margin(y) > -100, ~(margin(y) <= -100)):
        result = optimize(classifier, cross_entropy(y), Pixels(x), Sign(SIZE), steps=2, success=success)
        assert not result.success[2]
        assert result.reasons()[2] == "undefined"
        assert result.score[2] == -torch.inf
        assert set(result.stopped[[0, 1, 3]].tolist()) == {Stopped.STEPS}
        assert result.images.isfinite().all()


def test_nan_hidden_from_the_objective_is_still_no_success() -> None:
    half = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3))
    with torch.no_grad():
        half[1].bias[2] = torch.nan
    classifier = Classifier(half, mean=(0.0,) * 3, std=(1.0,) * 3, resize=None)
    always = Measure(lambda view: torch.ones_like(view.rows, dtype=torch.bool), "always", layers=())
    result = optimize(classifier, logit(0), Pixels(pictures(2)), SGD(1.0), steps=1, success=always, stop=always)
    assert not result.success.any()


def test_a_non_finite_gradient_leaves_with_its_picture_kept() -> None:
    steep = Measure(lambda view: view.images.flatten(1).sum(1).sqrt(), "steep", layers=())
    x = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    result = optimize(None, steep, Pixels(x), SGD(0.1), steps=2)
    assert result.reasons() == ("non-finite", "steps")
    assert result.value[0] == 0


def test_an_infinite_objective_is_never_kept() -> None:
    pole = Measure(lambda view: 1 / view.images.flatten(1).sum(1), "pole", layers=())
    x = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    for keep in ("best", "last", -distance(x)):
        result = optimize(None, pole, Pixels(x), SGD(0.01), steps=1, success=pole > 0, keep=keep)
        assert result.success.tolist() == [False, True]
        assert result.score[0] == -torch.inf
        assert result.reasons() == ("non-finite", "steps")


@pytest.mark.parametrize("rows", [torch.zeros(12, dtype=torch.bool), torch.zeros(0, dtype=torch.long)])
def test_no_rows_still_give_a_result(rows: Tensor) -> None:
    classifier, x = classifier_of(), pictures()
    y = mixed_labels(classifier, x)
    result = pgd(classifier, x, y, rows=rows)
    assert set(result.reasons()) == {"not run"}
    assert int(result.forwards.sum()) == 0
    assert not result.success.any()


def test_an_empty_batch_gives_an_empty_result() -> None:
    classifier, x = classifier_of(), pictures(0)
    result = pgd(classifier, x, torch.zeros(0, dtype=torch.long))
    assert result.images.shape == (0, 3, 8, 8)
    assert repr(result) == "Result(0 images, 0 successes)"


@pytest.mark.promises
def test_rows_limit_the_run() -> None:
    classifier, x = classifier_of(convolutional(), torch.float64), pictures(dtype=torch.float64)
    y = mixed_labels(classifier, x)
    everyone, some = pgd(classifier, x, y), pgd(classifier, x, y, rows=torch.tensor([7, 2, 3]))
    for name in ("images", "value", "success", "stopped", "forwards"):
        assert torch.equal(getattr(some, name)[[2, 3, 7]], getattr(everyone, name)[[2, 3, 7]])
    assert (some.stopped == Stopped.NOT_RUN).sum() == 9


@pytest.mark.parametrize(
    "rows", [torch.tensor([1, 1]), torch.tensor([12]), torch.tensor([-1]), torch.ones(3).bool(), torch.rand(3)]
)
def test_unusable_rows_raise(rows: Tensor) -> None:
    classifier, x = classifier_of(), pictures()
    with pytest.raises(InputError, match="rows"):
        pgd(classifier, x, torch.zeros(12, dtype=torch.long), rows=rows)


def test_after_runs_only_what_has_not_succeeded() -> None:
    classifier, x = classifier_of(), pictures()
    y = mixed_labels(classifier, x)
    first = pgd(classifier, x, y, steps=0)
    assert 0 < int(first.success.sum()) < 12
    second = pgd(classifier, x, y, after=first, random=(1, None))
    assert torch.equal(second.forwards[first.success], first.forwards[first.success])
    assert (second.forwards[~first.success] > first.forwards[~first.success]).all()
    assert torch.equal(second.images[first.success], first.images[first.success])
    assert bool((second.success >= first.success).all())


def test_converged_images_leave() -> None:
    class Short(Rule):
        def step(self, state: State, seen: Observation) -> Update:
            return Update(seen.params, state, seen.value > 0.5)

    mean = Measure(lambda view: view.images.flatten(1).mean(1), "mean", layers=())
    x = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    result = optimize(None, mean, Pixels(x), Short(), steps=3)
    assert result.reasons() == ("steps", "converged")
    assert result.steps.tolist() == [3, 0]


def test_zero_gradients_are_counted() -> None:
    flat = Measure(lambda view: view.images.flatten(1).sum(1) * 0, "flat", layers=())
    constant = Measure(lambda view: torch.ones(len(view)), "constant", layers=())
    for objective in (flat, constant):
        result = optimize(None, objective, Pixels(torch.rand(2, 1, 2, 2)), SGD(0.1), steps=3)
        assert result.zero_grads.tolist() == [3, 3]


def test_small_steps_fool_as_well_on_the_lattice() -> None:
    classifier, x = linear(pictures(5).flatten(1) - 0.5, torch.zeros(5)), pictures(40)
    y = classifier.logits(x).argmax(1)
    fooled, constraint = misclassified(y), Ball("linf", x, "8/255") & Box()
    free, lattice = (
        optimize(
            classifier, cross_entropy(y), kind(x), Sign(0.4 / 255), steps=25, success=fooled, constraint=constraint
        )
        for kind in (Pixels, Lattice)
    )
    assert 5 <= int(free.success.sum()) <= 35
    assert int(lattice.success.sum()) >= int(free.success.sum()) - 1
    levels = lattice.images * 255
    assert torch.equal(lattice.images, levels.round() / 255)
    assert ((levels.round() - (x * 255).round()).abs() <= 8).all()


@pytest.mark.promises
@pytest.mark.parametrize("state", CALLERS)
def test_the_model_is_left_as_it_was(state: str) -> None:
    net = small_net(5)
    classifier, x = classifier_of(net), pictures()
    y = mixed_labels(classifier, x)
    expected = pgd(classifier, x, y, chunk=5)
    with caller(net, state), unchanged(net):
        images = pictures()
        result = pgd(classifier, images, y.clone(), transforms=None, chunk=5)
    assert torch.equal(result.success, expected.success)
    assert torch.equal(result.images, expected.images)


def test_the_model_is_left_as_it_was_after_an_error() -> None:
    net = small_net(5)
    classifier, x = classifier_of(net), pictures()
    y = mixed_labels(classifier, x)

    class Broken(Rule):
        def step(self, state: State, seen: Observation) -> Update:
            raise KeyError("in the middle")

    with unchanged(net), pytest.raises(KeyError):
        optimize(classifier, cross_entropy(y), Pixels(x), Broken(), steps=3)


@pytest.mark.parametrize("state", ["plain", "no_grad", "inference_mode"])
def test_no_context_is_held_while_the_caller_looks(state: str) -> None:
    net = small_net(5)
    classifier, x = classifier_of(net), pictures(3)
    with caller(net, state), unchanged(net):
        modes = (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        for run in turns(classifier, logit(1), Pixels(x), Sign(SIZE), steps=3):
            assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == modes
            assert net.training
            if run.t == 2:
                break


def test_gradients_flow_in_the_caller_between_turns() -> None:
    classifier, x = classifier_of(), pictures(2)
    for run in turns(classifier, logit(1), Pixels(x), Sign(SIZE), steps=2):
        weight = torch.ones((), requires_grad=True)
        (run.params.sum() * weight).backward()
        assert weight.grad is not None


def test_everyone_is_yielded_from_before_the_first_look() -> None:
    classifier, x = classifier_of(), pictures(2)
    runs = [(run.t, len(run.rows)) for run in turns(classifier, logit(1), Pixels(x), Sign(SIZE), steps=3)]
    assert runs == [(0, 2), (1, 2), (2, 2), (3, 2), (3, 0)]


def test_seen_is_the_projected_point() -> None:
    points = []

    class Far(Rule):
        pixels = True

        def step(self, state: State, seen: Observation) -> Update:
            points.append(seen.params)
            assert torch.equal(seen.project(seen.params), seen.params)
            return Update(seen.params + 100, state)

    x = pictures(2)
    optimize(None, distance(x), Pixels(x), Far(), steps=2, constraint=Ball("linf", x, 0.1) & Box())
    assert torch.equal(points[1], torch.minimum(x + 0.1, torch.ones(())))


def memory_of(limit: int) -> Callable[[Measure], Measure]:
    """Wrap a measure so that more than `limit` images at once run out of memory."""

    def wrap(measure: Measure) -> Measure:
        def hungry(view: object) -> Tensor:
            if len(view.rows) > limit:  # type: ignore[attr-defined]
                raise torch.OutOfMemoryError("CUDA out of memory")
            return measure(view)  # type: ignore[arg-type]

        return Measure(hungry, str(measure), layers=measure.layers)

    return wrap


@pytest.mark.promises
def test_running_out_of_memory_halves_and_changes_nothing() -> None:
    classifier, x = classifier_of(convolutional(), torch.float64), pictures(dtype=torch.float64)
    y = mixed_labels(classifier, x)
    fooled, constraint = misclassified(y), Ball("linf", x, EPSILON) & Box()
    ample, scarce = (
        optimize(
            classifier, objective, Pixels(x), Sign(SIZE), steps=4, constraint=constraint, success=fooled, stop=fooled
        )
        for objective in (cross_entropy(y), memory_of(4)(cross_entropy(y)))
    )
    assert torch.equal(ample.images, scarce.images)
    assert torch.equal(ample.forwards, scarce.forwards)
    assert torch.equal(ample.backwards, scarce.backwards)


def test_a_verdict_that_gives_numbers_is_an_error() -> None:
    classifier, x = classifier_of(), pictures(2)
    with pytest.raises(InputError, match=r"margin\(0\) > 0"):
        optimize(classifier, logit(0), Pixels(x), Sign(SIZE), steps=1, success=margin(0))
