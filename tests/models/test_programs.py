"""Networks in files: ONNX without gradients, TorchScript and torch.export with them."""

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from backlight.attack import attack
from backlight.classifier import Classifier
from backlight.core.errors import BacklightError, FileError, ModelError
from backlight.explain import explain
from backlight.models import load
from backlight.models.sources.program_files import _is_of_sizes

pytestmark = pytest.mark.filterwarnings("ignore")
IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        ).eval()


def write_onnx(path: Path, batch: int | None) -> Path:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    shapes = None if batch else {"images": {0: "batch"}}
    torch.onnx.export(
        net(),
        (torch.zeros(batch or 1, 3, 8, 8),),
        str(path),
        input_names=["images"],
        dynamic_axes=shapes,
        dynamo=False,
    )
    return path


@pytest.mark.parametrize("batch", [None, 1, 2])
def test_onnx_gives_the_logits_of_the_network_at_any_batch(tmp_path: Path, batch: int | None) -> None:
    classifier = load(f"onnx:{write_onnx(tmp_path / 'net.onnx', batch)}", mean=[0.4] * 3, std=[0.2] * 3)
    assert classifier.size == (8, 8)
    assert classifier.passport.source("size") == "library"
    torch.testing.assert_close(classifier.logits(IMAGES), net()((IMAGES - 0.4) / 0.2), rtol=1e-4, atol=1e-5)
    assert torch.equal(copy.deepcopy(classifier.module)(IMAGES), classifier.module(IMAGES))


def test_onnx_is_asked_and_never_differentiated(tmp_path: Path) -> None:
    classifier = load(f"onnx:{write_onnx(tmp_path / 'net.onnx', None)}")
    assert len(classifier.passport.warnings()) == 1
    assert classifier.passport.weights != load(f"onnx:{write_onnx(tmp_path / 'two.onnx', 2)}").passport.weights
    found = explain(classifier, IMAGES[:1], methods=["occlusion", "rise:samples=64"])
    assert set(found) == {"occlusion", "rise:samples=64"}
    labels = classifier.logits(IMAGES).argmax(1)
    assert len(attack(classifier, IMAGES, labels, method="square", eps=0.1, steps=3).success) == 5
    for method in ("hopskipjump", "rays", "geoda", "simba", "nes", "spsa"):
        found = attack(classifier, IMAGES, labels, method=method, eps=1e-3, queries=30)
        assert int(found.backwards.sum()) == 0
        assert bool((found.forwards <= 30).all())
    for refused in (
        lambda: explain(classifier, IMAGES[:1], methods=["saliency"]),
        lambda: attack(classifier, IMAGES, labels, method="pgd", eps=0.1, steps=2),
    ):
        with pytest.raises(BacklightError, match="not differentiable|no gradient"):
            refused()


def test_torchscript_is_run_and_differentiated(tmp_path: Path) -> None:
    torch.jit.trace(net(), IMAGES).save(str(tmp_path / "net.pt"))
    classifier = load(f"torchscript:{tmp_path / 'net.pt'}", size=8)
    torch.testing.assert_close(classifier.logits(IMAGES), net()(IMAGES))
    assert set(explain(classifier, IMAGES[:1], methods=["saliency"])) == {"saliency"}


@pytest.mark.parametrize("free", [True, False])
def test_exported_programs_are_run_at_any_batch(tmp_path: Path, free: bool) -> None:
    shapes = ({0: torch.export.Dim("batch", min=1)},) if free else None
    torch.export.save(torch.export.export(net(), (IMAGES[:2],), dynamic_shapes=shapes), tmp_path / "net.pt2")
    classifier = load(f"exported:{tmp_path / 'net.pt2'}")
    assert classifier.size == (8, 8)
    torch.testing.assert_close(classifier.logits(IMAGES), net()(IMAGES))
    assert set(explain(classifier, IMAGES[:2], methods=["saliency"])) == {"saliency"}


@pytest.mark.parametrize("kind", ["onnx", "torchscript", "exported"])
def test_other_files_are_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "net.file").write_bytes(b"nothing of this kind")
    with pytest.raises(FileError, match="net.file: is no"):
        load(f"{kind}:{tmp_path / 'net.file'}")
    with pytest.raises(FileError, match="does not exist"):
        load(f"{kind}:{tmp_path / 'missing'}")
    with pytest.raises(FileError, match="is a folder"):
        load(f"{kind}:{tmp_path}")


def test_random_weights_and_several_inputs_are_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx", None)
    with pytest.raises(ModelError, match="holds its weights"):
        load(f"onnx:{path}", random=True)
    with pytest.raises(ModelError, match="does not take"):
        load(f"onnx:{path}", size=1)


def test_a_passport_lies_beside_the_file(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx", None)
    (tmp_path / "model.json").write_text('{"mean": 0.5, "std": 0.5, "labels": ["a", "b", "c"]}')
    classifier: Classifier = load(f"onnx:{path}")
    assert classifier.passport.warnings() == ()
    assert classifier.labels == ("a", "b", "c")


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> str:
    """Write an exported network whose archive was changed, and return what asks for it."""
    torch.export.save(torch.export.export(net(), (torch.zeros(1, 3, 8, 8),)), path)
    with zipfile.ZipFile(path) as archive:
        entries = {one.filename: archive.read(one) for one in archive.infolist()}
    change(entries)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return f"exported:{path}"


def entry(entries: dict[str, bytes], ending: str) -> str:
    return next(name for name in entries if name.endswith(ending))


class Touch:
    """An object whose pickle writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def hostile(kind: str, marker: Path) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        buffer = io.BytesIO()
        torch.save((Touch(marker),), buffer)
        name = entry(entries, {"weight": "weights_config.json", "inputs": ".pt"}.get(kind, "models/model.json"))
        document = json.loads(entries[name]) if name.endswith(".json") else {}
        if kind == "inputs":
            entries[name] = buffer.getvalue()
        elif kind == "weight":
            document["config"]["0.weight"]["use_pickle"] = True
            entries[name.replace("model_weights_config.json", "weight_0")] = buffer.getvalue()
        elif kind == "operator":
            node = document["graph_module"]["graph"]["nodes"][0]
            node |= {"target": "torch.os.mkdir", "inputs": [{"name": "", "arg": {"as_string": str(marker)}, "kind": 1}]}
        elif kind == "expression":
            size = document["graph_module"]["graph"]["tensor_values"]["conv2d"]["sizes"]
            size[0] = {"as_expr": {"expr_str": f"__import__('os').mkdir({str(marker)!r})", "hint": None}}
        elif kind == "guards":
            document["guards_code"] = [f"__import__('os').mkdir({str(marker)!r})"]
        elif kind == "library":
            entries[name.replace("models/model.json", "data/aotinductor/model/net.so")] = b"\x7fELF"
        elif kind == "object":
            entries[name.replace("models/model.json", "data/constants/opaque_obj_0")] = pickle.dumps(Touch(marker))
        if document:
            entries[name] = json.dumps(document).encode()

    return change


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("inputs", "Python objects"),
        ("weight", "Python objects"),
        ("object", "Python objects"),
        ("library", "compiled library"),
        ("operator", "torch.os.mkdir"),
        ("expression", "expression"),
    ],
)
def test_reading_an_exported_program_runs_nothing(tmp_path: Path, kind: str, found: str) -> None:
    with pytest.raises(FileError, match=found):
        load(rewritten(tmp_path / "net.pt2", hostile(kind, tmp_path / "executed")))
    assert not (tmp_path / "executed").exists()


def test_guards_of_an_exported_program_are_left_out(tmp_path: Path) -> None:
    spec = rewritten(tmp_path / "net.pt2", hostile("guards", tmp_path / "executed"))
    assert load(spec).logits(IMAGES).shape == (5, 3)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("Symbol('s31', positive=True, integer=True)", True),
        ("Add(Mul(Integer(2), Symbol('s0', integer=True)), Integer(1))", True),
        ("Pow(Symbol('s0', integer=True), Integer(2))", True),
        ("2*s0 + FloorDiv(s1, 2)", True),
        ("Pow(Integer(9), Pow(Integer(9), Integer(9)))", False),
        ("9**9**9", False),
        ("exec(chr(9))", False),
        ("s0.__class__", False),
        ("[s0]", False),
        ("", False),
    ],
)
def test_expressions_are_of_sizes(text: str, good: bool) -> None:
    assert _is_of_sizes(text) is good


@pytest.mark.parametrize("kind", ["torchscript", "exported"])
def test_a_program_that_unpacks_to_far_more_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data/weights/weight_0", bytes(2**26))
    with pytest.raises(FileError, match="unpacks to more than"):
        load(f"{kind}:{path}", size=8)
