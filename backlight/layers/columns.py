"""A convolution as matrix products over columns, and its two derivatives as matrix products too.

The column of an output place holds the inputs its kernel sees. With columns side by side, convolution is
`weight @ columns`, the gradient for the weight `grad_output @ columnsᵀ`, and the gradient for the input
`weightᵀ @ grad_output` added back to where each entry came from (Chellapilla et al., 2006). Columns repeat
every input `kernel height x kernel width` times, so they are never kept: each pass refills one buffer that
holds the columns of a few images.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

COLUMN_BYTES = 16 * 2**20  # a chunk's columns; large enough for fast products, small beside any batch


@dataclass(frozen=True)
class Geometry:
    """Describe how a kernel moves over an image; every pair is (height, width).

    >>> Geometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(1, 1), groups=1).output_size((8, 9))
    (4, 5)
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of the output for an input's; below 1 when the kernel does not fit."""
        each = zip(size, self.kernel, self.stride, self.padding, self.dilation)
        height, width = (
            (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for n, kernel, stride, padding, dilation in each
        )
        return height, width


class Columns:
    """Hold the one buffer through which the images of a batch pass, chunk by chunk.

    >>> images = torch.arange(9.0).view(1, 1, 3, 3)
    >>> geometry = Geometry((2, 2), (1, 1), (0, 0), (1, 1), groups=1)
    >>> columns = Columns(images.shape, geometry, images)
    >>> columns.fill(images)[0, :, 0]
    tensor([0., 1., 3., 4.])
    """

    def __init__(self, shape: torch.Size | tuple[int, ...], geometry: Geometry, like: Tensor) -> None:
        """Allocate for inputs `[B, C, H, W]` of `shape`, with the dtype and device of `like`."""
        self.batch, self.channels, self.height, self.width = shape
        self.geometry = geometry
        self.places = geometry.output_size((self.height, self.width))
        per_image = self.channels * geometry.kernel[0] * geometry.kernel[1] * self.places[0] * self.places[1]
        self.chunk = max(1, min(self.batch, COLUMN_BYTES // (per_image * like.element_size())))
        self.buffer = like.new_empty(self.chunk * per_image)
        down, right = geometry.padding
        self.padded = like.new_zeros(self.chunk, self.channels, self.height + 2 * down, self.width + 2 * right)

    def chunks(self) -> Iterator[slice]:
        """Yield the slices of the batch that fit the buffer."""
        for first in range(0, self.batch, self.chunk):
            yield slice(first, min(first + self.chunk, self.batch))

    def fill(self, images: Tensor) -> Tensor:
        """Copy a chunk `[n, C, H, W]` into columns `[groups, C/groups * kh * kw, n * places]`."""
        count = len(images)
        self._inside(count).copy_(images)
        self._entries(count).copy_(self._seen(count))
        return self.matrix(count)

    def matrix(self, count: int) -> Tensor:
        """View the buffer as the columns of `count` images, one matrix for each group."""
        groups = self.geometry.groups
        rows = self.channels // groups * self.geometry.kernel[0] * self.geometry.kernel[1]
        places = count * self.places[0] * self.places[1]
        return self.buffer[: groups * rows * places].view(groups, rows, places)

    def fold(self, count: int) -> Tensor:
        """Add the buffer's columns back to their places; returns a view `[n, C, H, W]`, valid until reuse."""
        target = self.padded[:count].zero_()
        entries = self._entries(count)
        (high, wide), (down, right) = self.geometry.stride, self.geometry.dilation
        rows, columns = (self.places[0] - 1) * high + 1, (self.places[1] - 1) * wide + 1
        for i in range(self.geometry.kernel[0]):
            for j in range(self.geometry.kernel[1]):
                top, left = i * down, j * right
                seen = target[:, :, top : top + rows : high, left : left + columns : wide]
                seen += entries[:, i, j].transpose(0, 1)
        return self._inside(count)

    def _inside(self, count: int) -> Tensor:
        """View the padded images without their border."""
        top, left = self.geometry.padding
        return self.padded[:count, :, top : top + self.height, left : left + self.width]

    def _entries(self, count: int) -> Tensor:
        """View the buffer as `[C, kh, kw, n, height, width]` of the output's places."""
        return self.matrix(count).view(self.channels, *self.geometry.kernel, count, *self.places)

    def _seen(self, count: int) -> Tensor:
        """View the padded images in the same order, without copying: overlapping kernels share memory."""
        image, channel, row, column = self.padded.stride()
        (high, wide), (down, right) = self.geometry.stride, self.geometry.dilation
        strides = (channel, row * down, column * right, image, row * high, column * wide)
        shape = (self.channels, *self.geometry.kernel, count, *self.places)
        return self.padded.as_strided(shape, strides)


def convolve(images: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Convolve `[B, C, H, W]` with `[O, C/groups, kh, kw]`.

    >>> geometry = Geometry((2, 2), (1, 1), (0, 0), (1, 1), groups=1)
    >>> convolve(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2), None, geometry).flatten()
    tensor([4., 4., 4., 4.])
    """
    columns = Columns(images.shape, geometry, images)
    output = _empty((len(images), len(weight), *columns.places), images, weight)
    kernels = _by_group(weight, geometry)
    with _no_autocast(images):
        for chunk in columns.chunks():
            product = torch.matmul(kernels, columns.fill(images[chunk]))
            output[chunk] = product.view(len(weight), -1, *columns.places).transpose(0, 1)
    if bias is not None:
        output += bias[:, None, None]
    return output


def input_gradient(grad_output: Tensor, weight: Tensor, geometry: Geometry, shape: tuple[int, ...]) -> Tensor:
    """Return the gradient for images of `shape` `[B, C, H, W]` from that of the output.

    >>> geometry = Geometry((2, 2), (1, 1), (0, 0), (1, 1), groups=1)
    >>> input_gradient(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), geometry, (1, 1, 3, 3))[0, 0, 1]
    tensor([2., 4., 2.])
    """
    columns = Columns(shape, geometry, grad_output)
    gradient = _empty(shape, grad_output, weight)
    kernels = _by_group(weight, geometry).transpose(1, 2)
    with _no_autocast(grad_output):
        for chunk in columns.chunks():
            arriving = _by_place(grad_output[chunk], geometry)
            count = len(grad_output[chunk])
            torch.matmul(kernels, arriving, out=columns.matrix(count))
            gradient[chunk] = columns.fold(count)
    return gradient


def weight_gradient(grad_output: Tensor, images: Tensor, geometry: Geometry, shape: tuple[int, ...]) -> Tensor:
    """Return the gradient for a weight of `shape` `[O, C/groups, kh, kw]` from that of the output.

    >>> geometry = Geometry((2, 2), (1, 1), (0, 0), (1, 1), groups=1)
    >>> weight_gradient(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 3, 3), geometry, (1, 1, 2, 2)).flatten()
    tensor([4., 4., 4., 4.])
    """
    columns = Columns(images.shape, geometry, images)
    # Half precision would lose the small terms of a sum over the whole batch.
    precision = torch.promote_types(images.dtype, torch.float32)
    total = images.new_zeros(shape, dtype=precision)
    by_group = _by_group(total, geometry)
    with _no_autocast(images):
        for chunk in columns.chunks():
            arriving = _by_place(grad_output[chunk], geometry)
            by_group += torch.matmul(arriving, columns.fill(images[chunk]).transpose(1, 2))
    return total.to(images.dtype)


def _no_autocast(like: Tensor) -> AbstractContextManager[None]:
    """Keep the dtype that was decided at the door, also when a backward pass runs under autocast."""
    device = like.device.type
    available = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if available else nullcontext()


def _by_group(weight: Tensor, geometry: Geometry) -> Tensor:
    """Reshape a weight to one matrix `[O/groups, C/groups * kh * kw]` for each group."""
    return weight.reshape(geometry.groups, len(weight) // geometry.groups, -1)


def _by_place(grad_output: Tensor, geometry: Geometry) -> Tensor:
    """Reshape an output's gradient to one matrix `[O/groups, n * places]` for each group."""
    outputs = grad_output.shape[1]
    return grad_output.transpose(0, 1).reshape(geometry.groups, outputs // geometry.groups, -1)


def _empty(shape: tuple[int, ...], images: Tensor, weight: Tensor) -> Tensor:
    """Allocate a result that keeps the memory format of what was given."""
    last = any(t.is_contiguous(memory_format=torch.channels_last) and not t.is_contiguous() for t in (images, weight))
    memory_format = torch.channels_last if last else torch.contiguous_format
    return torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=memory_format)
