"""How sizes of changes are written, and what rounding to 8 bits takes away."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import attack
from backlight.attack.threat import ThreatModel
from backlight.classifier import Classifier
from backlight.images import write_png
from backlight.page.sections import number
from backlight.tasks.attacking import AttackRequest
from backlight.tasks.attacking import attack as attack_files


@pytest.mark.parametrize("levels", [0.5, 1, 1.5, 2, 8, 16])
def test_whole_and_half_levels_are_written_as_such(levels: float) -> None:
    assert ThreatModel("linf").text(levels / 255) == f"{levels:g}/255"
    assert f"{levels:g}/255" in ThreatModel("linf", levels / 255).describe()


@pytest.mark.parametrize("size", [0.0, 0.03, 0.1, 0.25, 1.0])
def test_chosen_decimals_stay_decimals(size: float) -> None:
    assert ThreatModel("linf").text(size) == f"{size:g}"
    assert ThreatModel("l2", size).text(size) == f"{size:g}"


def test_nothing_is_written_as_minus_nothing() -> None:
    assert ThreatModel("l2").text(-0.0) == number(-0.0) == "0"
    for norm in ("linf", "l2", "l1"):
        assert not torch.signbit(ThreatModel(norm).distance(torch.ones(2, 3, 2, 2), torch.ones(2, 3, 2, 2))).any()
    even = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    nn.init.zeros_(even.module[1].weight)
    nn.init.zeros_(even.module[1].bias)
    for target in (None, 1):
        found = attack(even, torch.rand(2, 3, 2, 2), torch.zeros(2, dtype=torch.long), target=target, steps=1)
        assert not torch.signbit(found.margin).any()


class Plane(nn.Module):
    """A plane 0.3 away, in l2, from a gray picture of many values."""

    def __init__(self, side: int) -> None:
        super().__init__()
        signs = 1 - 2 * (torch.arange(3 * side * side) % 2).float()
        self.weight = nn.Parameter(signs / len(signs) ** 0.5)

    def forward(self, images: Tensor) -> Tensor:
        far = images.flatten(1) @ self.weight + 0.3
        return torch.stack([far, -far], 1)


@pytest.mark.parametrize(("side", "eps", "told"), [(224, None, True), (224, 2.0, False), (16, None, False)])
def test_a_change_that_rounding_takes_away_is_said(side: int, eps: float | None, told: bool, tmp_path: Path) -> None:
    write_png(tmp_path / "gray.png", torch.full((3, side, side), 128 / 255))
    model = Classifier.from_module(Plane(side), size=side, labels=["cat", "dog"])
    request = AttackRequest((tmp_path / "gray.png",), model, norm="l2", eps=eps, steps=20, out=tmp_path / "out")
    outcome = attack_files(request)
    (found,) = outcome.result
    assert found.success is not told
    assert (found.note is not None) is told
    assert any("8-bit level" in line for line in outcome.lines) is told
    free = attack(model, torch.full((1, 3, side, side), 128 / 255), norm="l2", eps=eps, steps=20)
    assert free.success.all()
