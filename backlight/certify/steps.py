"""A network as a list of steps, in the order in which they are run: what bounds are propagated through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, fx, nn

from backlight.certify.layers import FUNCTIONS, METHODS, Known, flattening, known_layer
from backlight.core.errors import LayerError, ModelError

Kind = Literal["input", "affine", "relu", "max"]


@dataclass(frozen=True)
class Step:
    """One operation of a network: its kind, the steps whose outputs it takes, and how it is computed.

    `apply` takes the inputs' values `[B,...]`; `spread` what radii around them may become, for an affine step the
    same with absolute weights and without its bias.
    """

    name: str
    kind: Kind
    inputs: tuple[int, ...]
    apply: Callable[..., Tensor]
    spread: Callable[..., Tensor]


def steps_of(module: nn.Module) -> tuple[Step, ...]:
    """List the steps of a module, the input first and the output last.

    Raises LayerError that names what has no known bounds, ModelError for modules whose path depends on their input.

    >>> [step.kind for step in steps_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))]
    ['input', 'affine', 'affine', 'relu', 'affine']
    """
    nodes = list(_traced(module).nodes)
    places: dict[fx.Node, int] = {}
    steps: list[Step] = []
    unknown: list[str] = []
    for node in nodes:
        if node.op == "placeholder":
            if steps:
                raise ModelError("the model takes more than one input", hint="bounds are for one picture at a time")
            places[node] = len(steps)
            steps.append(Step("input", "input", (), _itself, _itself))
            continue
        if node.op == "output":
            (value,) = node.args
            return _ended(steps, places, value, unknown)
        if _is_batch_size(node):
            continue
        known = _known(node, module)
        if isinstance(known, str):
            unknown.append(known)
            known = Known("affine", _itself, _itself)
        places[node] = len(steps)
        inputs = tuple(places[one] for one in node.args if isinstance(one, fx.Node) and one in places)
        steps.append(Step(node.name, known.kind, inputs, known.apply, known.spread))
    raise ModelError("the model returns nothing")


def _traced(module: nn.Module) -> fx.Graph:
    tracer = fx.Tracer()
    try:
        return tracer.trace(module)
    # User code of any kind runs here, on values that are none: what it raises says only that it looks at them.
    except Exception as error:
        raise ModelError(
            f"its path depends on its input ({type(error).__name__}: {error})",
            hint="bounds need a network without branches; randomized smoothing takes any",
        ) from error


def _ended(steps: list[Step], places: dict[fx.Node, int], value: object, unknown: Sequence[str]) -> tuple[Step, ...]:
    if unknown:
        named = ", ".join(dict.fromkeys(unknown))
        raise LayerError(
            f"no bounds are known for {named}",
            expected="linear layers, convolutions, ReLU, pooling, BatchNorm, flattening and sums",
            hint="randomized smoothing takes any network",
        )
    if not isinstance(value, fx.Node) or places[value] != len(steps) - 1:
        raise ModelError("the model returns something else than its last step", hint="one tensor of logits")
    return tuple(steps)


def _known(node: fx.Node, module: nn.Module) -> Known | str:
    """Return how a node is computed, or what it is called where that is not known."""
    tensors = [one for one in node.args if isinstance(one, fx.Node) and not _is_batch_size(one)]
    # A shape that begins with the batch's own size is the same shape for batches of any size.
    rest = [-1 if isinstance(one, fx.Node) else one for one in node.args if one not in tensors]
    if rest == [-1, -1] and node.target in ("view", "reshape"):
        return flattening()
    if node.op == "call_module":
        inner = module.get_submodule(str(node.target))
        return known_layer(inner) or f"{node.target} ({type(inner).__name__})"
    table = FUNCTIONS if node.op == "call_function" else METHODS if node.op == "call_method" else {}
    make = table.get(node.target)
    made = None if make is None else make(len(tensors), rest, dict(node.kwargs))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    return made or str(name)


def _is_batch_size(node: fx.Node) -> bool:
    return node.op == "call_method" and node.target == "size" and node.args[1:] == (0,)


def _itself(values: Tensor) -> Tensor:
    return values
