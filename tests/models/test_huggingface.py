"""Image classifiers of transformers, built from configurations with random weights, without a network."""

import json
from pathlib import Path

import pytest
import torch

from backlight.core.errors import BacklightError, ModelError
from backlight.explain import explain
from backlight.explain.layout import choose_layer
from backlight.images import Resize
from backlight.models import load

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
TOKENS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
KINDS = {
    "ViT": {**TOKENS, "patch_size": 8, "image_size": 32},
    "DeiT": {**TOKENS, "patch_size": 8, "image_size": 32},
    "Swin": {
        "embed_dim": 16,
        "depths": [1, 1],
        "num_heads": [2, 2],
        "window_size": 4,
        "patch_size": 2,
        "image_size": 32,
    },
    "ConvNext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
}
LAYERS = {
    "ViT": "layernorm_before",
    "DeiT": "layernorm_before",
    "Swin": "layernorm",
    "ConvNext": "stages.1",
    "ResNet": "stages.1",
}
PROCESSOR = {
    "do_normalize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "image_mean": [0.1, 0.2, 0.3],
    "image_std": [0.4, 0.5, 0.6],
    "size": {"height": 32, "width": 32},
    "resample": 3,
}


def saved(folder: Path, kind: str, processor: dict | None = PROCESSOR, labels: tuple[str, ...] = ("cat", "dog", "owl")):
    torch.manual_seed(2)
    configuration = getattr(transformers, f"{kind}Config")(num_labels=len(labels) or 3, **KINDS[kind])
    if labels:
        configuration.id2label = dict(enumerate(labels))
    model = getattr(transformers, f"{kind}ForImageClassification")(configuration).eval()
    model.save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_logits_labels_and_normalization_are_the_librarys(tmp_path: Path, kind: str) -> None:
    model = saved(tmp_path, kind)
    classifier = load(f"hf:{tmp_path}")
    mean, std = (torch.tensor(PROCESSOR[name]).view(1, 3, 1, 1) for name in ("image_mean", "image_std"))
    with torch.no_grad():
        expected = model((IMAGES - mean) / std).logits
    torch.testing.assert_close(classifier.logits(IMAGES), expected)
    assert classifier.labels == ("cat", "dog", "owl")
    assert classifier.resize == Resize(32, (32, 32), "bicubic", squash=True)
    assert set(classifier.passport.to_json()["sources"].values()) == {"library"}


@pytest.mark.parametrize("kind", KINDS)
def test_families_of_explanations_work_and_the_layer_is_one_that_gradients_reach(tmp_path: Path, kind: str) -> None:
    saved(tmp_path, kind)
    classifier = load(f"hf:{tmp_path}")
    assert LAYERS[kind] in choose_layer(classifier)
    methods = ["saliency", "gradcam", "eigencam", "fullgrad"] + (["rollout", "legrad"] if "iT" in kind else [])
    found = explain(classifier, IMAGES, methods=methods)
    assert set(found) == set(methods)
    if kind in ("ViT", "DeiT"):
        images = IMAGES.clone().requires_grad_()
        recorded = classifier.record(images, ["logits", choose_layer(classifier)])
        layer = recorded[choose_layer(classifier)]
        (gradient,) = torch.autograd.grad(recorded["logits"][:, 0].sum(), layer)
        assert gradient[:, -16:].abs().sum() > 0  # the patches, not only the class token


@pytest.mark.parametrize(
    ("processor", "rule"),
    [
        ({"size": 224, "do_center_crop": False}, Resize(224, (224, 224), "bilinear", squash=True)),
        (
            {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True},
            Resize(256, (224, 224), "bilinear"),
        ),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3}, Resize(256, (224, 224), "bicubic")),
        ({"size": {"shortest_edge": 384}, "crop_pct": 1.0}, Resize(384, (384, 384), "bilinear", squash=True)),
    ],
)
def test_geometry_is_that_of_the_processor(tmp_path: Path, processor: dict, rule: Resize) -> None:
    saved(tmp_path, "ResNet", processor)
    assert load(f"hf:{tmp_path}").resize == rule


@pytest.mark.parametrize(
    ("processor", "mean", "std"),
    [
        ({"do_normalize": False}, 0.0, 1.0),
        ({"image_mean": [127.5] * 3, "image_std": [51.0] * 3, "do_rescale": False}, 0.5, 0.2),
        ({"image_mean": [0.0] * 3, "image_std": [1.0] * 3, "rescale_factor": 1 / 127.5}, 0.0, 0.5),
    ],
)
def test_rescaling_is_part_of_the_normalization(tmp_path: Path, processor: dict, mean: float, std: float) -> None:
    saved(tmp_path, "ResNet", {"size": 32, **processor})
    classifier = load(f"hf:{tmp_path}")
    assert classifier.mean == pytest.approx((mean,) * 3)
    assert classifier.std == pytest.approx((std,) * 3)


def test_what_is_not_known_is_assumed_and_said(tmp_path: Path) -> None:
    saved(tmp_path, "ViT", None, ())
    classifier = load(f"hf:{tmp_path}")
    assert classifier.labels == ()
    assert len(classifier.passport.warnings()) == 1
    assert classifier.size == (32, 32)


def test_random_weights_and_other_files_of_weights(tmp_path: Path) -> None:
    model = saved(tmp_path, "ViT")
    assert load(f"hf:{tmp_path}", random=True).trained is False
    torch.save({"state_dict": {f"net.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "own.ckpt")
    own = load(f"hf:{tmp_path}", weights=tmp_path / "own.ckpt")
    torch.testing.assert_close(own.logits(IMAGES), load(f"hf:{tmp_path}").logits(IMAGES))


def test_what_is_no_classifier_is_said_and_no_code_is_run(tmp_path: Path) -> None:
    saved(tmp_path, "ResNet")
    config = json.loads((tmp_path / "config.json").read_text())
    for changed, found in (
        ({"model_type": "bert"}, "type 'bert'"),
        ({"model_type": "own", "auto_map": {"AutoConfig": "code.Own"}}, "type 'own'"),
        ({"embedding_size": -1}, "cannot be (built|read)"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | changed))
        with pytest.raises(ModelError, match=found):
            load(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match="cannot be read"):
        load(f"hf:{tmp_path}")
    with pytest.raises(BacklightError, match="no config.json"):
        load(f"hf:{tmp_path.parent}")
