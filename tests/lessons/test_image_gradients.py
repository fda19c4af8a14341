"""Differences between pixels, against slow loops and closed forms."""

import pytest
import torch
from scipy import ndimage
from torch.autograd import gradcheck

from backlight.core.errors import InputError
from backlight.lessons import spatial_gradients

IMAGES = torch.rand(2, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_forward_differences_are_those_of_total_variation():
    found = spatial_gradients(IMAGES)
    torch.testing.assert_close(found.horizontal[..., :-1], IMAGES.diff(dim=-1))
    torch.testing.assert_close(found.vertical[..., :-1, :], IMAGES.diff(dim=-2))
    assert not found.horizontal[..., -1].any()
    assert not found.vertical[..., -1, :].any()
    torch.testing.assert_close(found.magnitude**2, found.horizontal**2 + found.vertical**2)


def test_sobel_equals_scipy():
    plane = IMAGES[1, 2]
    found = spatial_gradients(IMAGES, "sobel")
    for axis, ours in ((1, found.horizontal), (0, found.vertical)):
        expected = torch.from_numpy(ndimage.sobel(plane.numpy(), axis=axis, mode="nearest")) / 8
        torch.testing.assert_close(ours[1, 2], expected)


@pytest.mark.parametrize("scheme", ["forward", "central", "sobel"])
def test_a_ramp_has_its_slope_and_gradients_flow(scheme):
    rows, columns = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    found = spatial_gradients((2 * rows - 3 * columns)[None, None], scheme)
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(found.horizontal[inner], torch.full((1, 1, 3, 4), -3.0))
    torch.testing.assert_close(found.vertical[inner], torch.full((1, 1, 3, 4), 2.0))
    assert gradcheck(lambda x: spatial_gradients(x, scheme).horizontal, IMAGES[:1].clone().requires_grad_())


def test_messages():
    with pytest.raises(InputError, match=r"shape \[3, 5, 6\]"):
        spatial_gradients(IMAGES[0])
    with pytest.raises(InputError, match="torch.uint8"):
        spatial_gradients((IMAGES * 255).byte())
    with pytest.raises(InputError, match="'sobol'; expected sobel"):
        spatial_gradients(IMAGES, "sobol")
