"""Lengths and directions of perturbations, one number or direction per image."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.core.errors import InputError, UsageError, did_you_mean
from backlight.core.grammar import parse_epsilon
from backlight.core.random import Random

ORDERS = {"linf": torch.inf, "l2": 2.0, "l1": 1.0, "l0": 0.0}
"""The norms of perturbations by name; l0 counts the values that are not zero."""

Epsilon = float | str | Tensor
"""A perturbation size in pixel units: a number, text such as "8/255", or one per image as a tensor [B]."""


def check_norm(norm: str, known: object = ORDERS) -> None:
    """Raise UsageError unless `norm` is one of the known names.

    >>> check_norm("l3")
    Traceback (most recent call last):
    backlight.core.errors.UsageError: norm 'l3'; try: one of linf, l2, l1, l0
    """
    names = list(known)  # type: ignore[call-overload]
    if norm not in names:
        raise UsageError(f"norm {norm!r}", hint=did_you_mean(norm, names))


def read_epsilon(epsilon: Epsilon, norm: str) -> float | Tensor:
    """Check a perturbation size and turn its text into a number.

    Raises UsageError for text and numbers that cannot be meant, InputError for unusable tensors.

    >>> read_epsilon("8/255", "linf") == 8 / 255
    True
    """
    if not isinstance(epsilon, Tensor):
        return parse_epsilon(epsilon, norm)
    if epsilon.ndim > 1 or not epsilon.is_floating_point():
        raise InputError(f"epsilon is {epsilon.dtype} {list(epsilon.shape)}", expected="floats, one per image [B]")
    if not bool(((epsilon >= 0) & epsilon.isfinite()).all()):
        raise InputError("epsilon has negative or non-finite values", expected="0 or more")
    return epsilon


def check_epsilons(epsilon: Epsilon, norm: str, images: int) -> float | Tensor:
    """Read the size of a ball around each of so many images: one for all, or one each.

    Raises UsageError and InputError as `read_epsilon` does, and InputError for another number of sizes.

    >>> check_epsilons(torch.tensor([0.1, 0.2]), "l2", images=2)
    tensor([0.1000, 0.2000])
    """
    found = read_epsilon(epsilon, norm)
    if isinstance(found, Tensor) and found.ndim and len(found) not in (1, images):
        raise InputError(f"{len(found)} epsilons for {images} images", expected="one, or one each")
    return found


def take_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Take some rows `[A]` of a per-image tensor `[B,...]`; all of them in order are the tensor itself, not a copy.

    >>> images = torch.rand(3, 1, 2, 2)
    >>> take_rows(images, torch.arange(3)) is images, take_rows(images, torch.tensor([2])).shape
    (True, torch.Size([1, 1, 2, 2]))
    """
    if len(rows) == len(values) and bool((rows == torch.arange(len(rows), device=rows.device)).all()):
        return values
    return values[rows]


def rows_of(values: float | Tensor, rows: Tensor, like: Tensor) -> float | Tensor:
    """Take some rows of a per-image tensor and shape them `[A,1,...]` to go with `like`; share the rest.

    >>> rows_of(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([2, 0]), torch.zeros(2, 3)).tolist()
    [[0.30000001192092896], [0.10000000149011612]]
    """
    if not isinstance(values, Tensor) or values.ndim == 0:
        return values
    values = values.to(device=like.device, dtype=like.dtype)
    return per_image(values if len(values) == 1 else values[rows], like)


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Shape one value per image `[A]` as `[A,1,...]`, to go with a tensor of images.

    >>> per_image(torch.zeros(4), torch.zeros(4, 3, 8, 8)).shape
    torch.Size([4, 1, 1, 1])
    """
    return values.view(-1, *[1] * (like.ndim - 1))


def length(difference: Tensor, norm: str) -> Tensor:
    """Measure each image's norm over all its values: `[A,...]` to `[A]`.

    >>> length(torch.tensor([[3.0, -4.0]]), "l2"), length(torch.tensor([[3.0, -4.0]]), "linf")
    (tensor([5.]), tensor([4.]))
    """
    flat = difference.flatten(1)
    if norm == "linf":  # reads twice and writes nothing; vector_norm takes ten times as long on CPU
        return torch.maximum(flat.amax(1), -flat.amin(1)).abs()  # of two zeros it may take the negative one
    return torch.linalg.vector_norm(flat, ORDERS[norm], dim=1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Multiply and sum over all values of each image: two `[A,...]` to `[A]`.

    >>> dot(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([11.])
    """
    return (a * b).flatten(1).sum(1)


def unit(gradient: Tensor, random: Random) -> Tensor:
    """Scale each image's gradient to l2 length 1, however small it is; a zero one goes somewhere random.

    Dividing by the largest value first keeps the squares from under- and overflowing, so logits scaled by a
    millionth give the same direction.

    >>> unit(torch.tensor([[3e-30, 4e-30]]), Random(0, [0]))
    tensor([[0.6000, 0.8000]])
    """
    largest = length(gradient, "linf")
    zero = largest == 0
    if bool(zero.any()):
        elsewhere = random.normal(*gradient.shape[1:], stream="zero gradient", dtype=gradient.dtype)
        gradient = torch.where(per_image(zero, gradient), elsewhere, gradient)
        largest = length(gradient, "linf")
    gradient = gradient / per_image(largest, gradient)
    return gradient / per_image(length(gradient, "l2"), gradient)
