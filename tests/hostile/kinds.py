"""The kinds of models that go wrong: what makes each, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.hostile.models import (
    BreaksOnAPicture,
    Change,
    Changed,
    Counting,
    Drifting,
    NoCopy,
    Quantized,
    RaisesBackwards,
    Record,
    Unnamed,
    bright,
    broken,
    dropped,
    empty_parameter,
    half_on_meta,
    hooked,
    in_place,
    nan_gradients,
    on_meta,
    seeding,
    slow,
    small_net,
    wants_a_leaf,
)  # fmt: skip

LABELS = ("circle", "square", "triangle")


@dataclass(frozen=True)
class Kind:
    """One way in which a model goes wrong: a module or function, and what its outputs are said to be."""

    make: Callable[[], nn.Module | Callable[[Tensor], Any]]
    outputs: str | None = None
    labels: tuple[str, ...] = LABELS


def changed(after: Change, **options: Any) -> Kind:
    return Kind(lambda: Changed(after), **options)


def before(change: Callable[[Tensor], Tensor]) -> Kind:
    return Kind(lambda: Changed(before=change))


MANY = (*LABELS, *(f"class {number}" for number in range(3, 10_000)))
RANGE = torch.arange(3)

KINDS: dict[str, Kind] = {
    "nothing wrong": Kind(small_net),
    # values
    "NaN for every picture": changed(lambda x, z: z * torch.nan),
    "NaN for some pictures": changed(lambda x, z: torch.where(bright(x), torch.nan, z)),
    "NaN in one class": changed(lambda x, z: torch.where(RANGE == 1, torch.nan, z)),
    "+inf in one class": changed(lambda x, z: torch.where(RANGE == 1, torch.inf, z)),
    "one class masked by -inf": changed(lambda x, z: torch.where(RANGE == 2, -torch.inf, z)),
    "all classes -inf for some pictures": changed(lambda x, z: torch.where(bright(x), -torch.inf, z)),
    "constant": changed(lambda x, z: torch.zeros_like(z)),
    "constant with a gradient": changed(lambda x, z: z * 0),
    "logits of 1e30": changed(lambda x, z: z * 1e30),
    "logits of 1e-30": changed(lambda x, z: z * 1e-30),
    "overflows in float32": changed(lambda x, z: z * 1e38 * 10),
    # shapes
    "fewer rows than pictures": changed(lambda x, z: z[:-1] if len(z) > 1 else z),
    "more rows than pictures": changed(lambda x, z: torch.cat([z, z])),
    "one row for all": changed(lambda x, z: z.mean(0, keepdim=True)),
    "one value per picture": Kind(lambda: small_net(1)),
    "no class": changed(lambda x, z: z[:, :0]),
    "2 classes": Kind(lambda: small_net(2), labels=LABELS[:2]),
    "10,000 classes": Kind(lambda: small_net(10_000), labels=MANY),
    "more classes than labels": Kind(lambda: small_net(5)),
    "other classes in a later pass": Kind(lambda: Counting(lambda k, z: z if k < 4 else z[:, :2], buffer=False)),
    "logits [B,K,1,1]": changed(lambda x, z: z[:, :, None, None]),
    "a map of logits [B,K,H,W]": changed(lambda x, z: z[:, :, None, None].expand(-1, -1, 4, 4)),
    "logits [K] without a batch": changed(lambda x, z: z[0]),
    "a scalar": changed(lambda x, z: z.sum()),
    "columns and rows swapped": changed(lambda x, z: z.T),
    # types
    "half": Kind(lambda: small_net().half()),
    "bfloat16": Kind(lambda: small_net().bfloat16()),
    "double": Kind(lambda: small_net().double()),
    "half logits of a float32 network": changed(lambda x, z: z.half()),
    "complex": changed(lambda x, z: z.to(torch.complex64)),
    "integers": changed(lambda x, z: z.long()),
    "booleans": changed(lambda x, z: z > 0),
    "argmax": changed(lambda x, z: z.argmax(1)),
    "one-hot votes": changed(lambda x, z: F.one_hot(z.argmax(1), 3).float()),
    "rounded": changed(lambda x, z: z.round()),
    "int8 weights": Kind(Quantized),
    "sparse": changed(lambda x, z: z.to_sparse()),
    # containers
    "a tuple": changed(lambda x, z: (z, x.mean())),
    "a list": changed(lambda x, z: [z]),
    "a dictionary": changed(lambda x, z: {"features": x, "logits": z}),
    "a dictionary without logits": changed(lambda x, z: {"features": x}),
    "a dataclass with logits": changed(lambda x, z: Record(z, x)),
    "a dataclass of one tensor": changed(lambda x, z: Unnamed(z)),
    "None": changed(lambda x, z: None),
    "a NumPy array": changed(lambda x, z: z.detach().numpy()),
    "its input": Kind(nn.Identity),
    # heads
    "probabilities": changed(lambda x, z: z.softmax(1)),
    "log-probabilities": changed(lambda x, z: z.log_softmax(1)),
    "probabilities, declared": changed(lambda x, z: z.softmax(1), outputs="probabilities"),
    "log-probabilities, declared": changed(lambda x, z: z.log_softmax(1), outputs="log-probabilities"),
    "logits, declared as probabilities": Kind(small_net, outputs="probabilities"),
    "a sigmoid per class": changed(lambda x, z: z.sigmoid()),
    "a sigmoid written by hand": changed(lambda x, z: 1 / (1 + (-z).exp())),
    "a softmax written by hand": changed(lambda x, z: z.exp() / z.exp().sum(1, keepdim=True)),
    "percent": changed(lambda x, z: 100 * z.softmax(1)),
    # gradients
    "detached": changed(lambda x, z: z.detach()),
    "under no_grad": Kind(lambda: torch.no_grad()(Changed())),
    "NaN gradients": changed(nan_gradients),
    "a hook that zeroes gradients": Kind(lambda: hooked(lambda slope: slope * 0)),
    "a hook that makes NaN": Kind(lambda: hooked(lambda slope: slope * torch.nan)),
    "raises in the backward pass": changed(lambda x, z: RaisesBackwards.apply(z)),
    "asks its input for gradients": before(wants_a_leaf),
    # state
    "a counter in a buffer": Kind(lambda: Counting(lambda k, z: z, buffer=True)),
    "answers that change with a counter": Kind(lambda: Counting(lambda k, z: z + k * RANGE, buffer=True)),
    "answers that change between calls": Kind(lambda: Counting(lambda k, z: z + k * RANGE, buffer=False)),
    "writes its own weights": Kind(Drifting),
    "dropout always on": before(dropped),
    "noise of the global generator": changed(lambda x, z: z + 0.1 * torch.rand_like(z)),
    "seeds the global generator": changed(seeding),
    "BatchNorm by batch": Kind(lambda: small_net(track_running_stats=False)),
    "training mode": Kind(lambda: small_net().train()),
    "normalizes over the batch": changed(lambda x, z: z - z.mean(0, keepdim=True)),
    "changes its input": before(in_place),
    "an expanded view": changed(lambda x, z: z[:, :1].expand(-1, 3)),
    "cannot be copied": Kind(NoCopy),
    "a function around a module": Kind(lambda: (lambda net: lambda x: net(x))(small_net())),
    "weights on meta": Kind(on_meta),
    "a layer on meta": Kind(half_on_meta),
    "an empty parameter": Kind(empty_parameter),
    "slow": before(slow),
    # the model's own exceptions
    "raises at once": changed(lambda x, z: broken("out of order")),
    "raises in the third pass": Kind(lambda: Counting(lambda k, z: z if k < 3 else broken("tired"), buffer=False)),
    "raises on some picture": Kind(BreaksOnAPicture),
}  # fmt: skip
