"""The verb `explain` on picture files: overlays (PNG), raw maps (npz), a page and a sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.heads import UNDEFINED
from backlight.classifier.predictions import top_classes
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
from backlight.report.about import about
from backlight.report.explained import Explained, explained_headline, explained_section, explained_sheet
from backlight.report.looking import PhotographReader
from backlight.report.study import METHODS, map_studies
from backlight.tasks.joint_page import JointPage, joint_stem
from backlight.tasks.loading import DEFAULT_MODEL, Model, as_classifier, doubts_of
from backlight.tasks.outcome import Outcome, one_per_input

_AT_ONCE, _TOP = 8, 5
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
    command: str = ""

    @property
    def asked(self) -> Request:
        """Return what is asked of each picture."""
        return Request(self.methods, self.target, self.layer, self.quantity, self.seed)


def explain(request: ExplainRequest, *, progress: Progress | None = None) -> Outcome:
    """Show what in pictures speaks for a class: an overlay and a raw map per method, a page and a sheet of them all.

    The result is a list of `ExplainedPicture`. Raises UsageError where a file is there already, a method is unknown
    or no picture is found, and as `load` and `backlight.explain.explain` do.

    >>> import tempfile
    >>> from backlight import load
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_png(folder / "gray.png", torch.rand(3, 32, 32))
    >>> model = load("classic_cnn", random=True)
    >>> outcome = explain(ExplainRequest((folder / "gray.png",), model, methods=("saliency",), out=folder / "out"))
    >>> [path.name for path in outcome.files]
    ['gray-saliency.png', 'gray-saliency.npz', 'gray-explained.html', 'gray-explained-sheet.png']
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
            command=request.command,
        )
    own = [file for picture in done for one in picture.maps for file in (one.png, one.npz)]
    shared = tuple(dict.fromkeys(file for picture in done for file in (picture.html, picture.sheet)))
    lines = (*chain.from_iterable(map(_lines, done)), *shared)
    return one_per_input(done, failed, lines, files=(*own, *shared), warnings=doubts_of(classifier), result=done)


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
    """One picture, the class that was explained, where the crop lies on the photograph, and the maps.

    `html` and `sheet` are shared by all pictures of a call.
    """

    path: str
    target: str
    box: tuple[float, ...]
    maps: tuple[WrittenMap, ...]
    html: str
    sheet: str

    def to_json(self) -> dict[str, object]:
        """Return `{"path", "target", "box", "maps": [...], "html", "sheet"}`, maps with the fields of `WrittenMap`."""
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
    command: str = "",
) -> tuple[list[ExplainedPicture], list[Failure]]:
    """Explain picture files and write an overlay and a raw map per method, a page and a sheet into `folder`.

    Each npz holds `raw` (signed, [C,h,w]), `heat` ([H,W]), `box` (the crop on the photograph) and `full_size`. A
    file that cannot be read, or for which there is no prediction, is noted and the others go on. Random numbers are
    keyed by the files' names. Nothing is overwritten without `force`.

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
    page = _page(classifier, folder / f"{joint_stem(list(names.values()))}-explained", command)
    page.require_new(force)
    done: list[ExplainedPicture] = []
    failed: list[Failure] = []
    reader = PhotographReader(classifier)
    for photographs in read_batches(reader, paths, batch_size, failed, progress=progress, description="explain"):
        pictures = [one.picture for one in photographs]
        explanations = _explain(classifier, pictures, request)
        drawn = {method: overlays(explanations, method) for method in explanations}
        answers = top_classes(classifier, explanations.logits, _TOP)
        for row, picture in enumerate(pictures):
            if not answers[row]:
                failed.append(Failure(str(picture.path), UNDEFINED))
                continue
            target = explanations.labels[row]
            maps = _write(explanations, {name: one[row] for name, one in drawn.items()}, row, picture, names, folder)
            box = tuple(picture.box)
            done.append(ExplainedPicture(str(picture.path), target, box, maps, str(page.html), str(page.sheet)))
            studied = map_studies(explanations, request.methods, row)
            shown = Explained(picture.path.name, photographs[row], answers[row], target, studied)
            page.add((shown, {name: one[row] for name, one in drawn.items()}))
        page.write(failed)
    return done, failed


def _page(classifier: Classifier, base: Path, command: str) -> JointPage[tuple[Explained, Mapping[str, Tensor]]]:
    return JointPage(
        base,
        f"What {classifier.title} looks at",
        about(classifier, command=command),
        lambda shown, place: explained_section(shown[0], place),
        explained_sheet,
        lambda shown: explained_headline([one for one, _ in shown]),
    )


def _write(
    explanations: Explanations,
    drawn: Mapping[str, Tensor],
    row: int,
    picture: Picture,
    names: Mapping[Path, str],
    folder: Path,
) -> tuple[WrittenMap, ...]:
    maps = []
    for name, attribution in explanations.items():
        png, npz = (map_file(folder, names[picture.path], name, suffix) for suffix in ("png", "npz"))
        write_png(png, drawn[name])
        write_raw(npz, attribution, row, picture)
        maps.append(_written(attribution, row, png, npz))
    return tuple(maps)


def _explain(classifier: Classifier, pictures: list[Picture], request: Request) -> Explanations:
    images = torch.stack([picture.image for picture in pictures])
    return explain_images(
        classifier,
        images,
        request.target,
        methods=request.methods,
        layer=request.layer,
        quantity=request.quantity,
        random=Random(request.seed, [picture.path.name for picture in pictures]),
    )


def _written(attribution: Attribution, row: int, png: Path, npz: Path) -> WrittenMap:
    gap = None if attribution.gap is None else float(attribution.gap[row])
    passes = attribution.forwards + attribution.backwards
    seen = bool(attribution.finite[row] & ~attribution.flat[row])
    return WrittenMap(attribution.method, attribution.layer, str(png), str(npz), passes, gap, attribution.notes, seen)
