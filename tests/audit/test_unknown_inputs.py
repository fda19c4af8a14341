"""Unknown inputs as findings: noise is told from shapes, proxies are what they say, the field is judged."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from backlight.audit import Examined, Part, run_checks
from backlight.audit.passing import look_once
from backlight.audit.proxies import PROXIES, randomize_phases, shuffle_patches
from backlight.audit.unknown_inputs import CARDS
from backlight.classifier import Classifier
from backlight.core.random import Random
from backlight.data.dataset import Dataset
from backlight.data.shapes import Shapes
from tests.audit.nets import shapes_data, train_on

SHAPES = Shapes(n=900, size=32, classes=4)


@pytest.fixture(scope="module")
def trained() -> Classifier:
    drawn = SHAPES.draw(torch.arange(400))
    return train_on(drawn.images, drawn.labels, SHAPES.label_names, steps=200)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return shapes_data(SHAPES.draw(torch.arange(400, 800)), SHAPES, 400)


def images(count: int = 3, size: int = 21) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_noise_is_told_apart_and_the_sentences_say_how(trained: Classifier, data: Dataset) -> None:
    noise = torch.randint(0, 256, (60, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    known = Dataset.of(SHAPES.draw(torch.arange(800, 860)).images, ids=[f"k{row}" for row in range(60)])
    field = Dataset.of(torch.cat([known.read(range(60)), noise]), ids=[f"k{row}" for row in range(120)])
    examined = Examined(
        look_once(trained, data), trained, against_part=look_once(trained, field), depth="quick", seed=0
    )
    found = {one.name: one for one in run_checks(examined, CARDS).findings}
    assert found["unknown_inputs"].value is not None
    assert "No detector is safe everywhere" in found["unknown_inputs"].sentence
    assert set(found["unknown_inputs"].images) == {card.title for card in PROXIES.values()}
    table = found["unknown_inputs"].tables["Detectors"]
    assert len(table["detector"]) == 13
    assert any("classes left out" in column for column in table)
    assert found["unknown_noise"].value is not None
    assert found["unknown_noise"].value > 0.9
    assert found["unknown_in_field"].value is not None
    assert found["unknown_in_field"].value > 0.4
    assert sum(int(one.id[1:]) >= 60 for one in found["unknown_in_field"].pictures) == 12


def test_arrays_alone_and_a_head_that_is_not_linear_go_on_with_what_there_is(data: Dataset) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(3072, 4), nn.Softplus())
    odd = Classifier.from_module(net, size=32, labels=list(SHAPES.label_names))
    part = look_once(odd, data)
    found = run_checks(Examined(Part(part.kept), depth="quick"), CARDS).findings
    assert [one.name for one in found][0] == "unknown_inputs"
    left = found[0].tables["Left out"]
    assert "vim" in left["what"]


def test_too_few_pictures_are_not_judged(trained: Classifier, data: Dataset) -> None:
    found = run_checks(Examined(look_once(trained, data.take([0, 1]))), CARDS).findings
    assert [one.judgement for one in found] == ["not judged"]


def test_a_picture_is_made_the_same_in_any_batch() -> None:
    whole, ids = images(), ["a", "b", "c"]
    for card in PROXIES.values():
        made = card.function(whole, Random(0, ids))
        assert torch.equal(card.function(whole[1:2], Random(0, ids[1:2]))[0], made[1]), card.name
        assert made.shape == whole.shape
        assert 0 <= float(made.min()) <= float(made.max()) <= 1
        assert not torch.equal(made, whole)


def test_shuffled_patches_are_the_same_patches_elsewhere() -> None:
    whole = images(size=21)
    mixed = shuffle_patches(whole, Random(0, [0, 1, 2]), 4)
    assert torch.equal(mixed[:, :, 20:], whole[:, :, 20:])  # what does not fill a patch
    patches = [
        {
            tuple(one.flatten().tolist())
            for one in some[0, :, :20, :20].unfold(1, 5, 5).unfold(2, 5, 5).permute(1, 2, 0, 3, 4).flatten(0, 1)
        }
        for some in (whole, mixed)
    ]
    assert patches[0] == patches[1]


def test_random_phases_keep_mean_and_amplitudes() -> None:
    flat = 0.5 + 0.02 * (images(size=16) - 0.5)  # nothing is clipped
    moved = randomize_phases(flat, Random(0, [0, 1, 2]))
    before, after = (torch.fft.fft2(some.double()) for some in (flat, moved))
    assert torch.allclose(before.abs(), after.abs(), atol=1e-4)
    assert torch.allclose(flat.mean((2, 3)), moved.mean((2, 3)), atol=1e-5)
    assert not torch.allclose(before.angle(), after.angle(), atol=0.1)
