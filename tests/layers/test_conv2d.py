"""The written-out convolution against torch's: values, gradients of two orders, formats, precision."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from backlight.layers import columns
from backlight.layers.conv2d import UnfoldConv2d, replace_conv, unfold_conv2d
from backlight.models import networks
from backlight.testing import unchanged


def draw(*shape, seed=0, dtype=torch.float64, grad=True):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=dtype, generator=generator).requires_grad_(grad)


CASES = [
    {"stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    {"stride": 2, "padding": 1, "dilation": 1, "groups": 1},
    {"stride": (1, 3), "padding": (2, 0), "dilation": 1, "groups": 2},
    {"stride": 1, "padding": "same", "dilation": (2, 1), "groups": 1},
    {"stride": (2, 1), "padding": 2, "dilation": 2, "groups": 4},
    {"stride": 1, "padding": "valid", "dilation": 1, "groups": 2},
]


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("kernel", [(3, 3), (2, 1)])
def test_gradcheck_and_gradgradcheck(options, kernel):
    images = draw(2, 4, 5, 6)
    weight = draw(4, 4 // options["groups"], *kernel, seed=1)
    bias = draw(4, seed=2)

    def run(*given):
        return unfold_conv2d(*given, **options)

    torch.testing.assert_close(run(images, weight, bias), F.conv2d(images, weight, bias, **options))
    assert gradcheck(run, (images, weight, bias), fast_mode=True)
    assert gradgradcheck(run, (images, weight, bias), fast_mode=True)


def test_slow_gradcheck_checks_every_entry():
    given = (draw(1, 2, 4, 3), draw(2, 1, 3, 2, seed=1), draw(2, seed=2))
    assert gradcheck(lambda *a: unfold_conv2d(*a, stride=(1, 2), padding=1, groups=2), given)
    assert gradgradcheck(lambda *a: unfold_conv2d(*a, stride=(1, 2), padding=1, groups=2), given)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pairs,
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    pairs,
    st.integers(1, 4096),
)
def test_equals_torch_over_shapes(shape, grouping, kernel, stride, padding, dilation, budget):
    batch, height, width = shape
    groups, inputs, outputs = grouping
    assume(height + 2 * padding[0] > dilation[0] * (kernel[0] - 1))
    assume(width + 2 * padding[1] > dilation[1] * (kernel[1] - 1))
    images = draw(batch, groups * inputs, height, width)
    weight, bias = draw(groups * outputs, inputs, *kernel, seed=1), draw(groups * outputs, seed=2)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "COLUMN_BYTES", budget * 16)
        found = unfold_conv2d(images, weight, bias, **options)
        expected = F.conv2d(images, weight, bias, **options)
        torch.testing.assert_close(found, expected)
        grad = draw(*expected.shape, seed=3, grad=False)
        ours = torch.autograd.grad(found, (images, weight, bias), grad)
    torchs = torch.autograd.grad(expected, (images, weight, bias), grad)
    torch.testing.assert_close(ours, torchs)


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2)])
def test_only_the_gradients_asked_for_are_computed(wanted, monkeypatch):
    given = [draw(2, 2, 4, 4, grad=0 in wanted), draw(3, 2, 3, 3, grad=1 in wanted), draw(3, grad=2 in wanted)]
    calls = []
    for name in ("input_gradient", "weight_gradient"):
        plain = getattr(columns, name)
        monkeypatch.setattr(columns, name, lambda *a, plain=plain, name=name: calls.append(name) or plain(*a))
    expected = torch.autograd.grad(F.conv2d(*given).sum(), [given[i] for i in wanted])
    found = torch.autograd.grad(unfold_conv2d(*given).sum(), [given[i] for i in wanted])
    torch.testing.assert_close(found, expected)
    assert calls == ["input_gradient"] * (0 in wanted) + ["weight_gradient"] * (1 in wanted)


def test_no_columns_are_kept_for_the_backward_pass():
    images, weight = draw(2, 3, 8, 8), draw(4, 3, 3, 3, seed=1)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.shape) or t, lambda t: t):
        unfold_conv2d(images, weight)
    assert saved == [images.shape, weight.shape]


def test_channels_last_goes_in_and_comes_out():
    images = draw(2, 4, 6, 5, grad=False).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = draw(3, 4, 3, 3, seed=1)
    output = unfold_conv2d(images, weight, padding=1)
    assert output.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(output, F.conv2d(images, weight, padding=1))
    (grad,) = torch.autograd.grad(output.square().sum(), images)
    assert grad.is_contiguous(memory_format=torch.channels_last)
    assert unfold_conv2d(images.detach().contiguous(), weight, padding=1).is_contiguous()


def test_autocast_follows_torch_also_backward():
    images, weight = draw(2, 4, 8, 8, dtype=torch.float32), draw(3, 4, 3, 3, seed=1, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        ours, torchs = unfold_conv2d(images, weight), F.conv2d(images, weight)
        assert ours.dtype == torchs.dtype == torch.bfloat16
        grads = torch.autograd.grad(ours.float().square().sum(), (images, weight))
        float64 = unfold_conv2d(images.double(), weight.double())
    assert float64.dtype == torch.float64
    torch.testing.assert_close(ours, torchs, atol=0.05, rtol=0.02)
    expected = torch.autograd.grad(torchs.float().square().sum(), (images, weight))
    for found, other in zip(grads, expected):
        assert found.dtype == torch.float32
        assert float((found - other).norm() / other.norm()) < 0.02


def test_backward_under_autocast_keeps_float32():
    images, weight = draw(2, 4, 8, 8, dtype=torch.float32), draw(3, 4, 3, 3, seed=1, dtype=torch.float32)
    plain = torch.autograd.grad(unfold_conv2d(images, weight).square().sum(), (images, weight))
    output = unfold_conv2d(images, weight).square().sum()
    with torch.autocast("cpu", torch.bfloat16):
        found = torch.autograd.grad(output, (images, weight))
    assert all(torch.equal(a, b) for a, b in zip(found, plain))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", ["same", 1, (2, 1)])
def test_module_equals_torch_module(mode, padding):
    torchs = nn.Conv2d(4, 6, (3, 4), padding=padding, padding_mode=mode, groups=2, dtype=torch.float64)
    ours = UnfoldConv2d(4, 6, (3, 4), padding=padding, padding_mode=mode, groups=2, dtype=torch.float64)
    ours.load_state_dict(torchs.state_dict())
    for images in (draw(2, 4, 7, 6), draw(4, 7, 6)):
        torch.testing.assert_close(ours(images), torchs(images))


def test_torch_func_gradients_work():
    images, weight = draw(2, 3, 5, 5, grad=False), draw(4, 3, 3, 3, seed=1, grad=False)
    found = torch.func.grad(lambda w: unfold_conv2d(images, w).square().sum())(weight)
    expected = torch.func.grad(lambda w: F.conv2d(images, w).square().sum())(weight)
    torch.testing.assert_close(found, expected)


class TestReplace:
    def test_there_and_back_shares_weights_and_leaves_the_network(self):
        network = networks.build("residual_cnn", seed=1).double()
        images = draw(2, 3, 32, 32, grad=False)
        with unchanged(network):
            twin = replace_conv(network)
            back = replace_conv(twin, nn.Conv2d)
            torch.testing.assert_close(twin(images), network(images))
        kinds = [type(layer) for layer in twin.modules() if isinstance(layer, nn.Conv2d)]
        assert kinds == [UnfoldConv2d] * 6
        assert [type(layer) for layer in back.modules()] == [type(layer) for layer in network.modules()]
        for other in (twin, back):
            for (name, p), (name2, p2) in zip(network.named_parameters(), other.named_parameters()):
                assert name == name2
                assert p is p2

    def test_buffers_modes_and_repeated_layers_stay(self):
        layer = nn.Conv2d(3, 3, 3, padding=1)
        network = nn.Sequential(layer, nn.BatchNorm2d(3), layer).train()
        network[1].eval()
        twin = replace_conv(network)
        assert twin[0] is twin[2]
        assert [part.training for part in twin] == [True, False, True]
        assert twin[1].running_mean is network[1].running_mean

    def test_a_single_layer_and_subclasses(self):
        class Scaled(nn.Conv2d):
            def forward(self, x):
                return 2 * super().forward(x)

        assert type(replace_conv(nn.Conv2d(3, 4, 3, bias=False))) is UnfoldConv2d
        assert type(replace_conv(nn.Sequential(Scaled(3, 4, 3)))[0]) is Scaled


def test_three_training_steps_give_the_same_weights():
    images, labels = draw(16, 3, 32, 32, dtype=torch.float32, grad=False), torch.arange(16) % 10
    trained = []
    for convert in (lambda network: network, replace_conv):
        network = convert(networks.build("classic_cnn", seed=5))
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
        trained.append(network.state_dict())
    start = networks.build("classic_cnn", seed=5).state_dict()
    for name, weight in trained[0].items():
        assert float((weight - start[name]).abs().max()) > 1e-5
        torch.testing.assert_close(trained[1][name], weight, atol=1e-5, rtol=0)
