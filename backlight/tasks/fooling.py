"""The verb `fool`: pictures changed until the classifier sees something else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.targets import Target
from backlight.core.errors import Failure
from backlight.core.locks import held_folder
from backlight.core.progress import Progress
from backlight.images import find_pictures
from backlight.images.intake import unique_stems
from backlight.report.about import about
from backlight.report.made_judged import Judged, judge_fooled
from backlight.tasks.loading import DEFAULT_MODEL, Model, as_classifier
from backlight.tasks.made import Beside, Made, made_outcome, write_made
from backlight.tasks.outcome import Outcome
from backlight.tasks.reading import read_each, read_for
from backlight.visualize import Fooling, Pictures, Watch, fooling_image


@dataclass(frozen=True)
class FoolRequest:
    """Which pictures are to be taken for which class, and with which probability at least.

    Every `frames` steps a picture on the way is kept; 0 keeps none.

    >>> FoolRequest((Path("cat.jpg"),), "red fox").preset
    'confident'
    """

    pictures: tuple[Path, ...]
    target: Target
    model: Model = DEFAULT_MODEL
    preset: str = "confident"
    confidence: float | None = None
    steps: int | None = None
    limit: int | None = None
    frames: int = 0
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    command: str = ""


def fool(request: FoolRequest, *, progress: Progress | None = None) -> Outcome:
    """Change pictures until the classifier sees the target; show the difference and ten times the difference.

    The result is a list of `Made`. Raises UsageError where a file is there already or no picture is found, and as
    `load` and `fooling_image` do.

    >>> import tempfile, torch
    >>> from backlight import load
    >>> from backlight.images import write_png
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_png(folder / "gray.png", torch.full((3, 32, 32), 0.5))
    >>> model = load("classic_cnn", random=True)
    >>> outcome = fool(FoolRequest((folder / "gray.png",), "second", model, steps=2, out=folder / "out"))
    >>> [path.name for path in outcome.files]
    ['gray-fool.png', 'gray-fool-x10.html', 'gray-fool-x10.png']
    """
    paths = find_pictures(request.pictures)[: request.limit]
    classifier, watch = as_classifier(request.model, request.seed), Watch(request.frames, progress=progress)
    done, failed = list[Made](), list[Failure]()
    stems = dict(zip(paths, unique_stems(paths), strict=True))
    with held_folder(request.out):
        for path, image in read_each(paths, read_for(classifier), failed):
            done += write_made(
                partial(_fool, classifier, image, request),
                [f"{stems[path]}-fool"],
                request.out,
                title=f"A picture changed to fool {classifier.title}",
                about=about(classifier, command=request.command),
                sheet=f"{stems[path]}-fool-x10",
                force=request.force,
                watch=watch,
                beside=Beside(partial(_judge, classifier)),
            )
    return made_outcome(classifier, done, failed)


def _fool(classifier: Classifier, image: Tensor, request: FoolRequest, watch: Watch) -> Pictures:
    return fooling_image(
        classifier,
        image,
        request.target,
        preset=request.preset,
        confidence=request.confidence,
        steps=request.steps,
        watch=watch,
        seed=request.seed,
    )


def _judge(classifier: Classifier, pictures: Pictures, row: int, file: Path) -> Judged:
    assert isinstance(pictures, Fooling)
    before, after, target = pictures.originals[row].cpu(), classifier.read(file).image, int(pictures.targets[row])
    return judge_fooled(classifier, before, after, target, bool(pictures.success[row]))
