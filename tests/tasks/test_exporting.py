"""Exported files are what they were compared with."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import FileError, ModelError, UsageError
from backlight.images import Resize
from backlight.models import load
from backlight.tasks.exporting import Deployed, export_classifier
from backlight.testing import small_net, unchanged


def _classifier() -> Classifier:
    return Classifier.from_module(small_net(), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), size=8)


def test_a_state_dict_works_in_a_plain_module(tmp_path: Path) -> None:
    classifier = _classifier()
    with unchanged(classifier.module):
        found = export_classifier(classifier, tmp_path / "net.pt", kind="state-dict")
    assert found.difference == 0
    state = torch.load(tmp_path / "net.pt", weights_only=True)
    other = Deployed(Classifier.from_module(small_net(seed=3)))
    other.load_state_dict(state, strict=True)
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(other.eval()(images), classifier.logits(images), atol=1e-6)


@pytest.mark.parametrize("name", ["classic_cnn", "vit:depth=2,window_blocks=0", "cct"])
def test_onnx_gives_the_same_logits(tmp_path: Path, name: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    classifier = load(name, random=True)
    with unchanged(classifier.module):
        found = export_classifier(classifier, tmp_path / "net.onnx")
    assert found.to_json()["pictures"] == 32
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    logits = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    with torch.no_grad():
        assert torch.allclose(logits, classifier.logits(images), atol=1e-3)


def test_an_onnx_file_brings_geometry_and_labels_and_gives_the_same_answers(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    rule = Resize(11, (8, 8), interpolation="bicubic")
    labels = ["kettle", "<b>", "größe", "a, b"]
    given = Classifier.from_module(small_net(), mean=(0.4, 0.5, 0.6), std=0.25, resize=rule, labels=labels)
    export_classifier(given, tmp_path / "net.onnx")
    found = load(f"onnx:{tmp_path / 'net.onnx'}")
    assert (found.resize, found.labels, found.mean, found.std) == (rule, given.labels, (0.0,) * 3, (1.0,) * 3)
    assert {found.passport.source(name) for name in ("mean", "size", "resize", "labels")} == {"passport"}
    assert found.passport.warnings() == ()
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found.logits(images), given.logits(images), rtol=1e-4, atol=1e-5)
    assert load(f"onnx:{tmp_path / 'net.onnx'}", labels=list("abcd")).labels == tuple("abcd")


@pytest.mark.parametrize("inside", ["no json", "[]", '{"mean": "bright"}', '{"labels": [1]}', "[" * 100_000])
def test_a_broken_passport_inside_of_an_onnx_file_is_one_error(tmp_path: Path, inside: str) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    export_classifier(_classifier(), tmp_path / "net.onnx")
    written = onnx.load(tmp_path / "net.onnx")
    written.metadata_props[0].value = inside
    onnx.save(written, tmp_path / "net.onnx")
    with pytest.raises(FileError, match=r"net\.onnx"):
        load(f"onnx:{tmp_path / 'net.onnx'}")


class _Coin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return images.mean((2, 3)) * self.weight * self.calls


def test_a_file_that_gives_other_logits_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="differ"):
        export_classifier(Classifier.from_module(_Coin(), size=4), tmp_path / "net.pt", kind="state-dict")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "name"), [("state-dict", "net.pt"), ("onnx", "net.onnx")])
def test_a_full_disk_is_one_error_and_the_old_file_stays(tmp_path: Path, kind: str, name: str) -> None:
    if kind == "onnx":
        pytest.importorskip("onnx")
    (tmp_path / name).write_text("mine")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(FileError, match=f"{name}: cannot be written: File too large"):
            export_classifier(_classifier(), tmp_path / name, kind=kind, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_what_is_refused(tmp_path: Path) -> None:
    classifier = _classifier()
    (tmp_path / "net.onnx").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        export_classifier(classifier, tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="onnx"):
        export_classifier(classifier, tmp_path / "net.onx", kind="onx")
    with pytest.raises(ModelError, match="input size"):
        export_classifier(Classifier.from_module(nn.Flatten()), tmp_path / "flat.onnx")
    assert (tmp_path / "net.onnx").read_text() == "mine"
