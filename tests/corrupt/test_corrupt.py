"""`corrupt`: keyed, the same for every batch, 8 bits, and clear about what it does not take."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from backlight.core.errors import InputError, UsageError
from backlight.core.random import Random
from backlight.corrupt import CORRUPTIONS, corrupt
from backlight.corrupt.registry import corruption_of
from backlight.corrupt.severities import table_for
from tests.corrupt.pictures import photographs

IDS = ["a", "b", "c", "d"]


@pytest.mark.parametrize("kind", sorted(CORRUPTIONS))
@pytest.mark.parametrize("side", [32, 224])
def test_no_picture_depends_on_its_batch(kind: str, side: int) -> None:
    images = photographs(4)[:, :, :side, :side]
    whole = corrupt(images, kind, 4, random=Random(7, IDS))
    for rows in ([3, 1], [2]):
        some = corrupt(images[rows], kind, 4, random=Random(7, [IDS[row] for row in rows]))
        assert torch.equal(some, whole[rows])


@pytest.mark.parametrize("kind", sorted(CORRUPTIONS))
@pytest.mark.parametrize("channels", [1, 3])
def test_results_are_levels_of_8_bits(kind: str, channels: int) -> None:
    found = corrupt(photographs(2, 64)[:, :channels], kind, 2)
    assert found.shape == (2, channels, 64, 64)
    assert torch.allclose(found * 255, (found * 255).round(), atol=1e-4)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


@pytest.mark.parametrize("kind", ["gaussian_noise", "glass_blur", "fog", "snow", "elastic", "motion_blur", "spatter"])
def test_seed_id_and_severity_key_the_noise(kind: str) -> None:
    image = photographs(1, 64).expand(2, -1, -1, -1)
    found = corrupt(image, kind, 3, random=Random(0, ["a", "b"]))
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found, corrupt(image, kind, 3, random=Random(1, ["a", "b"])))
    assert torch.equal(found, corrupt(image, kind, 3, random=Random(0, ["a", "b"])))


def test_pictures_and_the_global_generator_stay_as_they_were() -> None:
    images = photographs(2, 64)
    before, state = images.clone(), torch.get_rng_state()
    for kind in CORRUPTIONS:
        corrupt(images, kind, 5)
    assert torch.equal(images, before)
    assert torch.equal(state, torch.get_rng_state())


def test_sizes_that_are_not_square_and_tiny_ones() -> None:
    for height, width in ((5, 7), (1, 1), (40, 224), (97, 130)):
        for kind in CORRUPTIONS:
            assert corrupt(torch.full((1, 3, height, width), 0.5), kind, 5).shape == (1, 3, height, width), kind


def test_the_table_follows_the_size_unless_named() -> None:
    assert (table_for(96, 300), table_for(97, 97)) == ("small", "photograph")
    image = photographs(1, 64)
    strong, weak = (corrupt(image, "gaussian_noise", 5, table=table) for table in ("photograph", "small"))
    assert float((strong - image).abs().mean()) > 2 * float((weak - image).abs().mean())


def test_own_functions_and_empty_batches() -> None:
    def darker(images: torch.Tensor, constants: tuple[float, ...], random: Random) -> torch.Tensor:
        return images / constants[0]

    assert float(corrupt(torch.ones(1, 3, 4, 4), darker, 5).max()) == pytest.approx(51 / 255)
    assert corruption_of(darker).name == "darker"
    assert corrupt(torch.zeros(0, 3, 8, 8), "fog", 1).shape == (0, 3, 8, 8)


@pytest.mark.parametrize(
    ("returned", "words"), [(None, "returned NoneType"), (torch.full((2, 3, 8, 8), torch.nan), "not finite")]
)
def test_a_kind_that_returns_no_pictures_is_named(returned: object, words: str) -> None:
    def own(images: torch.Tensor, constants: Sequence[float], random: Random) -> object:
        return returned

    with pytest.raises(InputError, match=f"own returned.*{words.removeprefix('returned ')}"):
        corrupt(torch.rand(2, 3, 8, 8), own, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 3, 32, 32), (2, 3, 1, 32), (2, 4, 32, 32)])
def test_a_kind_that_returns_another_size_is_named(size: tuple[int, ...]) -> None:
    def shrink(images: torch.Tensor, constants: Sequence[float], random: Random) -> torch.Tensor:
        return torch.zeros(size)

    with pytest.raises(InputError, match=r"shrink returned pictures .*expected \[2, 3, 32, 32\]"):
        corrupt(torch.rand(2, 3, 32, 32), shrink, 1)


@pytest.mark.parametrize(
    ("kind", "severity", "words"),
    [("fogg", 1, "fog"), ("fog", 6, "1, 2, 3, 4 or 5"), ("fog", True, "severity"), ("frost", 1, "--frost")],
)
def test_wrong_use_is_told(kind: str, severity: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        corrupt(photographs(1, 32), kind, severity)


@pytest.mark.parametrize("images", [torch.zeros(3, 8, 8), torch.zeros(1, 4, 8, 8), torch.zeros(1, 3, 8, 8).byte()])
def test_other_images_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(InputError, match="expected"):
        corrupt(images, "fog", 1)
