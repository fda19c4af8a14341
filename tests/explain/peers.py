"""Peers' results, without their warnings; tests that need an absent peer skip."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from torch import Tensor, nn


def captum(name: str, net: nn.Module, inputs: Tensor, *arguments: Any, **options: Any) -> Tensor:
    """Run one captum attribution class on normalized inputs."""
    attr = pytest.importorskip("captum.attr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(attr, name)(net, *arguments).attribute(inputs, **options)
