import pytest
import torch

from backlight.core.errors import InputError
from backlight.pixels import Result, Stopped


def result(score: list[float], success: list[bool], stopped: list[int], shade: float, cost: int) -> Result:
    count = len(score)
    numbers = torch.full((count,), cost)
    return Result(
        torch.full((count, 1, 1, 1), shade), torch.full((count,), shade), torch.tensor(score), torch.tensor(success),
        torch.tensor(stopped), numbers, numbers, numbers, numbers,
    )  # fmt: skip


def test_merge_keeps_answers_then_scores_and_adds_costs() -> None:
    steps, stop, idle = int(Stopped.STEPS), int(Stopped.STOPPED), int(Stopped.NOT_RUN)
    old = result([5, 5, 5, 5, 1, 5], [True, False, True, False, False, False], [steps] * 6, 0.1, 3)
    new = result([1, 1, 9, 1, 2, 9], [False, True, True, False, False, True], [stop] * 5 + [idle], 0.9, 4)
    merged = old.merge(new)
    assert torch.allclose(merged.images.flatten(), torch.tensor([0.1, 0.9, 0.9, 0.1, 0.9, 0.1]))
    assert torch.equal(merged.value, merged.images.flatten())
    assert merged.score.tolist() == [5, 1, 9, 5, 2, 5]
    assert merged.success.tolist() == [True, True, True, False, False, False]
    assert merged.stopped.tolist() == [stop] * 5 + [steps]
    assert merged.steps.tolist() == [4] * 5 + [3]
    assert merged.forwards.tolist() == merged.backwards.tolist() == merged.zero_grads.tolist() == [7] * 6


def test_restarts_never_lose_an_answer() -> None:
    first = result([1, 1], [True, False], [3, 3], 0.1, 1)
    second = result([9, 9], [False, True], [3, 3], 0.2, 1)
    for merged in (first.merge(second), second.merge(first)):
        assert merged.success.all()


def test_ties_keep_the_earlier() -> None:
    first, second = result([1], [True], [3], 0.1, 1), result([1], [True], [3], 0.2, 1)
    assert first.merge(second).images.item() == pytest.approx(0.1)


def test_results_of_other_batches_do_not_merge() -> None:
    with pytest.raises(InputError, match="same batch"):
        result([1], [True], [3], 0.1, 1).merge(result([1, 1], [True, True], [3, 3], 0.1, 1))


def test_reasons_in_words() -> None:
    some = [Stopped.NOT_RUN, Stopped.RUNNING, Stopped.STOPPED, Stopped.STEPS, Stopped.CONVERGED, Stopped.NON_FINITE]
    words = result([0.0] * 6, [False] * 6, [int(one) for one in some], 0, 0).reasons()
    assert words == ("not run", "running", "stopped", "steps", "converged", "non-finite")


def test_repr_is_a_summary() -> None:
    assert (
        repr(result([0, 0, 0], [True, False, False], [2, 3, 3], 0, 0))
        == "Result(3 images, 1 successes; 2 steps, 1 stopped)"
    )
