import pytest
import torch

from backlight.core.errors import UsageError
from backlight.pixels import View, distance, total_variation
from tests.pixels.problems import pictures

X, Y = pictures(4, torch.float64), pictures(8, torch.float64)[4:]


def test_distances_written_out() -> None:
    for row in range(4):
        values = [abs(a - b) for a, b in zip(X[row].flatten().tolist(), Y[row].flatten().tolist(), strict=True)]
        written = {"linf": max(values), "l1": sum(values), "l2": sum(one * one for one in values) ** 0.5}
        for norm, expected in written.items():
            assert distance(Y, norm).evaluate(None, X)[row].item() == pytest.approx(expected, rel=1e-12)
            squared = distance(Y, norm, squared=True).evaluate(None, X)[row].item()
            assert squared == pytest.approx(expected**2, rel=1e-12)


@pytest.mark.parametrize("norm", ["linf", "l1", "l2"])
@pytest.mark.parametrize("squared", [False, True])
def test_distance_has_a_finite_gradient_at_zero(norm: str, squared: bool) -> None:
    images = X.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(distance(X, norm, squared)(View(None, images)).sum(), images)
    assert gradient.isfinite().all()


def test_total_variation_written_out() -> None:
    rows = X[0].tolist()
    steps = [c[i + 1][j] - c[i][j] for c in rows for i in range(7) for j in range(8)]
    steps += [c[i][j + 1] - c[i][j] for c in rows for i in range(8) for j in range(7)]
    assert total_variation("l1").evaluate(None, X)[0].item() == pytest.approx(sum(map(abs, steps)))
    assert total_variation("l2").evaluate(None, X)[0].item() == pytest.approx(sum(one * one for one in steps))


def test_a_single_pixel_has_no_variation() -> None:
    assert total_variation().evaluate(None, torch.rand(2, 3, 1, 1)).tolist() == [0, 0]


@pytest.mark.parametrize("norm", ["l3", "linff", ""])
def test_unknown_norms_raise(norm: str) -> None:
    with pytest.raises(UsageError):
        distance(X, norm)
    with pytest.raises(UsageError):
        total_variation(norm)
