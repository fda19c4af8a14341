"""A fingerprint depends on all that decides about results, and on nothing else."""

from __future__ import annotations

import functools
import subprocess
import sys

import pytest
import torch
from torch import nn

from backlight.core.fingerprint import fingerprint

NAMES = [f"class {number}" for number in range(40)]


def scaled(x: float, by: float = 2.0) -> float:
    return by * x


def linear(weight: float) -> nn.Module:
    net = nn.Linear(1, 1)
    with torch.no_grad():
        net.weight.fill_(weight)
        net.bias.zero_()
    return net


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", b"1"),
        ([1, 2], [2, 1]),
        ([[1], 2], [[1, 2]]),
        (("ab", "c"), ("a", "bc")),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        ({"a": 1}, {"a": 2}),
        (functools.partial(scaled, by=3.0), functools.partial(scaled, by=4.0)),
        (linear(1.0), linear(2.0)),
        (lambda x: x + 1, lambda x: x + 2),
    ],
)
def test_things_that_differ_have_different_ones(one: object, other: object) -> None:
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(one)


def test_equal_things_have_the_same_one() -> None:
    assert fingerprint(linear(1.5)) == fingerprint(linear(1.5))
    strided = torch.arange(6.0).view(2, 3).T
    assert fingerprint(strided) == fingerprint(strided.contiguous())


def test_a_set_has_the_same_one_in_every_process() -> None:
    # The order of a set of strings changes from process to process.
    code = f"from backlight.core.fingerprint import fingerprint; print(fingerprint({{*{NAMES!r}}}))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert printed.strip() == fingerprint({*NAMES})
