"""The embedded network is timm's, bit for bit, without the seconds that importing a zoo takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from timm import create_model
from timm.data import ImageNetInfo, resolve_data_config
from torchvision.models import ResNet18_Weights

import backlight
from backlight.images import Resize
from backlight.models.efficientnet_lite import EfficientNetLite, SameConv2d
from backlight.models.labels import imagenet_aliases, imagenet_labels
from backlight.models.sources.embedded import PACKAGES, find_blueprint


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("size", [(64, 64), (65, 100)])
def test_it_is_timms_network(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    peer = create_model(f"tf_{name}").eval()
    own = EfficientNetLite(1000, 3, depth=PACKAGES[name].depth).eval()
    own.load_state_dict(peer.state_dict())
    images = torch.randn(2, 3, *size)
    assert torch.equal(own(images), peer(images))
    own.train()
    peer.train()
    assert torch.equal(own(images), peer(images))
    assert torch.equal(own.bn2.running_var, peer.bn2.running_var)


@pytest.mark.parametrize("name", PACKAGES)
def test_pictures_are_cut_as_timm_cuts_them(name: str) -> None:
    published = resolve_data_config({}, pretrained_cfg=create_model(f"tf_{name}").pretrained_cfg)
    assert find_blueprint(name, 0).resize == Resize.from_timm(published)


def test_weights_are_drawn_as_wide_as_timms() -> None:
    torch.manual_seed(0)
    peer = create_model("tf_efficientnet_lite0").state_dict()
    for name, own in EfficientNetLite(1000, 3, depth=1.0).state_dict().items():
        assert own.shape == peer[name].shape
        # The deviation of n draws is within 5 / sqrt(2 n) of the truth but once in a million.
        if own.numel() == 1:
            continue
        expected = float(peer[name].std())
        assert float(own.std()) == pytest.approx(expected, rel=10 / (2 * own.numel()) ** 0.5)


@pytest.mark.parametrize(("side", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (9, 5, 2), (5, 2, 3), (1, 5, 2)])
def test_the_padding_gives_a_place_for_each_stride(side: int, kernel: int, stride: int) -> None:
    convolution = SameConv2d(1, 1, kernel, stride, bias=False)
    assert convolution(torch.zeros(1, 1, side, side + 1)).shape[2:] == (-(-side // stride), -(-(side + 1) // stride))


@pytest.mark.parametrize("channels", [1, 6])
def test_other_channels_see_what_rgb_saw(channels: int) -> None:
    rgb, other = (backlight.load(mean=(0.498,) * n, std=(0.502,) * n, device="cpu") for n in (3, channels))
    gray = torch.rand(2, 1, 224, 224)
    found = other.logits(gray.expand(-1, channels, -1, -1))
    assert torch.allclose(found, rgb.logits(gray.expand(-1, 3, -1, -1)), atol=2e-3)


def test_names_of_classes_are_torchvisions_and_wordnets() -> None:
    assert imagenet_labels() == tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
    peer = ImageNetInfo("imagenet-1k")
    aliases = imagenet_aliases()
    assert [aliases[name] for name in peer.label_names()] == list(range(1000))
    lemmas = [part.strip() for one in peer.label_descriptions() for part in one.split(",")]
    taken = {label.casefold() for label in imagenet_labels()}
    lone = {one for one in lemmas if lemmas.count(one) == 1 and one.casefold() not in taken}
    assert set(aliases) - set(peer.label_names()) == lone


def test_a_prediction_imports_no_zoo_and_no_compiler(tmp_path: Path) -> None:
    code = (
        "import sys, torch, backlight, backlight.tasks.predicting; "
        "backlight.load(device='cpu').logits(torch.rand(1, 3, 224, 224)); "
        "print([name for name in ('timm', 'torchvision', 'torch._dynamo', 'triton', 'sympy') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.strip() == "[]"
