"""The same result for any batch size, order, chunk and resume: in float64 bit for bit, in float32 by outcome."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backlight.classifier import Classifier
from backlight.pixels import (
    SGD,
    Adam,
    Ball,
    Box,
    Compose,
    Jitter,
    Pixels,
    Result,
    Rule,
    Run,
    Sign,
    Surface,
    Uniform,
    Unit,
    cross_entropy,
    dlr,
    margin,
    misclassified,
    optimize,
    probability,
    total_variation,
    turns,
)
from tests.pixels.problems import classifier_of, convolutional, mixed_labels, pictures

pytestmark = pytest.mark.promises
COUNT = 12
COLUMNS = tuple(Result.__dataclass_fields__)
RULES = {"sign": Sign(0.01, momentum=0.9), "unit": Unit(0.2), "sgd": SGD(2.0, momentum=0.5), "adam": Adam(0.02)}


def problem(
    x: Tensor, y: Tensor, weights: Tensor, ids: object, rule: Rule, blur: bool = True, **options: object
) -> dict:
    """Assemble a run that uses per-image labels, weights and epsilons, random starts, views and early stops."""
    fooled = misclassified(y)
    objective = weights * cross_entropy(y) + dlr(y) - 0.1 * probability(y) - 0.01 * total_variation("l2")
    return {
        "objective": objective,
        "parametrization": Pixels(x, Surface("l2", weights)),
        "rule": rule,
        "steps": 6,
        "constraint": Ball("l2", x, weights) & Box(),
        "transforms": Compose((Jitter(1), Jitter(1)), samples=2) if blur else None,
        "success": fooled,
        "stop": fooled & (margin(y) < -0.05),
        "random": ("same", ids),
        **options,
    }


def data(dtype: torch.dtype = torch.float64) -> tuple[Classifier, Tensor, Tensor, Tensor, list[str]]:
    classifier, x = classifier_of(convolutional(), dtype), pictures(COUNT, dtype)
    weights = torch.linspace(0.3, 0.9, COUNT, dtype=dtype)
    return classifier, x, mixed_labels(classifier, x), weights, [f"{row}.png" for row in range(COUNT)]


@pytest.fixture(scope="module")
def everyone() -> dict[str, Result]:
    classifier, *parts = data()
    return {name: optimize(classifier, **problem(*parts, rule)) for name, rule in RULES.items()}


@settings(max_examples=12, deadline=None)
@given(
    st.permutations(list(range(COUNT))), st.integers(1, COUNT), st.integers(1, COUNT), st.sampled_from(sorted(RULES))
)
def test_batch_order_and_chunk_do_not_matter(
    everyone: dict[str, Result], order: list[int], count: int, chunk: int, name: str
) -> None:
    classifier, x, y, weights, ids = data()
    some = order[:count]
    parts = (x[some], y[some], weights[some], [ids[row] for row in some])
    result = optimize(classifier, **problem(*parts, RULES[name], chunk=chunk))
    for column in COLUMNS:
        assert torch.equal(getattr(result, column), getattr(everyone[name], column)[some]), column


def test_the_problem_has_every_kind_of_ending(everyone: dict[str, Result]) -> None:
    assert set(everyone["sign"].reasons()) == {"stopped", "steps"}
    assert len(set(everyone["sign"].steps.tolist())) > 2


def test_float32_outcomes_agree_unless_undecided() -> None:
    classifier, x, y, weights, ids = data(torch.float32)
    whole = optimize(classifier, **problem(x, y, weights, ids, RULES["unit"], blur=False))
    judge = margin(y).evaluate(classifier, whole.images)
    decided = judge.abs() > 1e-4
    for size in (1, 5, 7):
        parts = optimize(classifier, **problem(x, y, weights, ids, RULES["unit"], blur=False, chunk=size))
        for column in ("success", "stopped", "steps"):
            assert torch.equal(getattr(parts, column)[decided], getattr(whole, column)[decided])
        assert torch.allclose(parts.images, whole.images, atol=1e-3)
    again = optimize(classifier, **problem(x, y, weights, ids, RULES["unit"], blur=False))
    assert torch.equal(again.images, whole.images)


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("turn", [0, 1, 3, 5, 6])
def test_going_on_from_a_file_is_bitwise_the_same(
    everyone: dict[str, Result], tmp_path: Path, name: str, turn: int
) -> None:
    classifier, *parts = data()
    for run in turns(classifier, **problem(*parts, RULES[name])):
        if run.t == turn:
            run.save(tmp_path / "run.pt")
            break
    # As another process would: everything built anew.
    classifier, *parts = data()
    for run in turns(classifier, **problem(*parts, RULES[name]), run=Run.load(tmp_path / "run.pt")):
        result = run.result
    for column in COLUMNS:
        assert torch.equal(getattr(result, column), getattr(everyone[name], column)), column


def test_default_ids_are_places() -> None:
    classifier, x, y, weights, _ = data()
    whole = optimize(classifier, **problem(x, y, weights, None, RULES["sign"]))
    tail = slice(4, None)
    places = torch.arange(COUNT)[tail]
    same = optimize(classifier, **problem(x[tail], y[tail], weights[tail], places, RULES["sign"]))
    other = optimize(classifier, **problem(x[tail], y[tail], weights[tail], None, RULES["sign"]))
    assert torch.equal(same.images, whole.images[tail])
    assert not torch.equal(other.images, whole.images[tail])


def test_seeds_differ() -> None:
    classifier, x, y, weights, ids = data()
    start = Pixels(x, Uniform("linf", 0.1))
    one, two = (
        optimize(classifier, cross_entropy(y), start, Sign(0.01), steps=0, random=(seed, ids)) for seed in (0, 1)
    )
    assert not torch.equal(one.images, two.images)
