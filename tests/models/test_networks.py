"""The registry: what is built depends on the seed alone and fits what was asked for."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from backlight import load
from backlight.core.errors import ModelError, UsageError
from backlight.models import networks

TRAINED_PARAMETERS = {  # counted by hand from the layers' shapes
    "classic_cnn": 1_400 + 45_100 + 2 * 90_100 + 160_100 + 1_010,
    "residual_cnn": 1_400 + 45_100 + 4 * 90_100 + 160_100 + 1_010,
    "strided_cnn": 1_568 + 32_832 + 1_048_832 + 2_570,
}


@pytest.mark.parametrize("name", networks.names())
def test_default_shapes_finite_gradients_and_order(name):
    network, known = networks.build(name, seed=3), networks.describe(name)
    images = torch.randn(3, 3, *known.size, generator=torch.Generator().manual_seed(0))
    logits = network.eval()(images)
    assert logits.shape == (3, known.classes)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(network(images.flip(0)).flip(0), logits, atol=1e-5, rtol=1e-4)
    network.train()(images).square().sum().backward()
    trained = [p for p in network.parameters() if p.requires_grad]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in trained)
    assert sum(bool(p.grad.any()) for p in trained) == len(trained)


@pytest.mark.parametrize("name", networks.names())
@pytest.mark.parametrize(("size", "channels", "classes"), [((40, 48), 1, 7), (64, 4, 2)])
def test_other_sizes_channels_and_classes(name, size, channels, classes):
    network = networks.build(name, classes, size, channels).eval()
    height, width = (size, size) if isinstance(size, int) else size
    assert network(torch.zeros(1, channels, height, width)).shape == (1, classes)


@pytest.mark.parametrize("name", networks.names())
def test_the_smallest_side_works(name):
    smallest = max(networks.describe(name).smallest, 4)  # vit cuts patches of 4
    network = networks.build(name, 3, smallest).eval()
    assert network(torch.zeros(1, 3, smallest, smallest)).shape == (1, 3)


@pytest.mark.parametrize("name", networks.names())
def test_weights_depend_on_the_seed_alone(name):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = networks.build(name, seed=4).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = networks.build(name, seed=4).state_dict(), networks.build(name, seed=5).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(("name", "count"), TRAINED_PARAMETERS.items())
def test_parameter_counts_by_hand(name, count):
    assert sum(p.numel() for p in networks.build(name).parameters()) == count


def test_published_parameter_counts():
    speed = networks.build("speed_cnn")
    scales = sum(m.weight.numel() for m in speed.modules() if isinstance(m, nn.BatchNorm2d))
    # airbench94 counts its fixed whitening filters and has no scales in its normalizations.
    assert sum(p.numel() for p in speed.parameters()) - scales == 1_971_640
    assert abs(sum(p.numel() for p in networks.build("cct").parameters()) - 284_000) < 1_000


def test_options_are_listed_read_from_strings_and_checked():
    assert networks.options("vit")["window_blocks"] == "none"
    assert networks.options("classic_cnn") == {}
    network = networks.build("vit", depth="2", window_blocks="0", positions="none")
    assert [block.attention.window for block in network.blocks] == [4, None]
    assert networks.build("cct", mlp_ratio="2").blocks[0].mlp[0].out_features == 256
    assert networks.build("simple_net", batch_norm="yes").head.out_features == 100
    with pytest.raises(UsageError, match="no option 'dept'.*depth"):
        networks.build("vit", dept=2)
    for wrong in ("deep", 2.5, "2.5"):
        with pytest.raises(UsageError, match=f"vit:depth={wrong}; expected a whole number, such as 6"):
            networks.build("vit", depth=wrong)
    for key, wrong in {"patch": "0", "heads": -1, "dim": "-8"}.items():
        with pytest.raises(UsageError, match=f"vit:{key}={wrong}; expected a positive number"):
            networks.build("vit", **{key: wrong})
    for wrong in ("inf", "nan"):
        with pytest.raises(UsageError, match=f"cct:mlp_ratio={wrong}; expected a number, such as 1"):
            networks.build("cct", mlp_ratio=wrong)
    with pytest.raises(UsageError, match="simple_net:batch_norm=maybe; expected true or false"):
        networks.build("simple_net", batch_norm="maybe")
    with pytest.raises(UsageError, match="classic_cnn has no option 'width'; expected no options"):
        networks.build("classic_cnn", width="tiny")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("classic_cn",), "'classic_cn'; try: classic_cnn"),
        (("classic_cnn", 10, 7), r"size \(7, 7\).*at least 8"),
        (("classic_cnn", 10, (32, 32, 3)), "height and width"),
        (("classic_cnn", 0), "0 classes"),
        (("classic_cnn", 10, 32, 0), "0 channels"),
    ],
)
def test_messages(arguments, words):
    with pytest.raises(UsageError, match=words):
        networks.build(*arguments)


def test_listing_needs_no_torch():
    code = "import sys; from backlight.models import networks; networks.names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("stated", ["dim=2147483648", "dim=9007199254740992", "depth=100000000,dim=8,heads=1"])
def test_sizes_that_no_machine_holds_are_refused_before_anything_of_them_is_allocated(stated):
    options = dict(one.split("=") for one in stated.split(","))
    with pytest.raises(ModelError, match="a network of more than .* smaller sizes"):
        networks.build("vit", **options)


def test_a_file_of_weights_limits_the_network_that_a_folder_names(tmp_path):
    save_file(networks.build("vit", depth=1, dim=8, heads=1).state_dict(), tmp_path / "weights.safetensors")
    for name, fits in (("vit:depth=1,dim=8,heads=1", True), ("vit:depth=90,dim=2048", False)):
        (tmp_path / "model.json").write_text(json.dumps({"name": name}))
        if fits:
            assert load(str(tmp_path)).passport.name == name
            continue
        with pytest.raises(ModelError, match=r"a network of more than .* the one of .*weights\.safetensors"):
            load(str(tmp_path))
