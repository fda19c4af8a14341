"""Where normalization, geometry, labels and outputs come from, and that nothing assumed stays unsaid."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.classifier.passport import FIELDS, SOURCES
from backlight.core.errors import BacklightError, FileError, UsageError
from backlight.images import Resize
from backlight.models import load
from backlight.models.blueprint import ModelShape
from backlight.models.registry import find_blueprint
from backlight.models.sidecar import folder_of, write_passport

KEYS = ["name", "weights", "mean", "std", "size", "resize", "crop", "interpolation", "labels", "outputs", "sources"]
FACTORY = """
from torch import nn
from backlight import Classifier
def plain():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
def told():
    return Classifier.from_module(plain(), mean=(0.4,) * 3, std=(0.2,) * 3, size=8, labels=["cat", "dog"])
"""


def sources(classifier: Classifier) -> dict[str, str]:
    found = classifier.passport.to_json()["sources"]
    assert list(found) == list(FIELDS)
    assert set(found.values()) <= set(SOURCES)
    return found


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(find_blueprint("timm:test_resnet", 3).build(ModelShape(classes=4)).state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_json_has_the_keys_of_the_contract_and_survives_json() -> None:
    document = json.loads(json.dumps(load().passport.to_json()))
    assert list(document) == KEYS
    assert document["size"] == [224, 224]
    assert document["resize"] == 256
    assert document["crop"] == "center"
    assert document["labels"][207] == "golden retriever"
    assert set(document["sources"].values()) == {"library"}


def test_a_trained_model_of_the_library_needs_no_warning_and_others_do(weights: Path) -> None:
    assert load().passport.warnings() == ()
    assert load("timm:test_resnet", random=True).passport.warnings() == ()
    foreign = load("timm:test_resnet", weights=weights)
    assert set(sources(foreign).values()) == {"assumed"}
    (warning,) = foreign.passport.warnings()
    assert "ASSUMED" in warning
    assert "--mean" in warning
    assert "\n" not in foreign.passport.describe()
    assert load("timm:test_resnet", weights=weights, mean=0.5, std=0.5).passport.warnings() == ()
    assert len(load("timm:test_resnet", weights=weights, mean=0.5).passport.warnings()) == 1


def test_what_is_handed_to_from_module_is_given_and_the_rest_is_assumed() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    own = sources(Classifier.from_module(net, mean=0.5, size=2, labels=["a", "b"]))
    assert {name for name, source in own.items() if source == "given"} == {"mean", "size", "labels"}
    ruled = sources(Classifier.from_module(net, resize=Resize(3, (2, 2)), outputs="logits"))
    given = {"size", "resize", "crop", "interpolation", "outputs"}
    assert {name for name, source in ruled.items() if source == "given"} == given
    assert sources(Classifier.from_module(net, size=2).replace(labels=("a", "b")))["mean"] == "assumed"


def test_a_module_that_normalizes_inside_assumes_nothing() -> None:
    class Inside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor(0.5))
            self.register_buffer("std", torch.tensor(0.5))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (images - self.mean) / self.std

    net = nn.Sequential(Inside(), nn.Flatten(), nn.Linear(12, 2))
    assert Classifier.from_module(net, size=2).passport.warnings() == ()
    assert len(Classifier.from_module(net[1:], size=2).passport.warnings()) == 1


def test_a_factory_that_states_its_values_gives_them_and_a_plain_one_assumes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FACTORY)
    told, plain = (load(f"{tmp_path}/mine.py:{name}") for name in ("told", "plain"))
    assert sources(told)["mean"] == sources(told)["labels"] == "given"
    assert sources(told)["interpolation"] == "assumed"
    assert told.passport.warnings() == ()
    assert len(plain.passport.warnings()) == 1
    assert "mean 0, std 1" in plain.passport.warnings()[0]


def test_a_file_beside_the_weights_states_what_flags_leave_open(weights: Path) -> None:
    stated = {"mean": [0.1, 0.2, 0.3], "std": 0.5, "size": 64, "resize": 73, "interpolation": "bilinear"}
    (weights.parent / "model.json").write_text(json.dumps({**stated, "labels": ["a", "b", "c", "d"]}))
    classifier = load("timm:test_resnet", weights=weights, std=0.25)
    assert classifier.mean == (0.1, 0.2, 0.3)
    assert classifier.std == (0.25,) * 3
    assert classifier.resize == Resize(73, (64, 64), "bilinear")
    assert classifier.labels == ("a", "b", "c", "d")
    found = sources(classifier)
    assert found["mean"] == found["size"] == found["resize"] == found["labels"] == "passport"
    assert found["std"] == "given"
    assert found["crop"] == "assumed"
    assert classifier.passport.warnings() == ()


def test_a_passport_that_was_written_brings_the_same_model_back(weights: Path) -> None:
    labels = ["café", "b", "c", "d"]
    told = load("timm:test_resnet", weights=weights, mean=0.3, std=0.4, size=(48, 64), crop="squash", labels=labels)
    write_passport(told, weights.parent)
    again = load("timm:test_resnet", weights=weights)
    assert (again.mean, again.std, again.resize, again.labels) == (told.mean, told.std, told.resize, told.labels)
    assert again.passport.weights == told.passport.weights
    assert set(sources(again).values()) == {"passport"}
    images = torch.rand(2, 3, 48, 64)
    assert torch.equal(again.logits(images), told.logits(images))
    with pytest.raises(UsageError, match="exists already"):
        write_passport(told, weights.parent)


def test_a_folder_with_a_passport_and_weights_is_a_model(weights: Path) -> None:
    told = load("timm:test_resnet", weights=weights, mean=0.3, std=0.4, size=(48, 64), labels=["a", "b", "c", "d"])
    write_passport(told, weights.parent)
    again = load(str(weights.parent))
    assert again.passport.to_json() == told.passport.to_json() | {"sources": dict.fromkeys(FIELDS, "passport")}
    images = torch.rand(2, 3, 48, 64)
    assert torch.equal(again.logits(images), told.logits(images))
    assert load(str(weights.parent), mean=0.5).mean == (0.5,) * 3
    drawn = load(str(weights.parent), random=True)
    assert (drawn.mean, drawn.classes, drawn.trained) == (told.mean, 4, False)
    other = {name: one + 1 for name, one in told.module.state_dict().items()}
    (weights.parent / "elsewhere").mkdir()
    torch.save(other, weights.parent / "elsewhere" / "other.pth")
    named = load(str(weights.parent), weights=weights.parent / "elsewhere" / "other.pth")
    assert named.passport.weights != told.passport.weights
    assert folder_of(str(weights.parent)) == weights.parent


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{}", "names no model"),
        ('{"name": 3}', "names no model"),
        ('{"name": "mine.py:plain"}', "names the model 'mine.py:plain'.*--model mine.py:plain --weights"),
        ('{"name": "torchscript:net.pth"}', "names the model 'torchscript:net.pth'"),
        ('{"name": "hf-hub:somebody/net"}', "names the model 'hf-hub:somebody/net'"),
        ('{"name": "."}', "names the model '.'"),
        ('{"name": "timm:no_such_net"}', "names a model that cannot be built"),
        ("[]", "it is a list of 0"),
    ],
)
def test_a_folder_builds_only_architectures_that_run_no_code(weights: Path, text: str, found: str) -> None:
    (weights.parent / "mine.py").write_text(FACTORY + "\nraise SystemExit\n")
    (weights.parent / "model.json").write_text(text)
    with pytest.raises(FileError, match=found):
        load(str(weights.parent))


def test_a_folder_is_named_by_a_text_or_a_path(weights: Path) -> None:
    (weights.parent / "model.json").write_text('{"name": "timm:test_resnet"}')
    images = torch.zeros(1, 3, 32, 32)
    first, second = (load(one, device="cpu").logits(images) for one in (str(weights.parent), weights.parent))
    assert torch.equal(first, second)


def test_a_folder_with_a_passport_needs_one_file_of_weights_of_its_own(weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "model.json").write_text('{"name": "timm:test_resnet"}')
    with pytest.raises(FileError, match="holds no file of weights"):
        load(str(folder))
    (folder / "net.pth").symlink_to(weights)
    with pytest.raises(FileError, match="net.pth"):
        load(str(folder))
    (folder / "net.pth").unlink()
    for name in ("a.pth", "b.safetensors"):
        (folder / name).write_bytes(weights.read_bytes())
    with pytest.raises(FileError, match="holds a.pth, b.safetensors.*--weights"):
        load(str(folder))


def test_what_a_factory_states_is_stronger_than_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FACTORY)
    (tmp_path / "model.json").write_text('{"mean": 0.9, "std": 0.8, "interpolation": "nearest"}')
    told, plain = load(f"{tmp_path}/mine.py:told"), load(f"{tmp_path}/mine.py:plain", size=8)
    assert told.mean == (0.4,) * 3
    assert plain.mean == (0.9,) * 3
    assert told.resize is not None
    assert told.resize.interpolation == "nearest"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", "it is a list of 0"),
        ("[" * 100_000, "too deeply nested"),
        ('{"mean": "0.5"}', "mean is '0.5'"),
        ('{"size": [1, 2, 3]}', "size"),
        ('{"labels": "cat"}', "labels"),
        ('{"labels": [1]}', r"labels\[0\] is 1"),
        ('{"resize": true}', "resize is true"),
        ('{"interpolation": "cubist"}', "cubist"),
        ('{"outputs": "guesses"}', "guesses"),
        ('{"std": [0, 0, 0]}', "std above 0"),
    ],
)
def test_a_broken_passport_is_one_clear_error(weights: Path, text: str, found: str) -> None:
    (weights.parent / "model.json").write_text(text)
    with pytest.raises(BacklightError, match=found):
        load("timm:test_resnet", weights=weights)


@pytest.mark.parametrize(
    ("stated", "rule"),
    [
        ({"size": 64, "resize": 73}, Resize(73, (64, 64), "bilinear")),
        ({"resize": 73, "crop": 64}, Resize(73, (64, 64), "bilinear")),
        ({"crop": "0.5"}, Resize(448, (224, 224), "bilinear")),
        ({"size": 100, "crop": 0.8}, Resize(125, (100, 100), "bilinear")),
        ({"crop": "squash", "interpolation": "nearest"}, Resize(256, (224, 224), "nearest", squash=True)),
        ({"size": (64, 96)}, Resize(73, (64, 96), "bilinear")),
    ],
)
def test_geometry_is_read_in_each_way_it_is_written(stated: dict, rule: Resize) -> None:
    own = load("torchvision:squeezenet1_1", random=True)
    assert own.resize == Resize(256, (224, 224), "bilinear")
    assert load("torchvision:squeezenet1_1", random=True, **stated).resize == rule


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({"crop": 64, "size": 32}, "one input size"),
        ({"crop": 0.5, "resize": 300}, "one of them"),
        ({"crop": "left"}, "center, squash"),
        ({"crop": -1}, "center, squash"),
        ({"interpolation": "cubist"}, "cubist"),
    ],
)
def test_geometry_that_contradicts_itself_is_refused(stated: dict, found: str) -> None:
    with pytest.raises(BacklightError, match=found):
        load("torchvision:squeezenet1_1", random=True, **stated)


def test_a_resize_without_any_input_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FACTORY)
    with pytest.raises(UsageError, match="--size"):
        load(f"{tmp_path}/mine.py:plain", resize=256)


def test_weights_have_a_fingerprint_of_their_own() -> None:
    one, two = (load("timm:test_resnet", random=True, seed=seed).passport.weights for seed in (1, 2))
    assert one != two
    assert one == load("timm:test_resnet", random=True, seed=1).passport.weights
    assert Classifier.from_module(nn.Flatten()).passport.weights is None


def test_a_huge_passport_is_not_read(weights: Path) -> None:
    with (weights.parent / "model.json").open("wb") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(FileError, match="larger than 16 MiB"):
        load("timm:test_resnet", weights=weights)
