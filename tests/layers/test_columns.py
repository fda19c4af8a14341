"""The three matrix products against explicit slow loops, at every chunk size."""

import pytest
import torch

from backlight.layers import columns
from backlight.layers.columns import Columns, Geometry, convolve, input_gradient, weight_gradient

GEOMETRY = Geometry(kernel=(3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)


def slow_convolve(images, weight, geometry):
    """Compute the convolution by its definition, one multiplication at a time."""
    (batch, channels, height, width), outputs = images.shape, len(weight)
    rows, cols = geometry.output_size((height, width))
    result = torch.zeros(batch, outputs, rows, cols, dtype=images.dtype)
    per_group, out_per_group = channels // geometry.groups, outputs // geometry.groups
    for b, o, r, c in torch.cartesian_prod(*(torch.arange(n) for n in result.shape)).tolist():
        first = o // out_per_group * per_group
        for channel in range(per_group):
            for i in range(geometry.kernel[0]):
                for j in range(geometry.kernel[1]):
                    y = r * geometry.stride[0] + i * geometry.dilation[0] - geometry.padding[0]
                    x = c * geometry.stride[1] + j * geometry.dilation[1] - geometry.padding[1]
                    if 0 <= y < height and 0 <= x < width:
                        result[b, o, r, c] += images[b, first + channel, y, x] * weight[o, channel, i, j]
    return result


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(3, 4, 5, 6, dtype=torch.float64, generator=generator)
    weight = torch.randn(2, 2, 3, 2, dtype=torch.float64, generator=generator)
    return images, weight, slow_convolve(images, weight, GEOMETRY)


@pytest.mark.parametrize("budget", [1, 2500, 2**20])
def test_products_equal_the_definition_at_any_chunk(problem, budget, monkeypatch):
    images, weight, expected = problem
    monkeypatch.setattr(columns, "COLUMN_BYTES", budget)
    assert len(list(Columns(images.shape, GEOMETRY, images).chunks())) == {1: 3, 2500: 3, 2**20: 1}[budget]
    torch.testing.assert_close(convolve(images, weight, None, GEOMETRY), expected)
    # The definition is linear in both arguments, so <grad, conv(dx, w)> is the input gradient along dx.
    grad = torch.ones_like(expected)
    for position in [(0, 0, 0, 0), (1, 3, 2, 4), (2, 1, 4, 5)]:
        direction = torch.zeros_like(images)
        direction[position] = 1
        found = input_gradient(grad, weight, GEOMETRY, images.shape)[position]
        torch.testing.assert_close(found, slow_convolve(direction, weight, GEOMETRY).sum())
    direction = torch.zeros_like(weight)
    direction[1, 0, 2, 1] = 1
    found = weight_gradient(grad, images, GEOMETRY, weight.shape)[1, 0, 2, 1]
    torch.testing.assert_close(found, slow_convolve(images, direction, GEOMETRY).sum())


def test_last_chunk_may_be_smaller(problem, monkeypatch):
    images, weight, expected = problem
    per_image = Columns((1, *images.shape[1:]), GEOMETRY, images).buffer.numel() * 8
    monkeypatch.setattr(columns, "COLUMN_BYTES", 2 * per_image)
    chunks = list(Columns(images.shape, GEOMETRY, images).chunks())
    assert [chunk.stop - chunk.start for chunk in chunks] == [2, 1]
    torch.testing.assert_close(convolve(images, weight, None, GEOMETRY), expected)


def test_fold_is_the_adjoint_of_fill():
    images = torch.randn(2, 4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    held = Columns(images.shape, GEOMETRY, images)
    seen = held.fill(images).clone()
    other = torch.randn(seen.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    held.matrix(2).copy_(other)
    torch.testing.assert_close((seen * other).sum(), (held.fold(2) * images).sum())


def test_half_precision_weight_gradient_keeps_small_terms(monkeypatch):
    monkeypatch.setattr(columns, "COLUMN_BYTES", 2)
    geometry = Geometry((1, 1), (1, 1), (0, 0), (1, 1), groups=1)
    images = torch.ones(1024, 1, 1, 1, dtype=torch.bfloat16)
    assert weight_gradient(images, images, geometry, (1, 1, 1, 1)).item() == 1024
