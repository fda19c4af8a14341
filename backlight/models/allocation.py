"""Building a network within a limit of values, so that sizes in a name or a file cannot take all memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from backlight.core.errors import ModelError
from backlight.models.blueprint import ModelShape

MOST_VALUES = 2**33
"""Values of a network whose sizes a person states: the largest image encoders have 5 thousand million."""

_MOST_TENSORS = 10_000
_BESIDE = 2**27  # a head of other classes than the weights', and what is drawn on the way


@contextmanager
def limited_values(most: int, expected: str) -> Iterator[None]:
    """Refuse a tensor before it is allocated where this thread has created more than `most` values or 10,000 tensors.

    Raises ModelError, which says what was `expected`.

    >>> with limited_values(100, "a small network"):
    ...     nn.Linear(1000, 1000)
    Traceback (most recent call last):
    ...
    backlight.core.errors.ModelError: a network of more than 100 values; expected a small network
    """
    with _Counting(most, expected):
        yield


def beside_weights(build: Callable[[ModelShape], nn.Module], weights: Path) -> Callable[[ModelShape], nn.Module]:
    """Return `build` with the limit that a file of weights sets: it cannot fill a network much larger than itself.

    >>> build = beside_weights(lambda shape: nn.Linear(shape.classes or 1, 2**28), Path("absent.safetensors"))
    >>> build(ModelShape(classes=3))
    Traceback (most recent call last):
    ...
    backlight.core.errors.ModelError: a network of more than 134,217,728 values; expected the one of absent.safetensors
    """

    def limited(shape: ModelShape) -> nn.Module:
        size = weights.stat().st_size if weights.exists() else 0
        with limited_values(size + _BESIDE, f"the one of {weights}"):
            return build(shape)

    return limited


class _Counting(TorchDispatchMode):
    def __init__(self, most: int, expected: str) -> None:
        super().__init__()
        self.most, self.expected = most, expected
        self.values = self.tensors = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        arguments = func._schema.arguments
        if args and arguments and arguments[0].name == "size":
            self.values += math.prod(args[0])
            self.tensors += 1
            if self.values > self.most:
                raise ModelError(f"a network of more than {self.most:,} values", expected=self.expected)
            if self.tensors > _MOST_TENSORS:
                raise ModelError(f"a network of more than {_MOST_TENSORS:,} tensors", expected=self.expected)
        return func(*args, **(kwargs or {}))
