import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from backlight.report.agreement import measure_agreement, rank_correlation
from backlight.report.looking import agreement_words

RAMP = torch.arange(256.0).view(16, 16)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=40))
@settings(max_examples=50, deadline=None)
def test_rank_correlation_is_spearmans(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(values, dtype=float) for values in zip(*pairs))
    if first.std() == 0 or second.std() == 0:
        return
    found = rank_correlation(torch.from_numpy(first), torch.from_numpy(second))
    assert found == pytest.approx(spearmanr(first, second).statistic, abs=1e-9)


def test_a_map_agrees_with_any_increasing_function_of_itself() -> None:
    found = measure_agreement({"saliency": RAMP, "gradcam": RAMP**3})
    assert found is not None
    assert found.overlap == 1
    assert found.closest.correlation == pytest.approx(1)
    assert found.word == "largely"


def test_opposite_maps_share_nothing() -> None:
    found = measure_agreement({"saliency": RAMP, "gradcam": -RAMP})
    assert found is not None
    assert found.overlap == 0
    assert found.farthest.correlation == pytest.approx(-1)
    assert found.where is None
    assert "hardly" in " ".join(agreement_words(found))
    assert "no place" in " ".join(agreement_words(found))


def test_unrelated_maps_share_what_chance_gives() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = {str(index): torch.rand(16, 16, generator=generator) for index in range(12)}
    found = measure_agreement(maps)
    assert found is not None
    assert found.chance == 26 / 256
    assert found.overlap == pytest.approx(found.chance, abs=0.02)


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        (0, 0, "on the upper left"),
        (0, 5, "at the top"),
        (5, 5, "in the middle"),
        (5, 10, "on the right"),
        (10, 5, "at the bottom"),
        (10, 10, "on the lower right"),
    ],
)
def test_the_place_is_where_both_look(row: int, column: int, words: str) -> None:
    spot = torch.zeros(16, 16)
    spot[row : row + 6, column : column + 6] = 1
    found = measure_agreement({"saliency": spot + RAMP * 1e-6, "gradcam": spot * 2 + RAMP * 1e-6})
    assert found is not None
    assert found.where == words


def test_empty_maps_and_products_do_not_count() -> None:
    maps = {
        "saliency": RAMP,
        "gradcam": RAMP**2,
        "guided_backprop": RAMP.sqrt(),
        "guided_gradcam": -RAMP,
        "layercam": torch.ones(16, 16),
        "hirescam": torch.full((16, 16), torch.nan),
    }
    found = measure_agreement(maps)
    assert found is not None
    assert found.overlap == 1
    assert (found.products, found.empty) == (("guided_gradcam",), ("layercam", "hirescam"))
    assert "layercam and hirescam" in " ".join(agreement_words(found))


def test_one_map_agrees_with_nothing() -> None:
    assert measure_agreement({"saliency": RAMP, "gradcam": torch.zeros(16, 16)}) is None
    assert "not two maps" in agreement_words(None)[0]


def test_any_size_can_be_compared() -> None:
    for shape in ((1, 1), (1, 9), (7, 7), (224, 100)):
        one = torch.arange(float(shape[0] * shape[1])).view(shape)
        found = measure_agreement({"saliency": one, "gradcam": one})
        assert found is None if shape == (1, 1) else found is not None
