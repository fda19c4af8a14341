"""open_clip's models on names of classes, built from a small configuration with random weights."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from backlight.core.errors import BacklightError
from backlight.explain import explain
from backlight.models import load

open_clip = pytest.importorskip("open_clip")
pytestmark = pytest.mark.filterwarnings("ignore")
SMALL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
NAMES, TEMPLATES = ["cat", "dog", "owl"], ["a photo of a {}.", "a drawing of a {}."]
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def architecture(tmp_path: Path) -> Path:
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    return tmp_path / "small.json"


def test_logits_are_scaled_cosines_with_the_mean_of_normalized_texts(architecture: Path) -> None:
    torch.manual_seed(1)
    model = open_clip.CLIP(**SMALL).eval()
    torch.save(model.state_dict(), architecture.parent / "clip.pt")
    spec = f"clip:{architecture}/{architecture.parent / 'clip.pt'}"
    classifier = load(spec, classes=NAMES, templates=TEMPLATES)
    tokenize = open_clip.tokenizer.SimpleTokenizer(context_length=16)
    with torch.no_grad():
        rows = [F.normalize(model.encode_text(tokenize([t.format(n) for t in TEMPLATES])), dim=-1) for n in NAMES]
        classes = F.normalize(torch.stack([row.mean(0) for row in rows]), dim=-1)
        images = F.normalize(model.encode_image(classifier.normalize(IMAGES)), dim=-1)
        expected = model.logit_scale.exp() * images @ classes.T
    torch.testing.assert_close(classifier.logits(IMAGES), expected)
    assert classifier.labels == tuple(NAMES)
    assert classifier.size == (32, 32)
    assert classifier.passport.source("labels") == "given"
    assert not any("text" in name or "token_embedding" in name for name in classifier.module.state_dict())


def test_the_image_side_is_explained_as_any_network(architecture: Path) -> None:
    classifier = load(f"clip:{architecture}", random=True, classes=NAMES)
    images = IMAGES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(classifier.logits(images)[:, 0].sum(), images)
    assert gradient.abs().sum() > 0
    assert set(explain(classifier, IMAGES, methods=["saliency", "gradcam", "rollout"])) == {
        "saliency",
        "gradcam",
        "rollout",
    }


def test_wrong_use_is_said(architecture: Path) -> None:
    spec = f"clip:{architecture}"
    for options, found in (
        ({"random": True}, "--classes"),
        ({"random": True, "templates": TEMPLATES}, "templates without classes"),
        ({"random": True, "classes": NAMES, "templates": ["a photo"]}, "where the name"),
        ({"random": True, "classes": ["cat", "cat"]}, "'cat' is that of classes 0 and 1"),
        ({"classes": NAMES}, "names no weights"),
    ):
        with pytest.raises(BacklightError, match=found):
            load(spec, **options)
    with pytest.raises(BacklightError, match="ViT-B-32"):
        load("clip:ViT-B-33/openai", classes=NAMES)
    with pytest.raises(BacklightError, match="labels instead"):
        load("classic_cnn", random=True, classes=NAMES)
