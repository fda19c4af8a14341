"""The verbs, each asked of one classifier as a notebook asks them, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from backlight import Classifier, tasks
from backlight.attack import PerturbationRequest, RobustnessRequest, TransferRequest
from backlight.certify import CertifyRequest
from backlight.core.errors import BacklightError
from backlight.images import write_png
from backlight.tasks.outcome import Outcome
from tests.hostile.kinds import LABELS
from tests.hostile.models import SIDE, pictures, small_net

WORKS, NAMED, REFUSED = "works", "works, and names what it cannot be asked of", "refused"
_FILES = (4, 8, 12, 16, 17, 20)


class Pictures(NamedTuple):
    """Files, and an archive of all pictures with labels of which every sixth is wrong."""

    files: tuple[Path, ...]
    archive: Path
    labels: np.ndarray


@dataclass(frozen=True)
class Said:
    """What a verb said: how it ended, in what words, and what came of it."""

    ended: str
    words: str
    document: Any = None


def write_pictures(folder: Path, classes: int) -> Pictures:
    """Write the pictures as files and as an archive with `classes` of the three labels."""
    images = pictures()
    labels = (small_net()(images / 255).argmax(1) + (torch.arange(24) % 6 == 0)) % classes
    folder.mkdir()
    files = tuple(folder / f"{place}.png" for place in _FILES)
    for place, file in zip(_FILES, files):
        write_png(file, images[place] / 255)
    archive = folder / "data.npz"
    shown = images.permute(0, 2, 3, 1).numpy()
    np.savez(archive, X=shown, y=labels.numpy(), label_names=np.array(LABELS[:classes]))
    return Pictures(files, archive, labels.numpy())


DOUBTING = ("robustness", "transfer", "universal", "certify")
"""The verbs whose documents have verdicts."""

Ask = Callable[[Classifier, Pictures, Path], Outcome]
EXPLAINED = ("saliency", "gradcam", "occlusion:window=8,stride=8")


def _data(seen: Pictures) -> tasks.DataRequest:
    return tasks.DataRequest(str(seen.archive))


_TRANSFER = TransferRequest.of("mi:steps=2", eps="8/255")


def _steady(model: Classifier) -> Classifier:
    """Return a network of as many classes in which nothing is wrong."""
    net = small_net(len(model.labels), seed=1)
    return Classifier.from_module(net, size=SIDE, labels=model.labels, mean=0.0, std=(1.0,) * 3, name="steady")


VERBS: dict[str, Ask] = {
    "predict": lambda model, seen, out: tasks.predict(tasks.PredictRequest(seen.files, model)),
    "evaluate": lambda model, seen, out: tasks.evaluate(tasks.EvaluateRequest(_data(seen), (model,), out=out)),
    "explain": lambda model, seen, out: tasks.explain(tasks.ExplainRequest(seen.files, model, EXPLAINED, out=out)),
    "attack": lambda model, seen, out: tasks.attack(
        tasks.AttackRequest(seen.files, model, "pgd", eps="8/255", steps=4, out=out)
    ),
    "robustness": lambda model, seen, out: tasks.robustness(
        tasks.RobustnessOfDataRequest(_data(seen), model, RobustnessRequest("pgd:steps=4", eps="4/255"), out=out)
    ),
    "transfer": lambda model, seen, out: tasks.transfer(
        tasks.TransferOfDataRequest(_data(seen), (model, _steady(model)), _TRANSFER, out=out)
    ),
    "universal": lambda model, seen, out: tasks.universal(
        tasks.UniversalOfDataRequest(_data(seen), model, PerturbationRequest(epochs=2), out=out)
    ),
    "certify": lambda model, seen, out: tasks.certify(
        tasks.CertifyDataRequest(_data(seen), model, CertifyRequest("smoothing:n=12,n0=4"), out=out)
    ),
    "corruptions": lambda model, seen, out: tasks.corruptions(
        tasks.CorruptionsRequest(_data(seen), model, kinds="fog,jpeg", severities="3", out=out)
    ),
    "calibrate": lambda model, seen, out: tasks.calibrate(
        tasks.CalibrateRequest(model, data=str(seen.archive), out=out)
    ),
    "visualize": lambda model, seen, out: tasks.visualize(
        tasks.VisualizeRequest("class", ("circle",), model, steps=2, out=out)
    ),
    "report": lambda model, seen, out: tasks.report(
        tasks.ReportRequest(seen.files[:2], model, _data(seen), ("saliency",), out=out)
    ),
}


def classifier_of(made: Any, labels: tuple[str, ...], outputs: str | None) -> Classifier:
    """Wrap a model as its owner would."""
    return Classifier.from_module(
        made, size=SIDE, labels=labels, outputs=outputs, mean=0.0, std=(1.0,) * 3, name="model"
    )


def ask(verb: str, model: Classifier, seen: Pictures, out: Path) -> Said:
    """Ask a verb; an error of this program is an answer, any other passes."""
    try:
        found = VERBS[verb](model, seen, out)
    except BacklightError as error:
        return Said(REFUSED, str(error))
    failed = [one.error for one in found.failures]
    verdicts = [one["name"] for one in found.document["verdicts"]] if verb in DOUBTING else []
    told = [line for line in found.lines if "gradient" in line or "finite" in line]
    words = " | ".join(dict.fromkeys((*failed, *found.warnings, *verdicts, *told)))
    return Said(NAMED if failed else WORKS, words, found.document)
