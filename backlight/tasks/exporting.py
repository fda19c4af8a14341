"""Hand a classifier on: one file that takes pictures in [0,1], reloaded and compared before it is called done."""

from __future__ import annotations

import importlib
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.returned import call_module
from backlight.core.atomic import atomic
from backlight.core.errors import ModelError, UsageError, did_you_mean
from backlight.core.escaping import json_text
from backlight.core.files import require_new
from backlight.core.locks import held_folder
from backlight.core.progress import Progress
from backlight.core.random import Random
from backlight.models.sidecar import ONNX_KEY
from backlight.tasks.loading import Model, as_classifier, doubts_of, model_name, with_model
from backlight.tasks.made import file_stem
from backlight.tasks.model_card import CardRequest, read_card
from backlight.tasks.outcome import Outcome, plain_json

FORMATS = {"onnx": ".onnx", "state-dict": ".pt"}
_COMPARED = 32
_LOGITS = ("logits", "binary", "multilabel")
_TOLERANCE = 1e-4  # of the logits' range


class Deployed(nn.Module):
    """A classifier as one module: pictures `[B,C,H,W]` in `[0,1]` in, logits `[B,classes]` out.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> Deployed(Classifier.from_module(net, mean=(0.5,) * 3, size=2))(torch.rand(4, 3, 2, 2)).shape
    torch.Size([4, 2])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network = classifier.module
        self.binary = classifier.outputs == "binary"
        shape = (1, -1, 1, 1)
        for name, values in (("mean", classifier.mean), ("std", classifier.std)):
            self.register_buffer(name, torch.tensor(values, device=classifier.device).view(shape).to(classifier.dtype))

    def forward(self, images: Tensor) -> Tensor:
        """Map pictures in `[0,1]` to logits."""
        values = call_module(self.network, (images.to(self.mean.dtype) - self.mean) / self.std).values
        return F.pad(values, (1, 0)) if self.binary else values


@dataclass(frozen=True)
class Exported:
    """The file, how many pictures it was compared on, and the largest difference of a logit there.

    >>> Exported(Path("a.onnx"), "onnx", 32, 1e-6).pictures
    32
    """

    path: Path
    format: str
    pictures: int
    difference: float

    def to_json(self) -> dict[str, Any]:
        """Return the document of the verb `export`."""
        return {**vars(self), "path": str(self.path)}


@dataclass(frozen=True)
class ExportRequest:
    """Which classifier is handed on, as what: onnx, or state-dict.

    >>> ExportRequest("runs/first").format
    'onnx'
    """

    model: Model
    format: str = "onnx"
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    card: CardRequest | None = None


def export(request: ExportRequest, *, progress: Progress | None = None) -> Outcome:
    """Write a classifier with its normalization inside, read it back and compare it on 32 pictures.

    The result is an `Exported`. Raises UsageError for other formats and where a file is there already, and as `load`
    and `export_classifier` do.

    >>> import tempfile
    >>> from backlight import load
    >>> request = ExportRequest(load("classic_cnn", random=True), "state-dict", Path(tempfile.mkdtemp()))
    >>> export(request).files[0].name
    'classic_cnn.pt'
    """
    _check_format(request.format)
    classifier = as_classifier(request.model, request.seed)
    # Every run of a network has the network's name: its folder's tells runs apart.
    spec = Path(model_name(request.model))
    name = spec.resolve().name if os.path.isdir(spec) else classifier.name
    target = request.out / f"{file_stem(name)}{FORMATS[request.format]}"
    card = read_card(request.card, classifier, request.out, force=request.force) if request.card else None
    with held_folder(request.out):
        made = export_classifier(classifier, target, kind=request.format, force=request.force)
        cards = (card.write(target.name),) if card else ()
    lines = (
        str(made.path),
        f"  read back and compared on {made.pictures} pictures: logits differ by at most {made.difference:.2g}",
        "  takes pictures [B,C,H,W] in [0,1]; the normalization is inside",
        *map(str, cards),
    )
    document = made.to_json() | ({"card": str(cards[0])} if cards else {})
    warnings = (*doubts_of(classifier), *(card.warnings if card else ()))
    return Outcome(
        plain_json(with_model(classifier, document)), lines, (made.path, *cards), warnings=warnings, result=made
    )


def export_classifier(classifier: Classifier, path: str | Path, *, kind: str = "onnx", force: bool = False) -> Exported:
    """Write a classifier with its normalization inside, read it back, and compare logits on 32 pictures.

    `onnx` takes any batch size, and holds geometry and labels for `--model onnx:FILE` (needs the extra `export`);
    `state-dict` holds the tensors of `Deployed`: those of the
    network under `network.`, `mean` and `std`. Nothing is left at `path` when the comparison fails.

    Raises UsageError for other formats and for a file that is there, ModelError where the model cannot be exported
    or what was read back differs by more than 1e-4 of the logits' range.

    >>> import tempfile
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> target = Path(tempfile.mkdtemp()) / "net.pt"
    >>> export_classifier(Classifier.from_module(net, size=2), target, kind="state-dict").difference
    0.0
    """
    _check_format(kind)
    if classifier.size is None:
        raise ModelError(f"{classifier.name} has no input size", expected="one, to be exported", hint="--size")
    target = require_new(path, force)
    draws = Random("export", torch.arange(_COMPARED))
    images = draws.uniform(classifier.channels, *classifier.size).to(classifier.device)
    with torch.no_grad():
        expected = classifier.logits(images)
    _check_head(classifier)
    with atomic(target) as temporary, classifier.guard():
        write, read = {"onnx": (_write_onnx, _read_onnx), "state-dict": (_write_state, _read_state)}[kind]
        write(classifier, images[:2], temporary)
        found = read(classifier, images, temporary).to(expected)
        difference = float((found - expected).abs().max())
        if not difference <= _TOLERANCE * float((expected.max() - expected.min()).clamp(min=1e-6)):
            raise ModelError(f"the exported logits differ by {difference:.1e}", expected="the same logits")
    return Exported(target, kind, _COMPARED, difference)


def _check_head(classifier: Classifier) -> None:
    """Raise ModelError for a model that returns no logits; looked at after a pass, which shows what it ends in."""
    head = classifier.head
    if head.kind not in _LOGITS or head.tail == "sigmoid" or head.column is not None:
        found = "one question of several" if head.column is not None else head.kind
        found += ", through a sigmoid" if head.tail == "sigmoid" else ""
        raise ModelError(
            f"{classifier.name} returns {found}",
            expected="logits, binary or multilabel ones too",
            hint="a file.py:factory that returns the network without its last sigmoid or softmax",
        )


def _check_format(kind: str) -> None:
    if kind not in FORMATS:
        raise UsageError(f"--format {kind}", expected=" or ".join(FORMATS), hint=did_you_mean(kind, FORMATS))


def _write_state(classifier: Classifier, images: Tensor, path: Path) -> None:
    # Where the disk is full, torch's own writer fails with a message about its inside.
    buffer = io.BytesIO()
    torch.save(Deployed(classifier).state_dict(), buffer)
    path.write_bytes(buffer.getvalue())


def _read_state(classifier: Classifier, images: Tensor, path: Path) -> Tensor:
    import copy

    deployed = copy.deepcopy(Deployed(classifier))
    with torch.no_grad():
        for tensor in deployed.state_dict().values():
            tensor.zero_()
        deployed.load_state_dict(torch.load(path, weights_only=True), strict=True)
        result: Tensor = deployed(images)
    return result


def _write_onnx(classifier: Classifier, images: Tensor, path: Path) -> None:
    try:
        # The exporter needs it, and says so in an error like any other.
        onnx = importlib.import_module("onnx")
    except ImportError:
        raise ModelError("onnx is not installed", hint='pip install "backlight[export]"') from None
    stream = io.BytesIO()  # the exporter takes no path that is not UTF-8
    try:
        with warnings.catch_warnings():
            # The newer exporter needs one more package; this one writes the same operators.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Deployed(classifier),
                (images,),
                stream,  # type: ignore[arg-type]  # in memory too, though it does not say so
                dynamo=False,
                input_names=["images"],
                output_names=["logits"],
                dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
            )
    # Whatever the exporter meets that ONNX cannot say ends here, under many types.
    except Exception as error:
        raise ModelError(f"{classifier.name} cannot be written as ONNX: {str(error).splitlines()[0]}") from error
    written = onnx.load_from_string(stream.getvalue())
    inside = {"mean": [0.0] * classifier.channels, "std": [1.0] * classifier.channels}  # pictures go in as they are
    document = json_text(classifier.passport.to_json() | inside, indent=None)
    written.metadata_props.add(key=ONNX_KEY, value=document)
    path.write_bytes(written.SerializeToString())


def _read_onnx(classifier: Classifier, images: Tensor, path: Path) -> Tensor:
    try:
        import onnxruntime
    except ImportError:
        raise ModelError("onnxruntime is not installed", hint='pip install "backlight[export]"') from None
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": images.cpu().numpy()})[0])
