"""Networks of sixteen pixels and three classes that go wrong, each in one way of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 16
Change = Callable[[Tensor, Tensor], Any]


def pictures() -> Tensor:
    """Draw smooth pictures, from dark to bright, and one with a white corner: uint8 `[24,3,16,16]`."""
    draw = torch.Generator().manual_seed(0)
    blobs = F.interpolate(torch.rand(24, 3, 4, 4, generator=draw), size=(SIDE, SIDE), mode="bilinear")
    shift = torch.linspace(-0.35, 0.35, 24).view(-1, 1, 1, 1)
    images = ((blobs * 0.6 + 0.2 + shift).clamp(0, 0.96) * 255).round().byte()
    images[17, :, 0, 0] = 255
    return images


def small_net(classes: int = 3, *, seed: int = 0, **options: Any) -> nn.Sequential:
    """Build a convolutional network with BatchNorm statistics of its own; `options` are BatchNorm's."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6, **options), nn.ReLU(),
            nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, classes),
        )  # fmt: skip
        for name, buffer in net.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    net.eval()
    with torch.no_grad():
        logits = net(pictures() / 255)
        spread = logits.std(0).clamp(min=1e-3)
        net[-1].weight.mul_(2 / spread[:, None])  # answers that differ from picture to picture
        net[-1].bias.sub_(logits.mean(0)).mul_(2 / spread)
    return net


class Changed(nn.Module):
    """The small network, whose images are changed before and whose logits after."""

    def __init__(self, after: Change = lambda x, z: z, before: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        super().__init__()
        self.net, self.after, self.before = small_net(), after, before

    def forward(self, images: Tensor) -> Any:
        return self.after(images, self.net(self.before(images)))


def bright(images: Tensor) -> Tensor:
    """Mark about half of the pictures `[B,1]`."""
    return images.mean((1, 2, 3))[:, None] > 0.5


class Counting(nn.Module):
    """Count passes, in a buffer or beside, and do with the count what `act` says."""

    def __init__(self, act: Callable[[int, Tensor], Tensor], *, buffer: bool) -> None:
        super().__init__()
        self.net, self.act, self.passes = small_net(), act, 0
        if buffer:
            self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        if hasattr(self, "seen"):
            self.seen += 1
        return self.act(int(self.seen) if hasattr(self, "seen") else self.passes, self.net(images))


def broken(message: str) -> Tensor:
    raise ValueError(message)


class BreaksOnAPicture(nn.Module):
    """Raise on any batch with a picture that has a white corner, and a darker pixel beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()

    def forward(self, images: Tensor) -> Tensor:
        if bool(((images[:, 0, 0, 0] > 0.999) & (images[:, 0, 0, 1] < 0.97)).any()):
            raise ValueError("cannot bear white corners")
        return self.net(images)


class Drifting(nn.Module):
    """Write its own weights in each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            self.net[-1].weight.mul_(0.9).add_(0.05)
        return self.net(images)


class RaisesBackwards(torch.autograd.Function):
    """Pass values on and raise where a gradient comes back."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(_ctx: Any, _slope: Tensor) -> Tensor:  # type: ignore[override]
        raise ValueError("no way back")


class NoCopy(Changed):
    """Refuse to be copied."""

    def __deepcopy__(self, memo: dict[int, Any]) -> NoCopy:
        raise TypeError("cannot be copied")


@dataclass
class Record:
    """What some libraries return: a dataclass with logits."""

    logits: Tensor
    features: Tensor


@dataclass
class Unnamed:
    """What others return: a dataclass in which nothing says which are the logits."""

    scores: Tensor


class Quantized(nn.Module):
    """The small network with a linear layer of 8-bit integers."""

    def __init__(self) -> None:
        super().__init__()
        net = small_net()
        self.trunk = net[:-1]
        self.head = torch.ao.quantization.quantize_dynamic(nn.Sequential(copy.deepcopy(net[-1])), dtype=torch.qint8)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.trunk(images))


def dropped(images: Tensor) -> Tensor:
    """Drop values of the pictures, many enough that no two passes are alike."""
    return F.dropout(images, 0.2, training=True)


def seeding(x: Tensor, z: Tensor) -> Tensor:
    torch.manual_seed(0)
    return z + torch.rand_like(z)


def nan_gradients(x: Tensor, z: Tensor) -> Tensor:
    return z + (x - x).sum((1, 2, 3)).sqrt()[:, None]


def hooked(change: Callable[[Tensor], Tensor | None]) -> nn.Module:
    def after(x: Tensor, z: Tensor) -> Tensor:
        if z.requires_grad:
            z.register_hook(change)
        return z

    return Changed(after)


def in_place(images: Tensor) -> Tensor:
    return images.sub_(0.1)


def on_meta() -> nn.Module:
    return small_net().to("meta")


def half_on_meta() -> nn.Module:
    net = small_net()
    net[-1].to("meta")
    return net


def empty_parameter() -> nn.Module:
    net = small_net()
    net.register_parameter("unused", nn.Parameter(torch.empty(0)))
    return net


def wants_a_leaf(images: Tensor) -> Tensor:
    images.requires_grad_()
    return images


def slow(images: Tensor) -> Tensor:
    """Compute a while without changing anything; nothing here measures time."""
    for _ in range(20):
        images = images + 0 * (images @ images.transpose(2, 3))
    return images
