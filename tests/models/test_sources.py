"""Published weights from local caches, and users' files."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from backlight.core.errors import FileError, ModelError, UsageError
from backlight.models import load
from backlight.models.blueprint import ModelShape
from backlight.models.registry import find_blueprint
from backlight.models.sources.torchvision_zoo import is_cached
from tests.models.test_fetch import hub_cache


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch"))
    (tmp_path / "torch" / "checkpoints").mkdir(parents=True)
    return tmp_path


def test_timm_weights_come_from_the_hubs_cache(caches: Path) -> None:
    given = find_blueprint("timm:resnet18", 4).build(ModelShape()).eval()
    save_file(given.state_dict(), caches / "net.safetensors")
    hub_cache(caches / "hf", "timm/resnet18.a1_in1k", {"model.safetensors": (caches / "net.safetensors").read_bytes()})
    classifier = load("timm:resnet18", size=32)
    image = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(classifier.logits(image), given(classifier.normalize(image)))
    assert "state_dict" not in classifier.module.pretrained_cfg
    # The seam of training with pretrained weights: another head, the same layers before it.
    finer = find_blueprint("timm:resnet18").pretrained(ModelShape(classes=5))
    assert finer.fc.out_features == 5
    assert torch.equal(finer.conv1.weight, given.conv1.weight)


def test_a_poisoned_cache_runs_nothing(caches: Path) -> None:
    from tests.models.test_weights import Hostile

    torch.save(Hostile(f"touch {caches / 'ran'}"), caches / "evil.bin")
    hub_cache(caches / "hf", "timm/resnet18.a1_in1k", {"pytorch_model.bin": (caches / "evil.bin").read_bytes()})
    with pytest.raises(FileError, match=r"posix\.system"):
        load("timm:resnet18")
    assert not (caches / "ran").exists()


@pytest.mark.parametrize("classes", [None, 5])
def test_torchvision_weights_come_from_torchs_cache(caches: Path, classes: int | None) -> None:
    blueprint = find_blueprint("torchvision:resnet18", 4)
    given = blueprint.build(ModelShape()).eval()
    assert not is_cached("resnet18")
    torch.save(given.state_dict(), caches / "torch" / "checkpoints" / "resnet18-f37072fd.pth")
    assert is_cached("resnet18")
    module = blueprint.pretrained(ModelShape(classes=classes))
    assert module.fc.out_features == (classes or 1000)
    assert torch.equal(module.conv1.weight, given.conv1.weight)
    if classes is None:
        assert torch.equal(load("torchvision:resnet18").module.fc.weight, given.fc.weight)


def test_a_hub_repository_is_built_from_its_configuration(caches: Path) -> None:
    given = timm.create_model("test_resnet", num_classes=3).eval()
    config = {
        "architecture": "test_resnet",
        "num_classes": 3,
        "label_names": ["a", "b", "c"],
        "label_descriptions": {"a": "cat", "b": "dog", "c": "owl"},
        "pretrained_cfg": {
            "input_size": [3, 64, 64],
            "crop_pct": 0.8,
            "interpolation": "bilinear",
            "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6],
            "num_classes": 3,
            "classifier": "fc",
            "first_conv": "conv1.0",
        },
    }
    save_file(given.state_dict(), caches / "net.safetensors")
    weights = (caches / "net.safetensors").read_bytes()
    hub_cache(caches / "hf", "some/net", {"config.json": json.dumps(config).encode(), "model.safetensors": weights})
    classifier = load("hf-hub:some/net")
    assert classifier.labels == ("cat", "dog", "owl")
    assert classifier.size == (64, 64)
    assert classifier.resize is not None
    assert classifier.resize.shorter_side == 80
    assert classifier.mean == (0.1, 0.2, 0.3)
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(classifier.logits(image), given(classifier.normalize(image)))
    assert load("hf-hub:some/net", random=True).classes == 3


@pytest.mark.parametrize("config", [b"{}", b'{"architectures": ["ViTForImageClassification"]}'])
def test_a_repository_that_timm_cannot_load_is_refused(caches: Path, config: bytes) -> None:
    hub_cache(caches / "hf", "some/net", {"config.json": config})
    with pytest.raises(ModelError, match="some/net is not one of timm's models"):
        load("hf-hub:some/net")
    hub_cache(caches / "hf", "other/net", {"config.json": b"[]"})
    with pytest.raises(FileError, match="it is a list"):
        load("hf-hub:other/net")


@pytest.mark.parametrize("name", ["net", "a/b/c", "../../etc", ""])
def test_what_is_no_repository_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no repository"):
        load(f"hf-hub:{name}")


FILE = """
from dataclasses import dataclass
import torch
from torch import nn
from helper import classes
from backlight import Classifier

@dataclass
class Options:
    size: "int" = 8

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, classes))

def classifier():
    return Classifier.from_module(make(), mean=0.25, std=[0.5] * 3, size=8, labels=["cat", "dog"])

def wrong():
    return 3

def broken():
    raise KeyError("width")
"""


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    (tmp_path / "nets.py").write_text(FILE)
    (tmp_path / "helper.py").write_text("classes = 2\n")
    return tmp_path / "nets.py"


def test_a_users_factory_gives_a_module_or_a_classifier(user_file: Path, tmp_path: Path) -> None:
    plain = load(f"{user_file}:make", size=8, seed=1)
    assert plain.mean == (0.0, 0.0, 0.0)
    assert plain.logits(torch.rand(1, 3, 8, 8)).shape == (1, 2)
    assert torch.equal(plain.module[1].weight, load(f"{user_file}:make", size=8, seed=1).module[1].weight)
    own = load(f"{user_file}:classifier")
    assert own.mean == (0.25,) * 3
    assert own.labels == ("cat", "dog")
    assert own.size == (8, 8)
    torch.save({"state_dict": plain.module.state_dict()}, tmp_path / "net.pth")
    loaded = load(f"{user_file}:classifier", weights=tmp_path / "net.pth", seed=2)
    assert torch.equal(loaded.module[1].weight, plain.module[1].weight)


def test_a_users_file_that_does_not_fit_is_said(user_file: Path) -> None:
    for factory, found in (
        ("mak", "has no function 'mak'.*make"),
        ("wrong", "returns int"),
        ("broken", "failed: KeyError: 'width'"),
        ("", "has no function ''"),
    ):
        with pytest.raises(ModelError, match=found):
            load(f"{user_file}:{factory}")
    with pytest.raises(FileError, match="does not exist"):
        load(f"{user_file.parent}/missing.py:make")
    with pytest.raises(ModelError, match="decides about its weights itself"):
        load(f"{user_file}:make", random=True)


@pytest.mark.parametrize("text", ['{"format": 1, "model": "FOLDER"}', "[" * 100_000, '{"format": 1, "model": {}}'])
def test_a_run_that_names_itself_or_nothing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text.replace("FOLDER", str(tmp_path)))
    with pytest.raises(FileError):
        load(str(tmp_path), device="cpu")
