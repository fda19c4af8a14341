"""What calls add besides what is linear in their input: FullGrad's terms sum to the score with them."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import backlight
from backlight.classifier import Classifier
from backlight.explain import explain
from backlight.explain.offsets import Offsets


def gap(net: nn.Module, size: int = 10, count: int = 3) -> float:
    images = torch.rand(count, 3, size, size, dtype=torch.float64)
    classifier = Classifier.from_module(net.double().eval(), size=size, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    return float(explain(classifier, images, 0, methods=["fullgrad"])["fullgrad"].gap.max())


class Applied(nn.Module):
    """Convolve, apply one activation, convolve, pool and classify; large weights reach every bend."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.activation = activation
        self.first, self.second, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(6, 3)
        with torch.no_grad():
            self.first.weight *= 30

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.second(self.activation(self.first(images))).mean((2, 3)))


ACTIVATIONS = {
    "relu": F.relu,
    "relu6 module": nn.ReLU6(),
    "relu6 in place": nn.ReLU6(inplace=True),
    "relu6": F.relu6,
    "hardtanh": nn.Hardtanh(-2.0, 3.0),
    "clamp": lambda x: x.clamp(-1, 2),
    "clamp in place": lambda x: x.clamp_(max=1.5),
    "minimum": lambda x: torch.minimum(x, torch.tensor(2.0, dtype=x.dtype).expand_as(x)),
    "threshold": nn.Threshold(0.5, -3.0),
    "leaky": nn.LeakyReLU(0.2),
    "prelu": nn.PReLU(6),
    "gelu": nn.GELU(),
    "silu in place": nn.SiLU(inplace=True),
    "hardswish": nn.Hardswish(),
    "sigmoid": torch.sigmoid,
    "gate": lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(),
    "softmax": lambda x: x.softmax(1),
    "batch norm": nn.BatchNorm2d(6),
    "group norm": nn.GroupNorm(2, 6),
    "plus a constant": lambda x: 1.5 + x - torch.arange(6.0, dtype=x.dtype).view(-1, 1, 1),
    "concatenated": lambda x: torch.cat([x[:, :3], torch.ones_like(x[:, :3]).detach()], 1),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_terms_sum_to_the_score_whatever_the_activation(name: str) -> None:
    torch.manual_seed(0)
    net = Applied(ACTIVATIONS[name])
    for parameter in net.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter)
    assert gap(net) < 1e-9


@pytest.mark.parametrize("clipped", [nn.ReLU6(), F.relu6, nn.Hardtanh(0, 6)])
def test_without_the_clipped_units_they_would_not(clipped: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    offsets, x = Offsets(), torch.tensor([-1.0, 3.0, 7.0], requires_grad=True)
    offsets.counts = True
    with offsets:
        clipped(x + 0.0)
    assert [one.bias.tolist() for one in offsets.found] == [[0.0, 0.0, 6.0]]


class ChannelsLast(nn.Module):
    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        self.conv, self.linear, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, width), nn.Linear(width, 2)
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.linear(self.conv(images).permute(0, 2, 3, 1))).relu()
        return self.head(maps.mean((1, 2)))


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("width", [1, 3, 6, 7])
def test_a_linear_layer_acts_on_the_last_axis_of_maps(width: int, norm: bool) -> None:
    torch.manual_seed(0)
    assert gap(ChannelsLast(width, norm and width > 1), size=6) < 1e-9


def test_its_bias_stands_where_its_places_are() -> None:
    # Only the left half of the places pass a gradient on, so only they have a term.
    class LeftHalf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 6)
            nn.init.zeros_(self.linear.weight)

        def forward(self, images: Tensor) -> Tensor:
            return self.linear(images.permute(0, 2, 3, 1))[:, :, :3].sum((1, 2))[:, :2]

    classifier = Classifier.from_module(LeftHalf().double(), size=6, mean=(0.0,) * 3, std=(1.0,) * 3)
    found = explain(classifier, torch.rand(1, 3, 6, 6, dtype=torch.float64), 0, methods=["fullgrad"])["fullgrad"]
    assert (found.attributions[0, 0, :, :3] > 0).all()
    assert (found.attributions[0, 0, :, 3:] == 0).all()


class Tokens(nn.Module):
    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 8, 2, 2), nn.Linear(8, 3)
        self.attention, self.fused = nn.MultiheadAttention(8, 2, batch_first=True), fused

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        seen = F.scaled_dot_product_attention(tokens, tokens, tokens)
        mixed = seen if self.fused else self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return self.head((tokens + mixed).mean(1))


@pytest.mark.parametrize("fused", [True, False])
def test_attention_is_complete_too(fused: bool) -> None:
    torch.manual_seed(0)
    assert gap(Tokens(fused), size=8) < 1e-9


@pytest.mark.slow
def test_the_embedded_model_is_complete() -> None:
    default = backlight.load("efficientnet_lite0", device="cpu")
    net = default.module.double()
    classifier = Classifier.from_module(net, size=96, mean=default.mean, std=default.std)
    images = torch.rand(1, 3, 96, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(explain(classifier, images, methods=["fullgrad"])["fullgrad"].gap.max()) < 1e-5


def test_the_embedded_model_as_it_is_loaded_is_complete_to_rounding() -> None:
    classifier = backlight.load("efficientnet_lite0", size=(96, 96), device="cpu")
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    assert float(explain(classifier, images, methods=["fullgrad"])["fullgrad"].gap.max()) < 1e-5


class Tabled(Applied):
    """Besides, look at a tensor that no image has a part in, by position, by name and by an operator of torch."""

    def forward(self, images: Tensor) -> Tensor:
        scale = torch.clamp(input=self.first.bias.detach(), min=0.5)
        scale = torch.ops.aten.clamp_min(torch.exp(scale.log()), 0.1)
        assert bool((scale > 0).all())
        return super().forward(images)


def test_calls_on_what_no_image_has_a_part_in_add_nothing() -> None:
    torch.manual_seed(0)
    assert gap(Tabled(F.relu6)) < 1e-9


def test_guided_gradients_from_the_same_pass_stay_what_they_are() -> None:
    torch.manual_seed(0)
    classifier = Classifier.from_module(Applied(nn.ReLU6()).double(), size=10)
    images = torch.rand(2, 3, 10, 10, dtype=torch.float64)
    together = explain(classifier, images, 0, methods=["fullgrad", "guided_backprop", "saliency"])
    alone = explain(classifier, images, 0, methods=["guided_backprop", "saliency"])
    for name in ("guided_backprop", "saliency"):
        assert torch.equal(together[name].attributions, alone[name].attributions)
        assert together[name].notes == alone[name].notes
    assert float(together["fullgrad"].gap.max()) < 1e-9


@pytest.mark.parametrize("bias", [True, False])
def test_without_a_bias_gradient_x_input_is_all_there_is(bias: bool) -> None:
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 4, 3, bias=bias),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2, bias=bias),
    )
    net = nn.Sequential(*layers).double()
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    found = explain(Classifier.from_module(net, size=8), images, 0, methods=["fullgrad", "gradient_x_input"])
    full, own = found["fullgrad"], found["gradient_x_input"].attributions.abs().double()
    low, high = own.amin((2, 3), keepdim=True), own.amax((2, 3), keepdim=True)
    expected = ((own - low) / (high - low)).sum(1, keepdim=True)
    assert torch.allclose(full.attributions.double(), expected, atol=1e-4)
    assert float(full.gap.max()) < 1e-6
    assert full.notes == ("nothing adds a bias: the map is gradient x input alone",)
