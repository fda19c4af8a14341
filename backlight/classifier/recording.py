"""One forward pass that keeps the outputs of named layers.

A layer is a submodule's name (`layer4.1.conv2`); where a submodule runs several times in one pass, a call is
named by its number (`relu#1` is the second call). `logits` is the module's own output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from backlight.classifier.guard import in_this_thread
from backlight.classifier.returned import Output, call_module, named_as_the_models, shape_of
from backlight.core.errors import LayerError, UsageError, did_you_mean
from backlight.core.grammar import parse_whole

LOGITS = "logits"


@dataclass(frozen=True)
class Layer:
    """One submodule as a dry run saw it: `shape` is the first call's output for one image."""

    name: str
    type: str
    shape: tuple[int, ...]
    calls: int


class Pass(NamedTuple):
    """What one pass kept: the outputs of layers by name, and the module's own where it was wanted."""

    layers: dict[str, Tensor]
    output: Output | None


class _AllRecorded(BaseException):
    """Raised inside the forward pass to stop it at the deepest layer that is wanted.

    No Exception: a network may catch these itself and go on by another way.
    """


def record_layers(module: nn.Module, inputs: Tensor, layers: Iterable[str], *, width: int | None = None) -> Pass:
    """Run `module` once and return the outputs of `layers`, differentiable in the caller's grad mode.

    The pass stops at the deepest wanted layer unless `logits` is wanted, for which the module's output `[B,K]` is
    looked up as `call_module` says. Each recorded tensor is the one that the rest of the network consumed a copy of,
    so a later in-place operation cannot change it.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> record_layers(net, torch.zeros(1, 1, 2, 2), ["0", "logits"]).layers.keys()
    dict_keys(['0'])
    """
    wanted = set(layers)
    outputs: dict[str, Tensor] = {}
    inner = wanted - {LOGITS}
    handles = _attach(module, inner, outputs, stop_early=LOGITS not in wanted)
    output = None
    try:
        with _eager(module):
            output = call_module(module, inputs, width=width)
    except _AllRecorded:  # every layer that was asked for has run: the rest of the pass is not needed
        pass
    finally:
        for handle in handles:
            handle.remove()
    missing = inner - set(outputs)
    if missing:
        raise LayerError(f"layer {sorted(missing)[0]!r} did not run in the forward pass", expected="a layer that runs")
    return Pass(outputs, output)


def _attach(
    module: nn.Module, wanted: set[str], outputs: dict[str, Tensor], *, stop_early: bool
) -> list[RemovableHandle]:
    by_module: dict[str, dict[int, str]] = {}
    for layer in wanted:
        name, call = split_call(layer)
        by_module.setdefault(name, {})[call] = layer
    modules = dict(module.named_modules()) if by_module else {}
    handles: list[RemovableHandle] = []
    for name, calls in by_module.items():
        if name not in modules:
            for handle in handles:
                handle.remove()
            raise LayerError(f"no layer {name!r}", hint=did_you_mean(name, modules))
        keep = _keeper(name, calls, outputs, wanted, stop_early)
        handles.append(modules[name].register_forward_hook(in_this_thread(keep)))
    return handles


def _keeper(
    name: str, calls: dict[int, str], outputs: dict[str, Tensor], wanted: set[str], stop_early: bool
) -> Callable[[nn.Module, Any, Any], Any]:
    seen = 0

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        nonlocal seen
        layer = calls.get(seen)
        seen += 1
        if layer is None:
            return None
        if not isinstance(output, Tensor):
            raise LayerError(
                f"layer {name!r} returns {type(output).__name__}", expected="a layer that returns one tensor"
            )
        outputs[layer] = output
        if stop_early and wanted <= set(outputs):
            raise _AllRecorded
        return output.clone()

    return keep


def split_call(layer: str) -> tuple[str, int]:
    """Split `name#k` into the submodule's name and the number of the call.

    >>> split_call("relu#1"), split_call("layer4")
    (('relu', 1), ('layer4', 0))
    """
    name, mark, call = layer.partition("#")
    try:
        return name, parse_whole(call, low=0) if mark else 0
    except UsageError:
        raise LayerError(f"layer {layer!r}", expected="NAME or NAME#NUMBER, as in 'relu#1'") from None


def list_layers(module: nn.Module, inputs: Tensor) -> tuple[Layer, ...]:
    """Run `module` once and list every submodule that returned a tensor, in the order of their first calls."""
    if isinstance(module, torch.jit.ScriptModule):
        raise LayerError("the model is a TorchScript module", expected="an eager nn.Module, whose layers can be seen")
    found: dict[str, Layer] = {}
    handles = []

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(part: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                earlier = found.get(name)
                calls = earlier.calls + 1 if earlier else 1
                shape = earlier.shape if earlier else tuple(output.shape)
                found[name] = Layer(name, type(part).__name__, shape, calls)

        return hook

    try:
        for name, part in module.named_modules():
            if name:
                handles.append(part.register_forward_hook(in_this_thread(note(name))))
        with torch.no_grad(), _eager(module), named_as_the_models(f"given {shape_of(inputs)}"):
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(found.values())


@contextmanager
def _eager(module: nn.Module) -> Iterator[None]:
    # Hooks and function modes do not reach inside a compiled graph.
    compiled = any(part._compiled_call_impl is not None for part in module.modules())
    with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
        yield
