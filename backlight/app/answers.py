"""From what a task made to what the page shows: numbers, and pictures as data inside the answer."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.predictions import Prediction, top_classes
from backlight.core.errors import InputError
from backlight.images import to_picture
from backlight.images.render import normalize_map
from backlight.page.embed import exact_uri, layer_uri, photograph_uri
from backlight.tasks.outcome import Outcome, plain_json

_KINDS = {".png": "image/png", ".jpg": "image/jpeg"}
_FRAME = 288


def file_uri(path: Path | str) -> str:
    """Embed a file as it is: what is saved from the page is what was judged.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.png"
    >>> path.write_bytes(b"1"), file_uri(path)
    (1, 'data:image/png;base64,MQ==')
    """
    data = base64.b64encode(Path(path).read_bytes()).decode("ascii")
    return f"data:{_KINDS[Path(path).suffix]};base64,{data}"


def done_or_raise(outcome: Outcome) -> Outcome:
    """Return an outcome in which the picture did not fail; raises InputError with the reason where it did.

    >>> done_or_raise(Outcome({})).document
    {}
    """
    for one in outcome.failures:
        raise InputError(f"{Path(one.path).name}: {one.error}")
    return outcome


def classes_of(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """List classes with their probabilities and logits, as JSON can hold them."""
    return plain_json([vars(one) for one in predictions])


def predicted(outcome: Outcome) -> dict[str, Any]:
    """Tell the most likely classes of a picture."""
    (found,) = done_or_raise(outcome).result.done
    return {"predictions": classes_of(found.predictions), "warnings": list(outcome.warnings)}


def seen(classifier: Classifier, picture: Path) -> dict[str, Any]:
    """Show what the model sees of a picture, and where that lies on the photograph."""
    found = classifier.read(picture)
    height, width = found.full_size
    return {"view": exact_uri(found.image), "box": list(found.box), "size": [width, height]}


def explained(outcome: Outcome) -> dict[str, Any]:
    """Show the maps of a picture as layers to lie over what the model sees."""
    (found,) = done_or_raise(outcome).result
    maps = [{**plain_json(dict(vars(one))), **_layers(one)} for one in found.maps]
    return {"target": found.target, "maps": [_without(one, "npz") for one in maps], "warnings": list(outcome.warnings)}


def _layers(one: Any) -> dict[str, Any]:
    with np.load(one.npz, allow_pickle=False) as stored:
        heat, raw = torch.from_numpy(stored["heat"]), torch.from_numpy(stored["raw"])
    summed = torch.nn.functional.interpolate(raw.sum(0)[None, None], heat.shape, mode="bilinear", align_corners=False)
    return {
        "heat": layer_uri(normalize_map(heat).values, "heat"),
        "signed": layer_uri(normalize_map(summed[0, 0], signed=True).values, "signed"),
        "png": file_uri(one.png),
    }


def attacked(outcome: Outcome, before: Outcome, after: Outcome) -> dict[str, Any]:
    """Show a picture before and after, the difference, and what the file that would be saved is taken for."""
    (found,) = done_or_raise(outcome).result
    told = _without(found.to_json(), "path", "html", "sheet")
    told |= {"png": file_uri(found.png), "perturbation_png": file_uri(found.perturbation_png)}
    answers = {name: predicted(one)["predictions"] for name, one in (("before", before), ("after", after))}
    return plain_json({**told, **answers, "warnings": list(outcome.warnings)})


def made(outcome: Outcome, after: Outcome | None = None) -> dict[str, Any]:
    """Show a picture that was made, with what the model says of it."""
    (found,) = done_or_raise(outcome).result
    told = {name: value for name, value in found.to_json().items() if name not in ("html", "sheet")}
    told |= {"png": file_uri(found.png), "warnings": list(outcome.warnings)}
    return plain_json(told | ({} if after is None else {"after": predicted(after)["predictions"]}))


def denoised(outcome: Outcome) -> dict[str, Any]:
    """Show a picture without its noise."""
    (found,) = done_or_raise(outcome).result
    return plain_json({**_without(found.to_json(), "path", "html"), "png": file_uri(found.png)})


def frame(classifier: Classifier, step: int, steps: int, image: Tensor) -> dict[str, Any]:
    """Show one picture `[C,H,W]` on the way, with what the model says of it."""
    with torch.no_grad():
        (classes,) = top_classes(classifier, classifier.logits(image[None]), 5)
    shown = photograph_uri(to_picture(image), _FRAME)
    return {"step": step, "steps": steps, "png": shown, "predictions": classes_of(classes)}


def _without(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}
