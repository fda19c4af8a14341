import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import LayerError, UsageError
from backlight.testing import small_net, unchanged

IMAGES = torch.linspace(0, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8)


def test_folds_every_batchnorm_and_agrees() -> None:
    net = small_net()
    classifier = Classifier.from_module(net, size=8, mean=0.5, std=(0.2, 0.3, 0.4))
    with unchanged(net):
        fast = classifier.fast()
    assert fast.probe.folded == {"0", "4"}
    assert fast.module is not net
    assert torch.allclose(fast.logits(IMAGES), classifier.logits(IMAGES), atol=1e-4)
    assert fast.probe.memory_format == "channels_last"


def test_gradients_agree_in_float64() -> None:
    classifier = Classifier.from_module(small_net().double(), size=8)
    fast = classifier.fast(memory_format="channels_last")
    assert fast.probe.memory_format == "channels_last"
    gradients = []
    for one in (classifier, fast):
        images = IMAGES.double().requires_grad_(True)
        gradients.append(torch.autograd.grad(one.logits(images)[:, 2].sum(), images)[0])
    assert torch.allclose(gradients[0], gradients[1], atol=1e-10)


def test_kept_convolutions_are_not_folded_and_folded_ones_are_not_recorded() -> None:
    classifier = Classifier.from_module(small_net(), size=8)
    kept = classifier.fast(keep=["4"])
    assert kept.probe.folded == {"0"}
    assert torch.allclose(kept.features(IMAGES, ["4"])["4"], classifier.features(IMAGES, ["4"])["4"], atol=1e-5)
    with pytest.raises(LayerError, match="folded"):
        kept.features(IMAGES, ["0"])


def test_a_batchnorm_layer_keeps_its_name_and_output() -> None:
    classifier = Classifier.from_module(small_net(), size=8)
    found = classifier.fast().features(IMAGES, ["5"])["5"]
    assert torch.allclose(found, classifier.features(IMAGES, ["5"])["5"], atol=1e-5)


class SharesConvolution(nn.Module):
    """Feed one convolution's output to a BatchNorm and past it: folding would change the second use."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            self.norm.running_mean.fill_(0.5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.conv(images)
        return (self.norm(features).relu() - features).mean((2, 3))


def test_a_network_that_folding_would_change_comes_back_with_the_reason() -> None:
    classifier = Classifier.from_module(SharesConvolution(), size=8)
    fast = classifier.fast()
    assert fast.module is classifier.module
    assert "folding changed the logits" in fast.probe.reason
    assert torch.equal(fast.logits(IMAGES), classifier.logits(IMAGES))


def test_a_convolution_used_twice_is_not_folded() -> None:
    class Twice(SharesConvolution):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (self.norm(self.conv(images)) - self.conv(images.flip(3))).mean((2, 3))

    fast = Classifier.from_module(Twice(), size=8).fast()
    assert fast.probe.folded == frozenset()
    assert fast.probe.reason == ""


def test_unknown_memory_format_is_refused() -> None:
    with pytest.raises(UsageError, match="channels_last"):
        Classifier.from_module(small_net(), size=8).fast(memory_format="nhwc")


def normalized(norm: str) -> nn.Sequential:
    net = small_net()
    first = net[0]
    if norm == "parametrized":
        nn.utils.parametrizations.weight_norm(first)
    elif norm == "spectral":
        nn.utils.parametrizations.spectral_norm(first)
    else:
        nn.utils.weight_norm(first)
    return net


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
@pytest.mark.parametrize("norm", ["parametrized", "spectral", "by hooks"])
def test_a_parametrized_convolution_stays_and_the_others_are_folded(norm: str) -> None:
    classifier = Classifier.from_module(normalized(norm), size=8)
    fast = classifier.fast()
    assert torch.allclose(fast.logits(IMAGES), classifier.logits(IMAGES), atol=1e-4)
    assert fast.probe.folded == {"4"} or "no faster copy can be made" in fast.probe.reason


class Uncopied(nn.Module):
    def __deepcopy__(self, memo: dict[int, object]) -> nn.Module:
        raise ValueError("one of a kind\nand more")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :3] * 5


class Watched(SharesConvolution):
    """Count its modules, and refuse when one of them was exchanged."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if not isinstance(self.norm, nn.BatchNorm2d):
            raise TypeError("where is my norm?")
        return self.norm(self.conv(images)).mean((2, 3))


def once(net: nn.Module) -> nn.Module:
    net(IMAGES)
    return net


@pytest.mark.filterwarnings("ignore:.*(torch.jit|quantiz|torch.ao)")
@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (Uncopied, "ValueError: one of a kind)"),
        (Watched, "TypeError: where is my norm?"),
        (lambda: torch.jit.script(small_net().eval()), ""),
        (lambda: torch.jit.freeze(torch.jit.script(small_net().eval())), ""),
        (lambda: torch.ao.quantization.quantize_dynamic(small_net().eval(), {nn.Linear}, dtype=torch.qint8), ""),
        (lambda: once(nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(3))), ""),
        (lambda: lambda images: small_net(seed=1).eval()(images).detach(), ""),
        (
            lambda: torch.export.export(
                small_net().eval(), (IMAGES,), dynamic_shapes=[{0: torch.export.Dim.AUTO}]
            ).module(),
            "",
        ),
    ],
)
def test_where_no_faster_copy_can_be_made_the_plain_way_works(build: object, reason: str) -> None:
    classifier = Classifier.from_module(build(), size=8)
    fast = classifier.fast()
    assert reason in fast.probe.reason
    assert torch.allclose(fast.logits(IMAGES), classifier.logits(IMAGES), atol=1e-4)
    assert fast.probe.describe()


def test_a_masked_class_does_not_forbid_the_copy() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_net()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.net(images).index_fill(1, torch.tensor([2]), -torch.inf)

    fast = Classifier.from_module(Masked(), size=8).fast()
    assert (fast.probe.folded, fast.probe.reason) == ({"net.0", "net.4"}, "")
