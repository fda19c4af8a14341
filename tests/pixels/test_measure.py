import operator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backlight.core.errors import InputError
from backlight.pixels import Measure, View, clamp, distance, hinge, logit, margin, predicted, total_variation
from backlight.testing import CALLERS, caller, small_net, unchanged
from tests.pixels.problems import classifier_of, pictures


def mean() -> Measure:
    return Measure(lambda view: view.images.flatten(1).mean(1), "mean", layers=())


def red() -> Measure:
    return Measure(lambda view: view.images[:, 0].flatten(1).mean(1), "red", layers=())


X = pictures(5, torch.float64)
A, B = mean().evaluate(None, X), red().evaluate(None, X)
WEIGHTS = torch.linspace(-1, 2, 5, dtype=torch.float64)


@pytest.mark.parametrize(
    "sign", [operator.add, operator.sub, operator.mul, operator.gt, operator.lt, operator.ge, operator.le]
)
def test_operators_are_those_of_the_values(sign: object) -> None:
    assert torch.equal(sign(mean(), red()).evaluate(None, X), sign(A, B))
    assert torch.equal(sign(mean(), 0.4).evaluate(None, X), sign(A, 0.4))
    assert torch.equal(sign(0.4, mean()).evaluate(None, X), sign(torch.full_like(A, 0.4), A))
    assert torch.equal(sign(mean(), WEIGHTS).evaluate(None, X), sign(A, WEIGHTS))
    assert torch.equal(sign(WEIGHTS, mean()).evaluate(None, X), sign(WEIGHTS, A))


def test_verdicts_combine() -> None:
    bright, reddish = mean() > 0.5, red() > 0.5
    assert torch.equal((bright & ~reddish).evaluate(None, X), (A > 0.5) & ~(B > 0.5))
    assert torch.equal((bright | reddish).evaluate(None, X), (A > 0.5) | (B > 0.5))
    assert torch.equal((-mean()).evaluate(None, X), -A)


def formulas() -> st.SearchStrategy[str]:
    """Write arithmetic formulas of a, b and numbers, with brackets wherever they happen to stand."""
    leaves = st.sampled_from(["a", "b"])
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.tuples(parts, st.sampled_from(["+", "-", "*"]), parts).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
            parts.map(lambda part: f"(-{part})"),
            parts.map(lambda part: f"(2 * {part})"),
        ),
        max_leaves=6,
    )


@settings(max_examples=60, deadline=None)
@given(formulas(), st.sampled_from([">", "<", ">=", "<="]), formulas())
def test_a_printed_formula_reads_back_as_itself(left: str, compare: str, right: str) -> None:
    text = f"~(({left}) {compare} ({right})) & (({right}) > 0.25) | (({left}) {compare} 0)"
    names = {"a": Measure(mean().function, "a", layers=()), "b": Measure(red().function, "b", layers=())}
    formula = eval(text, {}, names)  # noqa: S307
    again = eval(repr(formula), {}, names)  # noqa: S307
    assert repr(again) == repr(formula)
    assert torch.equal(again.evaluate(None, X), formula.evaluate(None, X))
    assert torch.equal(formula.evaluate(None, X), eval(text, {}, {"a": A, "b": B}))  # noqa: S307


def test_formulas_have_few_brackets() -> None:
    assert repr(2 * logit(3) - 0.1 * total_variation() + 1) == "2 * logit(3) - 0.1 * total_variation('l2') + 1"
    assert repr(logit(3) - (logit(2) - logit(1))) == "logit(3) - (logit(2) - logit(1))"
    assert repr(predicted(3) & (margin(0) > 0.5)) == "predicted(3) & (margin(0) > 0.5)"
    assert repr(torch.ones(5) * hinge(margin(0))) == "tensor[5] * hinge(margin(0), 0.0)"


def test_layers_unite() -> None:
    deep = Measure(lambda view: view["deep"].flatten(1).sum(1), "deep", layers={"deep"})
    assert (logit(0) - 0.1 * deep).layers == {"logits", "deep"}
    assert (distance(X) + total_variation()).layers == frozenset()
    assert clamp(deep, 0, 1).layers == {"deep"}


@pytest.mark.parametrize("state", CALLERS)
def test_evaluating_leaves_the_model_as_it_was(state: str) -> None:
    net = small_net(5)
    classifier = classifier_of(net)
    deep = Measure(lambda view: view["4"].flatten(1).sum(1), "deep", layers={"4"})
    with caller(net, state), unchanged(net):
        assert (deep + logit(0)).evaluate(classifier, pictures(2)).shape == (2,)


def test_a_measure_gives_one_value_per_image() -> None:
    whole = Measure(lambda view: view.images.mean(), "whole", layers=())
    with pytest.raises(InputError, match=r"whole gave shape \[\]; expected one value per image \[5\]"):
        whole.evaluate(None, X)


@pytest.mark.parametrize("other", ["text", torch.ones(2, 2), None])
def test_other_things_do_not_combine(other: object) -> None:
    with pytest.raises(InputError, match="formula"):
        mean() + other  # type: ignore[operator]


def test_weights_follow_their_images() -> None:
    view = View(None, X[[3, 1]], rows=torch.tensor([3, 1]), batch=5)
    assert torch.equal((WEIGHTS * mean())(view), (WEIGHTS * A)[[3, 1]])
    assert torch.equal((torch.tensor([2.0]) * mean())(view), 2 * A[[3, 1]])


def test_clamp_and_hinge_bound_value_and_gradient() -> None:
    images = X.clone().requires_grad_(True)
    view = View(None, images)
    bounded = clamp(mean(), low=0.4, high=0.5)(view)
    assert torch.equal(bounded.detach(), A.clamp(0.4, 0.5))
    (gradient,) = torch.autograd.grad(hinge(mean(), 0.5)(view).sum(), images)
    assert torch.equal(gradient.flatten(1).abs().sum(1) > 0, A <= 0.5)
