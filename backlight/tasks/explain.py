"""Explanations of picture files, written as overlays (PNG) and raw maps (npz)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from backlight.classifier import Classifier
from backlight.engine.progress import Progress
from backlight.errors import Failure
from backlight.explain.attribution import Attribution, Explanations
from backlight.explain.explaining import explain
from backlight.explain.figures import overlays
from backlight.explain.request import Request
from backlight.explain.saved import map_file, write_raw
from backlight.files import require_new
from backlight.images import Picture, write_png
from backlight.images.intake import read_batches, unique_stems
from backlight.random import Random


@dataclass(frozen=True)
class WrittenMap:
    """One map of one picture: its files, the layer it read, passes per image and completeness gap.

    `seen` is false for a map that is the same everywhere or not finite: its overlay shows nothing.
    """

    method: str
    layer: str | None
    png: str
    npz: str
    passes: float
    gap: float | None
    notes: tuple[str, ...]
    seen: bool = True


@dataclass(frozen=True)
class ExplainedPicture:
    """One picture, the class that was explained, where the crop lies on the photograph, and the maps."""

    path: str
    target: str
    box: tuple[float, ...]
    maps: tuple[WrittenMap, ...]

    def to_json(self) -> dict[str, object]:
        """Return `{"path", "target", "box", "maps": [...]}`, each map with the fields of `WrittenMap`."""
        return {**vars(self), "maps": [vars(one) for one in self.maps]}


def explain_pictures(
    classifier: Classifier,
    paths: Sequence[Path],
    request: Request,
    folder: Path,
    *,
    batch_size: int = 8,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[list[ExplainedPicture], list[Failure]]:
    """Explain picture files and write an overlay and a raw map per method into `folder`.

    Each npz holds `raw` (signed, [C,h,w]), `heat` ([H,W]), `box` (the crop on the photograph) and `full_size`. A
    file that cannot be read is noted and the others go on. Nothing is overwritten without `force`.

    Raises UsageError where a file exists, and as `explain` does.

    >>> import tempfile
    >>> from torch import nn
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_png(folder / "gray.png", torch.full((3, 8, 8), 0.5))
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> classifier = Classifier.from_module(net, size=8)
    >>> done, failed = explain_pictures(classifier, [folder / "gray.png"], Request(("saliency",)), folder / "out")
    >>> Path(done[0].maps[0].png).name
    'gray-saliency.png'
    """
    names = dict(zip(paths, unique_stems(paths), strict=True))
    for stem in names.values():
        for method in request.methods:
            require_new(map_file(folder, stem, method, "png"), force)
            require_new(map_file(folder, stem, method, "npz"), force)
    done: list[ExplainedPicture] = []
    failed: list[Failure] = []
    for pictures in read_batches(classifier, paths, batch_size, failed, progress=progress, description="explain"):
        explanations = _explain(classifier, pictures, request)
        drawn = {method: overlays(explanations, method) for method in explanations}
        for row, picture in enumerate(pictures):
            stem = names[picture.path]
            maps = []
            for name, attribution in explanations.items():
                png, npz = map_file(folder, stem, name, "png"), map_file(folder, stem, name, "npz")
                write_png(png, drawn[name][row])
                write_raw(npz, attribution, row, picture)
                maps.append(_written(attribution, row, png, npz))
            target = explanations.labels[row]
            done.append(ExplainedPicture(str(picture.path), target, tuple(picture.box), tuple(maps)))
    return done, failed


def _explain(classifier: Classifier, pictures: list[Picture], request: Request) -> Explanations:
    images = torch.stack([picture.image for picture in pictures])
    return explain(
        classifier,
        images,
        request.target,
        methods=request.methods,
        layer=request.layer,
        quantity=request.quantity,
        random=Random(request.seed, [str(picture.path) for picture in pictures]),
    )


def _written(attribution: Attribution, row: int, png: Path, npz: Path) -> WrittenMap:
    gap = None if attribution.gap is None else float(attribution.gap[row])
    passes = attribution.forwards + attribution.backwards
    seen = bool(attribution.finite[row] & ~attribution.flat[row])
    return WrittenMap(attribution.method, attribution.layer, str(png), str(npz), passes, gap, attribution.notes, seen)
