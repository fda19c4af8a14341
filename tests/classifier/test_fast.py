import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.errors import LayerError, UsageError
from tests.unchanged import small_net, unchanged

IMAGES = torch.linspace(0, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8)


def test_folds_every_batchnorm_and_agrees() -> None:
    net = small_net()
    classifier = Classifier.from_module(net, size=8, mean=0.5, std=(0.2, 0.3, 0.4))
    with unchanged(net):
        fast = classifier.fast()
    assert fast.probe.folded == {"0", "4"}
    assert fast.module is not net
    assert torch.allclose(fast.logits(IMAGES), classifier.logits(IMAGES), atol=1e-4)
    assert {name for name, _ in fast.probe.seconds} == {"contiguous", "channels_last"}


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
