"""The section of the model: what it is made of, what training gave it, and how this page was made."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import BacklightError
from backlight.models import compare_random, inspect_model
from backlight.page.sections import Facts, Section
from backlight.report.fill import fill
from backlight.report.looking import bars

_PACKAGES = ("backlight", "torch", "torchvision", "timm", "numpy", "pillow", "scikit-image")


def model_section(
    classifier: Classifier, search: Classifier | None, image: Tensor | None, *, seed: int, command: str
) -> Section:
    """Write the section of the model; `image` [C,H,W] is what random weights are asked about, None for nothing.

    `search` is the copy on which attacks looked for changes, None where there was no attack: what was chosen for it
    is stated, as are the versions, the seed and the command, so that the page can be made again.
    """
    facts = {
        "summary": inspect_model(classifier),
        "classifier": classifier,
        "passport": classifier.passport,
        "probe": "" if search is None else _describe(search),
        "versions": versions(),
        "seed": seed,
        "command": command,
        **_comparison(classifier, image, seed),
    }
    return Section("model", f"The model: {classifier.title}", fill("model.html", facts))


def _describe(search: Classifier) -> str:
    return search.probe.describe() if search.probe else "none: attacks looked at the model itself"


def _comparison(classifier: Classifier, image: Tensor | None, seed: int) -> Facts:
    if image is None:
        return {"trained": [], "random": [], "reason": ""}
    try:
        found = compare_random(classifier, image, seed=seed)
    except BacklightError as error:  # a model from a file of code has no random twin: the page says so
        return {"trained": [], "random": [], "reason": str(error)}
    return {"trained": bars(found.trained), "random": bars(found.random), "reason": ""}


def versions() -> dict[str, str]:
    """Return what this page was made with: packages, Python and the machine.

    >>> list(versions())[:2]
    ['backlight', 'torch']
    """
    return {
        **{name: version(name) for name in _PACKAGES},
        "Python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "threads": str(torch.get_num_threads()),
    }
