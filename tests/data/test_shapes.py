import math

import pytest
import torch

from backlight.core.errors import InputError
from backlight.data.drawing import OUTLINES, TEXTURES
from backlight.data.shapes import Shapes
from tests.shapes import shapes_drawn_anew


@pytest.fixture(autouse=True)
def _anew():
    with shapes_drawn_anew():
        yield


@pytest.mark.parametrize("size", [8, 33])
def test_a_picture_depends_on_seed_and_number_only(size):
    shapes = Shapes(size=size, classes=100, shortcut=0.5)
    rows = torch.arange(150)
    whole = shapes.draw(rows)
    order = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    parts = [shapes.draw(part) for part in order.split(7)]
    for index, field in enumerate(whole):
        joined = torch.cat([part[index] for part in parts])
        assert torch.equal(joined, field[order])
    assert torch.equal(Shapes(size=size, classes=100, shortcut=0.5, n=7).draw(rows[:3]).images, whole.images[:3])
    assert not torch.equal(Shapes(size=size, classes=100, shortcut=0.5, seed=1).draw(rows).images, whole.images)


def test_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    Shapes(shortcut=0.5).draw(torch.arange(4))
    assert torch.equal(before, torch.get_rng_state())


def test_a_hundred_classes_with_names_in_turn():
    shapes = Shapes(classes=100)
    assert len(set(shapes.label_names)) == 100
    assert shapes.label_names[73] == f"{list(TEXTURES)[7]} {list(OUTLINES)[3]}"
    assert torch.equal(shapes.draw(torch.arange(200)).labels.bincount(), torch.full((100,), 2))


def test_the_object_lies_inside_and_stands_out():
    drawn = Shapes(size=64, classes=100).draw(torch.arange(300))
    edge = torch.ones(64, 64, dtype=torch.bool)
    edge[1:-1, 1:-1] = False
    assert not drawn.object[:, edge].any()
    area = drawn.object.float().mean((1, 2))
    assert float(area.min()) > 0.015
    assert float(area.max()) < 0.45
    grey = drawn.images.float().mean(1) / 255
    inside = (grey * drawn.object).sum((1, 2)) / drawn.object.sum((1, 2))
    outside = (grey * ~drawn.object).sum((1, 2)) / (~drawn.object).sum((1, 2))
    assert float((inside - outside).abs().min()) > 0.1


def test_areas_of_outlines_by_geometry():
    grid = (torch.arange(2000, dtype=torch.float64) + 0.5) / 1000 - 1
    grid = grid * 1.3
    u, v = grid[None, None, :].expand(1, 2000, 2000), grid[None, :, None].expand(1, 2000, 2000)
    area = {name: float((outline(u, v) < 0).double().mean()) * 2.6**2 for name, outline in OUTLINES.items()}
    near = 0.64 * math.acos((0.55**2 + 0.64 - 1) / (2 * 0.55 * 0.8))
    far = math.acos((0.55**2 + 1 - 0.64) / (2 * 0.55))
    kite = 0.5 * math.sqrt((-0.55 + 1.8) * (0.55 + 0.8 - 1) * (0.55 - 0.8 + 1) * (0.55 + 1.8))
    expected = {
        "circle": math.pi * 0.85**2,
        "square": 1.5**2,
        "triangle": 3 * 3**0.5 * 0.55**2,
        "star": 5 * 1.1 * 0.45 * math.sin(math.pi / 5),
        "cross": 2 * 2 * 0.56 - 0.56**2,
        "ring": math.pi * (0.92**2 - 0.48**2),
        "crescent": math.pi - (near + far - kite),
        "bar": 2.2 * 0.6,
        "heart": 1.1**2 + math.pi * 0.55**2,
        "bow": 2 * 0.88 * 0.88 * 0.8,
    }
    assert expected.keys() == area.keys()
    for name, value in expected.items():
        assert area[name] == pytest.approx(value, rel=0.01), name


def test_shortcut_correlation_is_what_was_asked():
    for shortcut in (0.25, 0.9, 1.0):
        shapes = Shapes(n=6000, size=8, classes=4, shortcut=shortcut)
        drawn = shapes.draw(torch.arange(6000))
        assert torch.equal(drawn.patch.sum((1, 2)), torch.full((6000,), 9))
        place = drawn.patch.flatten(1).float().argmax(1)
        color = drawn.images.flatten(2).gather(2, place.view(-1, 1, 1).expand(-1, 3, 1))[..., 0]
        shown = torch.unique(color, dim=0, return_inverse=True)[1]
        table = torch.zeros(4, 4, dtype=torch.float64).index_put_(
            (drawn.labels, shown), torch.ones(6000, dtype=torch.float64), accumulate=True
        )
        expected = table.sum(1, keepdim=True) * table.sum(0) / 6000
        cramer = float(((table - expected) ** 2 / expected).sum() / 6000 / 3) ** 0.5
        assert cramer == pytest.approx(shortcut, abs=0.03)
    assert not Shapes().draw(torch.arange(9)).patch.any()


@pytest.mark.parametrize("wrong", [{"n": 0}, {"size": 4}, {"classes": 101}, {"classes": 1}, {"shortcut": 1.5}])
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Shapes(**wrong)


@pytest.mark.slow
def test_eight_classes_are_learned_by_a_small_network():
    from torch import nn

    drawn = Shapes(n=4600).draw(torch.arange(4600))
    x, y = drawn.images.float() / 255, drawn.labels
    with torch.random.fork_rng():
        torch.manual_seed(0)
        blocks = []
        for a, b, pool in ((3, 24, 2), (24, 48, 2), (48, 96, 2), (96, 96, 1)):
            blocks += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(pool)]
        net = nn.Sequential(*blocks, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(96, 8))
        optimizer = torch.optim.Adam(net.parameters())
        for step, rows in enumerate(torch.cat([torch.randperm(4000) for _ in range(6)]).split(64)):
            optimizer.param_groups[0]["lr"] = 5e-3 * min(step / 100, (375 - step) / 275)
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            accuracy = float((net(x[4000:]).argmax(1) == y[4000:]).float().mean())
    assert accuracy >= 0.99
