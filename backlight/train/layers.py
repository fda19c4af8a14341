"""A network's layers in order, for freezing the first ones and for rates that differ from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from backlight.core.errors import ModelError, UsageError
from backlight.core.random import Random


def layer_groups(module: nn.Module) -> list[list[str]]:
    """Group parameter names by layer, from the input to the output.

    A layer is a child of the module; where a child is a plain `nn.Sequential` or a list, its members are.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    >>> layer_groups(net)
    [['0.weight', '0.bias'], ['3.weight', '3.bias']]
    """
    groups = []
    for prefix, part in _parts(module, ""):
        names = [prefix + name for name, _ in part.named_parameters()]
        if names:
            groups.append(names)
    own = [name for name, _ in module.named_parameters(recurse=False)]
    return [own, *groups] if own else groups


def _parts(module: nn.Module, prefix: str) -> list[tuple[str, nn.Module]]:
    parts: list[tuple[str, nn.Module]] = []
    for name, child in module.named_children():
        if type(child) in (nn.Sequential, nn.ModuleList):
            parts += _parts(child, f"{prefix}{name}.")
        else:
            parts.append((f"{prefix}{name}.", child))
    return parts


def freeze(module: nn.Module, count: int) -> frozenset[str]:
    """Name the parameters of the first `count` layers; a negative count leaves the last ones free.

    Raises UsageError when nothing would be left to train, and when a negative count leaves all of them free.

    >>> sorted(freeze(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), -1))
    ['0.bias', '0.weight']
    """
    groups = layer_groups(module)
    frozen = groups[:count] if count else []
    if count < 0 and not frozen:
        raise UsageError(
            f"freeze={count} of {len(groups)} layers freezes nothing",
            expected=f"{1 - len(groups)} to {len(groups) - 1}",
        )
    if len(frozen) == len(groups):
        raise UsageError(f"freeze={count} of {len(groups)} layers", expected="at least one layer left to train")
    return frozenset(name for names in frozen for name in names)


def hold_frozen(module: nn.Module, frozen: frozenset[str]) -> None:
    """Fix named parameters, and put the layers before the first free one at rest.

    >>> net = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)).train()
    >>> hold_frozen(net, frozenset({"0.weight", "0.bias"}))
    >>> net[0].training, net[1].weight.requires_grad
    (False, True)
    """
    for name, parameter in module.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    rest_frozen(module, frozen)


def rest_frozen(module: nn.Module, frozen: frozenset[str]) -> None:
    """Put all layers before the first free one into evaluation mode: statistics, and dropout that has no parameters.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2)).train()
    >>> rest_frozen(net, frozenset({"0.weight", "0.bias"}))
    >>> [part.training for part in net]
    [False, False, True]
    """
    if not frozen:
        return
    for prefix, part in _parts(module, ""):
        if any(prefix + name not in frozen for name, _ in part.named_parameters()):
            return
        part.eval()


def find_head(module: nn.Module) -> str:
    """Name the last linear layer; raises ModelError where there is none.

    >>> find_head(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    '1'
    """
    linear = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise ModelError(
            f"{type(module).__name__} has no linear layer", expected="a linear layer that gives the logits"
        )
    return linear[-1]


def replace_head(module: nn.Module, classes: int, seed: int) -> None:
    """Put a new linear layer for `classes` in the place of the last one; its weights depend on `seed` alone.

    Weights are uniform within 1/sqrt(inputs), as `nn.Linear` draws them, and the biases zero.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1000))
    >>> replace_head(net, 10, seed=0)
    >>> net[1].weight.shape
    torch.Size([10, 4])
    """
    name = find_head(module)
    old = module.get_submodule(name)
    assert isinstance(old, nn.Linear)
    head = nn.Linear(old.in_features, classes, device=old.weight.device, dtype=old.weight.dtype)
    drawn = Random((seed, "head"), torch.arange(classes)).uniform(old.in_features)
    with torch.no_grad():
        head.weight.copy_((2 * drawn - 1) / old.in_features**0.5)
        head.bias.zero_()
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, head)


def order_head(module: nn.Module, rows: Sequence[int]) -> None:
    """Bring the outputs of the last linear layer into another order: `rows` are their places before.

    >>> net = nn.Linear(1, 2)
    >>> before = net.weight.detach().clone()
    >>> order_head(net, [1, 0])
    >>> torch.equal(net.weight, before.flip(0))
    True
    """
    if list(rows) == list(range(len(rows))):
        return
    head = module if isinstance(module, nn.Linear) else module.get_submodule(find_head(module))
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(head.weight[list(rows)])
        if head.bias is not None:
            head.bias.copy_(head.bias[list(rows)])
