"""Which function a network ends in, seen in one pass: values alone cannot tell a sigmoid from small logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_TAILS = {
    "sigmoid": "sigmoid",
    "sigmoid_": "sigmoid",
    "hardsigmoid": "sigmoid",
    "special_expit": "sigmoid",
    "softmax": "softmax",
    "_softmax": "softmax",
    "log_softmax": "log-softmax",
    "_log_softmax": "log-softmax",
}
_COPIES = {"clone", "_to_copy", "contiguous", "cat", "stack", "clamp", "detach", "alias"}


class TailWatch(TorchDispatchMode):
    """Follow every operation inside the block, in TorchScript and exported graphs too.

    `of(output)` then names the sigmoid, softmax or log-softmax that made a tensor, through views and copies; "" for
    anything else. Tensors are known by where their values lie, so nothing is kept alive.

    >>> with TailWatch() as watch:
    ...     output = torch.zeros(2, 3).sigmoid().view(3, 2).clone()
    ...     doubled = output * 2
    >>> watch.of(output), watch.of(doubled)
    ('sigmoid', '')
    """

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[int, str] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Torch would import its compiler, which takes seconds, to say that this is not to be compiled.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = func._schema.name.partition("::")[2]
        inputs = list(_tensors(args))
        kind = _TAILS.get(name, "")
        if not kind and name in _COPIES:
            kinds = {self.of(one) for one in inputs}
            kind = kinds.pop() if len(kinds) == 1 else ""
        for one in _tensors(output):
            self._note(one, kind, is_view=not func._schema.is_mutable and _place(one) in map(_place, inputs))
        return output

    def _note(self, output: Tensor, kind: str, *, is_view: bool) -> None:
        if kind:
            self._kinds[_place(output)] = kind
        elif not is_view:
            # A new tensor may lie where a freed one lay.
            self._kinds.pop(_place(output), None)

    def of(self, output: Tensor) -> str:
        """Name the function that made a tensor: `sigmoid`, `softmax`, `log-softmax` or ""."""
        return self._kinds.get(_place(output), "")


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else 0


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
