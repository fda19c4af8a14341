"""simple_net_bn is simple_net with a normalization after every convolution and nothing else."""

from torch import nn

from backlight.models import networks


def kinds(name, **options):
    return [type(layer) for layer in networks.build(name, **options).features]


def test_the_variants_differ_by_normalization_only():
    plain, normalized = kinds("simple_net"), kinds("simple_net_bn")
    assert [kind for kind in normalized if kind is not nn.BatchNorm2d] == plain
    for place, kind in enumerate(normalized):
        assert (kind is nn.BatchNorm2d) == (place > 0 and normalized[place - 1] is nn.Conv2d)
    assert kinds("simple_net", batch_norm=True) == normalized


def test_deep_net_has_more_layers_other_kernels_and_strides():
    def convs(name):
        return [m for m in networks.build(name).modules() if isinstance(m, nn.Conv2d)]

    assert len(convs("deep_net")) > 2 * len(convs("simple_net"))
    assert {conv.kernel_size[0] for conv in convs("deep_net")} == {5, 3, 1}
    assert sum(conv.stride == (2, 2) for conv in convs("deep_net")) == 4
