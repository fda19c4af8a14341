"""Optimizers and their parameter groups: one rate for the step, one factor per group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from backlight.core.errors import UsageError
from backlight.train.layers import layer_groups
from backlight.train.recipe import Recipe


@runtime_checkable
class ScalesItsRates(Protocol):
    """A network some of whose parameters learn at rates of their own."""

    def learning_rate_scales(self) -> Mapping[str, float]:
        """Return the factor on the learning rate of each parameter that has one, by name."""
        ...


class Optimizer:
    """Move a module's trainable parameters by a recipe; the rate is given with every step.

    Weight decay holds for matrices and filters only, not for biases and normalizations. `layer_decay` and the
    factors that a network names itself in `learning_rate_scales()` multiply the rate. Muon (Jordan et al. 2024)
    moves filters, flattened to matrices, and inner matrices; AdamW moves the rest, at the same rate.

    >>> net = nn.Linear(2, 1)
    >>> optimizer = Optimizer(net, Recipe(optimizer="sgd", lr=0.1))
    >>> net(torch.ones(1, 2)).sum().backward()
    >>> optimizer.step(0.1)
    """

    def __init__(self, module: nn.Module, recipe: Recipe) -> None:
        groups = _groups(module, recipe)
        if not groups:
            raise UsageError("no parameter is left to train", hint="a smaller freeze")
        self._views: list[tuple[Tensor, Tensor]] = []
        self.parts = self._build(groups, module, recipe)

    def _build(self, groups: list[dict[str, Any]], module: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
        if recipe.optimizer == "sgd":
            return [torch.optim.SGD(groups, recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)]
        if recipe.optimizer == "adam":
            return [torch.optim.Adam(groups, recipe.lr)]
        if recipe.optimizer == "adamw":
            return [torch.optim.AdamW(groups, recipe.lr)]
        if not hasattr(torch.optim, "Muon"):
            raise UsageError(f"torch {torch.__version__} has no Muon", expected="torch 2.9 or newer", hint="adamw")
        outer = {id(parameter) for name in _ends(module) for parameter in [module.get_parameter(name)]}
        inner = [_only(group, lambda p: p.ndim >= 2 and id(p) not in outer) for group in groups]
        rest = [_only(group, lambda p: p.ndim < 2 or id(p) in outer) for group in groups]
        matrices = [{**group, "params": [self._matrix(p) for p in group["params"]]} for group in inner]
        parts: list[torch.optim.Optimizer] = []
        if any(group["params"] for group in matrices):
            parts.append(torch.optim.Muon(matrices, recipe.lr, momentum=recipe.momentum))
        if any(group["params"] for group in rest):
            parts.append(torch.optim.AdamW(rest, recipe.lr))
        return parts

    def _matrix(self, parameter: Tensor) -> Tensor:
        """Return the parameter's own memory as a matrix, which is all that torch's Muon takes."""
        if parameter.ndim == 2:
            return parameter
        view = _flattened(parameter.detach(), parameter).requires_grad_()
        self._views.append((view, parameter))
        return view

    def step(self, rate: float) -> None:
        """Move once at a learning rate, and let the gradients go."""
        for view, parameter in self._views:
            view.grad = None if parameter.grad is None else _flattened(parameter.grad, parameter)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group["factor"]
            part.step()
        for view, parameter in self._views:
            view.grad = parameter.grad = None
        for part in self.parts:
            part.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes, as plain data."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take a state back."""
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)


def _groups(module: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    scales = _own_scales(module)
    layers = layer_groups(module)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    seen = set[int]()  # layers that share a parameter both name it, and it is to move once
    for depth, names in enumerate(layers):
        factor = recipe.layer_decay ** (len(layers) - 1 - depth)
        for name in names:
            parameter = module.get_parameter(name)
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((factor * scales.get(name, 1.0), decay), []).append(parameter)
    return [{"params": params, "factor": factor, "weight_decay": decay} for (factor, decay), params in groups.items()]


def _flattened(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Flatten filters to a matrix, its columns in the order of the parameter's memory: of that it is a view."""
    strides = parameter.stride()
    order = sorted(range(1, parameter.ndim), key=lambda axis: -strides[axis])
    return tensor.permute(0, *order).reshape(len(tensor), -1)


def _own_scales(module: nn.Module) -> Mapping[str, float]:
    return module.learning_rate_scales() if isinstance(module, ScalesItsRates) else {}


def _ends(module: nn.Module) -> list[str]:
    """Name the parameters of the first and the last layer, where Muon is not meant to be used."""
    layers = layer_groups(module)
    return [*layers[0], *layers[-1]]


def _only(group: dict[str, Any], wanted: Any) -> dict[str, Any]:
    return {**group, "params": [parameter for parameter in group["params"] if wanted(parameter)]}
