import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backlight.core.errors import InputError
from backlight.core.random import Random, Seed, _mix, hash_ids
from backlight.testing import unchanged

pytestmark = pytest.mark.promises
DRAWS = ("uniform", "normal", "sign")
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def test_mixing_is_splitmix64() -> None:
    # The first outputs of the published generator for the seed 1234567.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    golden = 0x9E3779B97F4A7C15 - 2**64
    outputs = _mix(1234567 + torch.arange(1, 5) * golden)
    assert [one % 2**64 for one in outputs.tolist()] == published


def test_numbers_stay_the_same_over_versions() -> None:
    random = Random((0, "pgd"), ["cat.png", "dog.png"], t=3)
    assert random.integer(1000, 3).tolist() == [[395, 824, 874], [24, 235, 915]]
    assert random.sign(8).tolist()[0] == [1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0]


@settings(max_examples=25, deadline=None)
@given(st.permutations(list(range(12))), st.integers(1, 12), st.sampled_from(DRAWS), st.sampled_from(DTYPES))
def test_an_image_draws_the_same_in_any_company(order: list[int], count: int, draw: str, dtype: torch.dtype) -> None:
    everyone = getattr(Random(5, torch.arange(12), t=2), draw)(3, 7, dtype=dtype)
    some = order[:count]
    alone = getattr(Random(5, some, t=2), draw)(3, 7, dtype=dtype)
    assert torch.equal(alone, everyone[some])
    assert torch.equal(
        getattr(Random(5, torch.arange(12), t=2).take(torch.tensor(some)), draw)(3, 7, dtype=dtype), alone
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_large_draws_do_not_depend_on_the_place_in_the_tensor(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        everyone = Random(1, torch.arange(7)).normal(101, 101)
        assert torch.equal(Random(1, [6]).normal(101, 101)[0], everyone[6])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "other",
    [
        Random(1, [0]),
        Random(0, [1]),
        Random(0, [0], t=1),
        Random(0, [0]).fork("part"),
        Random("0", [0]),
        Random((0,), [0]),
    ],
)
def test_every_part_of_the_key_counts(other: Random) -> None:
    assert not torch.equal(Random(0, [0]).uniform(4), other.uniform(4))


def test_streams_are_separate_and_asking_twice_is_the_same() -> None:
    random = Random(0, [0])
    assert torch.equal(random.uniform(4), random.uniform(4))
    assert not torch.equal(random.uniform(4), random.uniform(4, stream=("uniform", 1)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform_numbers_fill_the_unit_interval_and_never_reach_one(dtype: torch.dtype) -> None:
    numbers = Random(0, torch.arange(500)).uniform(400, dtype=dtype)
    assert numbers.dtype == dtype
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = torch.histc(numbers.double(), bins=16, min=0, max=1)
    expected = numbers.numel() / 16
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-square, 15 degrees of freedom, p = 1e-4


def test_rounding_to_float32_cannot_give_one() -> None:
    # A double just below one rounds to one in float32; a grid of 24 bits does not.
    random = Random(0, torch.arange(2000))
    fine, coarse = random.uniform(500, dtype=torch.float64), random.uniform(500, dtype=torch.float32)
    assert torch.equal(coarse.double(), (fine * 2**24).floor() / 2**24)


def test_normal_numbers_are_standard_normal() -> None:
    numbers = Random(3, torch.arange(1000)).normal(300, dtype=torch.float64).flatten()
    count = len(numbers)
    assert abs(numbers.mean()) < 4.5 / math.sqrt(count)
    assert abs(numbers.var() - 1) < 4.5 * math.sqrt(2 / count)
    ranks = torch.arange(1, count + 1) / count
    gap = (torch.special.ndtr(numbers.sort().values) - ranks).abs().max()
    assert gap < 2.2 / math.sqrt(count)  # Kolmogorov-Smirnov, p < 1e-4
    assert numbers.isfinite().all()


def test_the_extreme_bits_are_finite_and_symmetric(monkeypatch: pytest.MonkeyPatch) -> None:
    extremes = torch.tensor([[0, -1]])  # no bit set, and all of them
    monkeypatch.setattr(Random, "_hash", lambda *_: extremes)
    low, high = Random(0, [0]).normal(2, dtype=torch.float64)[0].tolist()
    assert -9 < low == -high < -8
    assert Random(0, [0]).uniform(2)[0].tolist() == [0.0, 1 - 2**-24]


def test_images_turns_and_positions_are_uncorrelated() -> None:
    a = Random(0, torch.arange(2000)).normal(50, dtype=torch.float64)
    b = Random(0, torch.arange(2000), t=1).normal(50, dtype=torch.float64)
    for first, second in ((a, b), (a[:-1], a[1:]), (a[:, :-1], a[:, 1:])):
        assert abs((first * second).mean()) < 4.5 / math.sqrt(first.numel())


def test_integers_and_signs_are_fair() -> None:
    dice = Random(0, torch.arange(600)).integer(6, 100)
    counts = torch.bincount(dice.flatten(), minlength=6).double()
    assert ((counts - 10000) ** 2 / 10000).sum() < 26  # chi-square, 5 degrees of freedom, p = 1e-4
    assert abs(Random(0, torch.arange(600)).sign(100).mean()) < 4.5 / math.sqrt(60000)
    assert Random(0, [0]).integer(2**53, 5).max() < 2**53


def test_no_images_draw_nothing() -> None:
    assert Random(0, []).normal(3, 4).shape == (0, 3, 4)
    assert Random(0, torch.arange(3)).uniform().shape == (3,)


def test_global_generators_stay_untouched() -> None:
    with unchanged(torch.nn.Identity()):
        Random(0, ["a"]).normal(5)


@pytest.mark.parametrize("seed", [0.5, None, [1], (1, 2.0), True])
def test_seeds_that_may_print_differently_are_refused(seed: object) -> None:
    with pytest.raises(InputError, match="seed"):
        Random(seed, [0]).uniform(1)  # type: ignore[arg-type]


@pytest.mark.parametrize("ids", [torch.rand(3), torch.zeros(2, 2).long(), [1.5], [True], [2**63], torch.ones(2).bool()])
def test_ids_are_numbers_or_strings(ids: object) -> None:
    with pytest.raises(InputError, match="id"):
        hash_ids(ids)  # type: ignore[arg-type]


@pytest.mark.parametrize("high", [0, -3, 2**54])
def test_integers_need_a_bound(high: int) -> None:
    with pytest.raises(InputError, match="high"):
        Random(0, [0]).integer(high)


def test_only_floating_types_are_uniform() -> None:
    with pytest.raises(InputError, match="dtype"):
        Random(0, [0]).uniform(dtype=torch.int64)


def test_many_small_draws_at_once_are_the_same_draws() -> None:
    random = Random((3, "cloud"), ["a", "b", "c"])
    shapes: dict[Seed, tuple[int, ...]] = {("rows", 8): (1, 1), "odd": (3, 5), "none": (0,), (2, "large"): (64, 64)}
    found = random.words_of(shapes)
    assert list(found) == list(shapes)
    for stream, shape in shapes.items():
        assert torch.equal(found[stream], random.words(*shape, stream=stream))
    assert random.words_of({}) == {}
