"""The registry of our own networks: names, default shapes, options, and keyed construction."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backlight.core.errors import InputError, UsageError
from backlight.core.options import options_of, read_options
from backlight.core.plugins import Registry

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Network:
    """Describe a network: its class, and the images and classes it was made for.

    `type` is a class of modules, called with classes, (height, width), channels and options as keywords, or for our
    own its name, so that only building it imports it.

    >>> Network("classic_cnn", "ClassicCNN", (32, 32), 10, 8, "four convolutions").size
    (32, 32)
    """

    name: str
    type: str | type[nn.Module]
    size: tuple[int, int] = (32, 32)  # height and width in pixels
    classes: int = 10
    smallest: int = 1  # the smallest side that leaves something to classify
    summary: str = "a network of a plug-in"


_NETWORKS = (
    Network("classic_cnn", "ClassicCNN", (32, 32), 10, 8, "four convolutions, two linear layers"),
    Network("residual_cnn", "ResidualCNN", (32, 32), 10, 8, "classic_cnn with two residual blocks"),
    Network("strided_cnn", "StridedCNN", (32, 32), 10, 4, "few layers, for certified training"),
    Network("simple_net", "SimpleNet", (128, 128), 100, 16, "plain ImageNet-style network"),
    Network("simple_net_bn", "SimpleNetBN", (128, 128), 100, 16, "simple_net with batch normalization"),
    Network("deep_net", "DeepNet", (128, 128), 100, 1, "ten convolutions with batch normalization"),
    Network("speed_cnn", "SpeedCNN", (32, 32), 10, 9, "airbench: whitening, identity start, fast biases"),
    Network("vit", "ViT", (32, 32), 10, 1, "small vision transformer, windows optional"),
    Network("cct", "CCT", (32, 32), 10, 1, "compact convolutional transformer"),
)


def _foreign(name: str, function: Callable[..., Any]) -> Network:
    if not isinstance(function, type):
        raise UsageError(f"{name} is a function", expected="a class of modules, or a Network")
    return Network(name, function)


NETWORKS = Registry("networks", "network", _NETWORKS, Network, wrap=_foreign)


def names() -> tuple[str, ...]:
    """List the names of our networks, then those of plug-ins.

    >>> names()[:2]
    ('classic_cnn', 'residual_cnn')
    """
    return tuple(NETWORKS)


def describe(name: str) -> Network:
    """Look a network up by its name; raise `UsageError` naming the nearest for an unknown one.

    >>> describe("simple_net").size
    (128, 128)
    """
    return NETWORKS.find(name)


def options(name: str) -> dict[str, Any]:
    """List the options of a network with their defaults.

    >>> options("speed_cnn")
    {'width': 'base'}
    """
    return {option.name: option.default for option in options_of(_type_of(describe(name))).values()}


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
    width) default to what the network was made for; `given` are its options, where text is read as the type that it
    declares. Raises `UsageError` for unknown names and options and for sizes that do not fit, `ModelError` for a
    network of more than 2**33 values.

    >>> first, second = build("classic_cnn", seed=1), build("classic_cnn", seed=1)
    >>> bool((first.head.weight == second.head.weight).all())
    True
    """
    import torch

    from backlight.models.allocation import MOST_VALUES, limited_values

    network = describe(name)
    sides = network.size if size is None else (size, size) if isinstance(size, int) else tuple(size)
    classes = network.classes if classes is None else classes
    if len(sides) != 2 or min(sides) < network.smallest:
        expected = f"height and width of at least {network.smallest}"
        raise UsageError(f"{name} was given the size {sides}", expected=expected)
    if classes < 1 or channels < 1:
        raise UsageError(f"{name} was given {classes} classes and {channels} channels", expected="at least 1")
    chosen = read_settings(name, given)
    # torch.manual_seed would also reseed accelerators; weights are drawn on the CPU alone.
    limit = limited_values(MOST_VALUES, "smaller sizes and counts")
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), limit:
        torch.default_generator.manual_seed(seed)
        try:
            return _type_of(network)(classes, sides, channels, **chosen)
        except InputError as error:
            raise UsageError(f"{name}: {error.found}", expected=error.expected, hint=error.hint) from None


def _type_of(network: Network) -> type[nn.Module]:
    if not isinstance(network.type, str):
        return network.type
    module = importlib.import_module(f"backlight.models.{network.name.removesuffix('_bn')}")
    return getattr(module, network.type)


def read_settings(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read options as a network declares them; numbers are sizes and counts, so they must be positive.

    Raises UsageError for unknown names and options, and for values that do not fit.

    >>> read_settings("vit", {"depth": "2"})
    {'depth': 2}
    """
    network = describe(name)
    read = read_options(network.name, {}, given, options_of(_type_of(network)))
    for key, value in read.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and not value > 0:
            raise UsageError(f"{network.name}:{key}={value}", expected="a positive number")
    return read
