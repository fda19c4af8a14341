"""A network as a list of steps, in the order in which they are run: what bounds are propagated through."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, fx, nn

from backlight.bounds.layers import BATCH_SIZE, CALLS, SUMS, Known, known_layer, known_sum
from backlight.bounds.statistics import Statistics, running
from backlight.core.errors import LayerError, ModelError

Kind = Literal["input", "affine", "relu", "max"]
SMOOTH = "randomized smoothing takes any network"


@dataclass(frozen=True)
class Step:
    """One operation of a network: its kind, the steps whose outputs it takes, and how it is computed.

    `apply` takes the inputs' values `[B,...]`; `spread` what radii around them may become, for an affine step the
    same with absolute weights and without its bias. `alias` and `in_place` tell where the network puts the output.

    >>> Step("double", "affine", (0,), lambda values: 2 * values, lambda radius: 2 * radius).apply(3)
    6
    """

    name: str
    kind: Kind
    inputs: tuple[int, ...]
    apply: Callable[..., Tensor]
    spread: Callable[..., Tensor]
    alias: bool = False
    in_place: bool = False


def steps_of(module: nn.Module, statistics: Statistics = running) -> tuple[Step, ...]:
    """List the steps of a module, the input first and the output last; BatchNorm normalizes by `statistics`.

    Raises LayerError that names what has no known bounds, ModelError for modules whose path depends on their input,
    that are hooked into, or that overwrite what they still need.

    >>> [step.kind for step in steps_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))]
    ['input', 'affine', 'affine', 'relu', 'affine']
    """
    _check_hooks(module)
    places: dict[fx.Node, int] = {}
    steps: list[Step] = []
    unknown: list[str] = []
    for node in _traced(module).nodes:
        if node.op == "placeholder":
            if steps:
                raise ModelError("the model takes more than one input", hint="bounds are for one picture at a time")
            places[node] = len(steps)
            steps.append(Step("input", "input", (), _itself, _itself))
            continue
        if node.op == "output":
            return _ended(steps, places, node.args[0], unknown)
        if _is_size(node):
            continue
        known = _known(node, module, statistics)
        if isinstance(known, str):
            unknown.append(known)
            known = Known("affine", _itself, _itself)
        places[node] = len(steps)
        inputs = tuple(places[one] for one in _called(node)[0] if isinstance(one, fx.Node) and one in places)
        steps.append(Step(node.name, known.kind, inputs, known.apply, known.spread, known.alias, known.in_place))
    raise ModelError("the model returns nothing")


def run_steps(steps: Sequence[Step], values: Tensor) -> list[Tensor]:
    """Compute what every step returns for the network's normalized input `[B,...]`.

    >>> import torch
    >>> run_steps(steps_of(nn.Sequential(nn.ReLU())), torch.tensor([[-1.0, 2.0]]))[-1]
    tensor([[0., 2.]])
    """
    found = [values]
    for step in steps[1:]:
        found.append(step.apply(*(found[one] for one in step.inputs)))
    return found


def _check_hooks(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if part._forward_hooks or part._forward_pre_hooks:  # noqa: SLF001 (torch has no other way to ask)
            raise ModelError(
                f"{name or 'the model'} ({type(part).__name__}) has hooks, which may change what it computes",
                expected="a network whose layers alone say what it computes",
                hint=SMOOTH,
            )


def _traced(module: nn.Module) -> fx.Graph:
    tracer = fx.Tracer()
    try:
        return tracer.trace(module)
    # User code of any kind runs here, on values that are none: what it raises says only that it looks at them.
    except Exception as error:
        raise ModelError(
            f"its path depends on its input ({type(error).__name__}: {error})",
            hint=f"bounds need a network without branches; {SMOOTH}",
        ) from error


def _ended(steps: list[Step], places: dict[fx.Node, int], value: object, unknown: Sequence[str]) -> tuple[Step, ...]:
    if unknown:
        raise LayerError(
            f"no bounds are known for {', '.join(dict.fromkeys(unknown))}",
            expected="linear layers, convolutions, ReLU, pooling, BatchNorm, flattening and sums",
            hint=SMOOTH,
        )
    if not isinstance(value, fx.Node) or places.get(value) != len(steps) - 1:
        raise ModelError("the model returns something else than its last step", expected="one tensor of logits")
    _check_overwriting(steps)
    return tuple(steps)


def _check_overwriting(steps: Sequence[Step]) -> None:
    """Refuse a network that reads a value after a step in place has overwritten it: bounds keep every value."""
    memory: list[int] = []
    writer: dict[int, int] = {}
    for place, step in enumerate(steps):
        for one in step.inputs:
            last = writer.get(memory[one])
            if last is not None and one < last:
                raise ModelError(
                    f"{steps[last].name} overwrites what {step.name} still reads",
                    expected="a network that keeps what it needs, as with inplace=False",
                    hint=SMOOTH,
                )
        memory.append(memory[step.inputs[0]] if step.alias else place)
        if step.in_place:
            writer[memory[place]] = place


def _known(node: fx.Node, module: nn.Module, statistics: Statistics) -> Known | str:
    """Return how a node is computed, or what it is called where that is not known."""
    arguments, options = _called(node)
    tensors = [one for one in arguments if isinstance(one, fx.Node) and not _is_size(one)]
    rest = [_settled(one) for one in arguments if not any(one is tensor for tensor in tensors)]
    if node.op == "call_module":
        found = known_layer(module.get_submodule(str(node.target)), statistics)
        if rest or options or len(tensors) != 1:
            return f"{node.target} with more than one argument"
        return f"{node.target} ({found})" if isinstance(found, str) else found
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    if node.op not in ("call_function", "call_method") or _holds_nodes([*rest, *options.values()]):
        return str(name)
    if node.target in SUMS and len(tensors) == 2 and not rest and not options:
        return known_sum(in_place=SUMS[node.target])
    if node.target not in CALLS or len(tensors) != 1:
        return str(name)
    made = CALLS[node.target](rest, options)
    return f"{name} {made}" if isinstance(made, str) else made


def _called(node: fx.Node) -> tuple[list[Any], Mapping[str, Any]]:
    """Return a call's arguments, the tensor first even where it is given by its keyword, and its options."""
    options = dict(node.kwargs)
    first = [options.pop("input")] if "input" in options else []
    return [*first, *node.args], options


def _settled(argument: Any) -> Any:
    """Put BATCH_SIZE where a shape holds the number of pictures."""
    if isinstance(argument, (list, tuple)):
        return [_settled(one) for one in argument]
    return BATCH_SIZE if isinstance(argument, fx.Node) and _is_batch_size(argument) else argument


def _holds_nodes(values: Sequence[Any]) -> bool:
    return any(_holds_nodes(one) if isinstance(one, list) else isinstance(one, fx.Node) for one in values)


def _is_size(node: fx.Node) -> bool:
    """Tell a node that asks for a shape, and is used for the number of pictures only or not at all."""
    if _is_batch_size(node):
        return True
    if _is_shape(node):
        return all(_is_size(user) for user in node.users)
    return _is_part(node) and _is_shape(node.args[0]) and not node.users


def _is_batch_size(node: fx.Node) -> bool:
    if node.op == "call_method" and node.target == "size":
        return bool(node.args[1:] == (0,) or node.kwargs == {"dim": 0})
    return _is_part(node) and _is_shape(node.args[0]) and bool(node.args[1] == 0)


def _is_part(node: fx.Node) -> bool:
    return node.op == "call_function" and node.target is operator.getitem


def _is_shape(node: Any) -> bool:
    if not isinstance(node, fx.Node):
        return False
    if node.op == "call_function" and node.target is getattr:
        return bool(node.args[1] == "shape")
    return node.op == "call_method" and node.target == "size" and len(node.args) == 1 and not node.kwargs


def _itself(values: Tensor) -> Tensor:
    return values
