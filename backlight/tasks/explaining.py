"""The verb `explain` on picture files: overlays (PNG) and raw maps (npz)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path

import torch

from backlight.classifier import Classifier
from backlight.classifier.heads import UNDEFINED
from backlight.classifier.targets import Target
from backlight.core.errors import Failure
from backlight.core.files import require_new
from backlight.core.locks import held_folder
from backlight.core.progress import Progress
from backlight.core.random import Random
from backlight.explain import Attribution, Explanations, choose_methods
from backlight.explain import explain as explain_images
from backlight.explain.choosing import AnyMethod
from backlight.explain.figures import overlays
from backlight.explain.request import Request
from backlight.explain.saved import map_file, write_raw
from backlight.images import Picture, find_pictures, write_png
from backlight.images.intake import read_batches, unique_stems
from backlight.report.study import METHODS
from backlight.tasks.loading import DEFAULT_MODEL, Model, as_classifier, doubts_of
from backlight.tasks.outcome import Outcome, one_per_input

_AT_ONCE = 8
_UNSEEN = "the map is the same everywhere or not finite: nothing to see"


@dataclass(frozen=True)
class ExplainRequest:
    """Which pictures are explained, by which methods, for which class; overlays and maps go into `out`.

    >>> ExplainRequest((Path("cat.jpg"),), methods=("rise",)).asked.target
    'top'
    """

    pictures: tuple[Path, ...]
    model: Model = DEFAULT_MODEL
    methods: tuple[AnyMethod, ...] = METHODS
    target: Target = "top"
    layer: tuple[str, ...] | None = None
    quantity: str = "logit"
    limit: int | None = None
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    batch_size: int = 32

    @property
    def asked(self) -> Request:
        """Return what is asked of each picture."""
        return Request(self.methods, self.target, self.layer, self.quantity, self.seed)


def explain(request: ExplainRequest, *, progress: Progress | None = None) -> Outcome:
    """Show what in pictures speaks for a class: an overlay and a raw map per method.

    The result is a list of `ExplainedPicture`. Raises UsageError where a file is there already, a method is unknown
    or no picture is found, and as `load` and `backlight.explain.explain` do.

    >>> import tempfile
    >>> from backlight import load
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_png(folder / "gray.png", torch.rand(3, 32, 32))
    >>> model = load("classic_cnn", random=True)
    >>> outcome = explain(ExplainRequest((folder / "gray.png",), model, methods=("saliency",), out=folder / "out"))
    >>> [path.name for path in outcome.files]
    ['gray-saliency.png', 'gray-saliency.npz']
    """
    choose_methods(request.methods)  # wrong names are told before a model is loaded
    paths = find_pictures(request.pictures)[: request.limit]
    classifier = as_classifier(request.model, request.seed)
    with held_folder(request.out):
        done, failed = explain_pictures(
            classifier,
            paths,
            request.asked,
            request.out,
            batch_size=min(request.batch_size, _AT_ONCE),
            force=request.force,
            progress=progress,
        )
    files = [file for picture in done for one in picture.maps for file in (one.png, one.npz)]
    return one_per_input(
        done, failed, chain.from_iterable(map(_lines, done)), files=files, warnings=doubts_of(classifier), result=done
    )


def _lines(picture: ExplainedPicture) -> Iterator[str]:
    yield f"{picture.path}: {picture.target}"
    for one in picture.maps:
        layer = f"  at {one.layer}" if one.layer else ""
        gap = f"  completeness gap {one.gap:.2%}" if one.gap is not None else ""
        yield f"  {one.method:<20} {one.png}{layer}{gap}"
        yield from (f"    note: {note}" for note in (*one.notes, *(() if one.seen else (_UNSEEN,))))


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
    file that cannot be read, or for which there is no prediction, is noted and the others go on. Nothing is overwritten
    without `force`.

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
        for one, suffix in product(choose_methods(request.methods), ("png", "npz")):
            require_new(map_file(folder, stem, one.label, suffix), force)
    done: list[ExplainedPicture] = []
    failed: list[Failure] = []
    for pictures in read_batches(classifier, paths, batch_size, failed, progress=progress, description="explain"):
        explanations = _explain(classifier, pictures, request)
        drawn = {method: overlays(explanations, method) for method in explanations}
        answered = classifier.head.well_defined(explanations.logits).tolist()
        for row, picture in enumerate(pictures):
            if not answered[row]:
                failed.append(Failure(str(picture.path), UNDEFINED))
                continue
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
    return explain_images(
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
