"""The registry of our own networks: names, default shapes, options, and keyed construction."""

from __future__ import annotations

import importlib
import inspect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backlight.errors import InputError, UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Network:
    """Describe one of our networks: its class, and the images and classes it was made for.

    >>> Network("classic_cnn", "ClassicCNN", (32, 32), 10, 8, "four convolutions").size
    (32, 32)
    """

    name: str
    type: str
    size: tuple[int, int]  # height and width in pixels
    classes: int
    smallest: int  # the smallest side that leaves something to classify
    summary: str


_NETWORKS = (
    Network("classic_cnn", "ClassicCNN", (32, 32), 10, 8, "four convolutions, two linear layers"),
    Network("residual_cnn", "ResidualCNN", (32, 32), 10, 8, "classic_cnn with two residual blocks"),
    Network("simple_net", "SimpleNet", (128, 128), 100, 16, "plain ImageNet-style network"),
    Network("simple_net_bn", "SimpleNetBN", (128, 128), 100, 16, "simple_net with batch normalization"),
    Network("deep_net", "DeepNet", (128, 128), 100, 1, "ten convolutions with batch normalization"),
    Network("speed_cnn", "SpeedCNN", (32, 32), 10, 9, "airbench: whitening, identity start, fast biases"),
    Network("vit", "ViT", (32, 32), 10, 1, "small vision transformer, windows optional"),
    Network("cct", "CCT", (32, 32), 10, 1, "compact convolutional transformer"),
)


def names() -> tuple[str, ...]:
    """List the names of our networks.

    >>> names()[:2]
    ('classic_cnn', 'residual_cnn')
    """
    return tuple(network.name for network in _NETWORKS)


def describe(name: str) -> Network:
    """Look a network up by its name; raise `UsageError` naming the nearest for an unknown one.

    >>> describe("simple_net").size
    (128, 128)
    """
    for network in _NETWORKS:
        if network.name == name:
            return network
    raise UsageError(f"no network is called {name!r}", hint=did_you_mean(name, names()))


def options(name: str) -> dict[str, Any]:
    """List the options of a network with their defaults.

    >>> options("speed_cnn")
    {'width': 'base'}
    """
    parameters = inspect.signature(_type_of(describe(name))).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def build(
    name: str,
    classes: int | None = None,
    size: int | tuple[int, int] | None = None,
    channels: int = 3,
    *,
    seed: int = 0,
    **given: Any,
) -> nn.Module:
    """Build one of our networks with random weights that depend on `seed` alone.

    The global random state is neither read nor changed. `classes` and `size` (one side, or height and
    width) default to what the network was made for; `given` are its options, where strings are read as the
    type of the default. Raises `UsageError` for unknown names and options and for sizes that do not fit.

    >>> first, second = build("classic_cnn", seed=1), build("classic_cnn", seed=1)
    >>> bool((first.head.weight == second.head.weight).all())
    True
    """
    import torch

    network = describe(name)
    sides = network.size if size is None else (size, size) if isinstance(size, int) else tuple(size)
    classes = network.classes if classes is None else classes
    if len(sides) != 2 or min(sides) < network.smallest:
        expected = f"height and width of at least {network.smallest}"
        raise UsageError(f"{name} was given the size {sides}", expected=expected)
    if classes < 1 or channels < 1:
        raise UsageError(f"{name} was given {classes} classes and {channels} channels", expected="at least 1")
    chosen = _read_options(name, given)
    # torch.manual_seed would also reseed accelerators; weights are drawn on the CPU alone.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        try:
            return _type_of(network)(classes, sides, channels, **chosen)
        except InputError as error:
            raise UsageError(f"{name}: {error.found}", expected=error.expected, hint=error.hint) from None


def _type_of(network: Network) -> type[nn.Module]:
    module = importlib.import_module(f"backlight.models.{network.name.removesuffix('_bn')}")
    return getattr(module, network.type)


def _read_options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Check option names and turn strings into the type of the option's default."""
    if not given:
        return {}
    known = options(name)
    for key in given:
        if key not in known:
            hint = did_you_mean(key, known) if known else "it has none"
            raise UsageError(f"{name} has no option {key!r}", hint=hint)
    return {key: _read_value(f"{name}:{key}", value, known[key]) for key, value in given.items()}


def _read_value(place: str, value: Any, default: Any) -> Any:
    """Read a value as the type of the default; numbers are sizes and counts, so they must be positive."""
    if isinstance(default, str):
        return value
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        read = words[str(value).lower()] if isinstance(default, bool) else type(default)(str(value))
    except (KeyError, ValueError):
        raise UsageError(f"{place} is {value!r}", expected=f"a value like {default}") from None
    if not isinstance(read, bool) and not 0 < read < math.inf:
        raise UsageError(f"{place} is {value!r}", expected="a positive number")
    return read
