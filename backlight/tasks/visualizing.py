"""The verb `visualize`: pictures of what a class, a channel or a layer of a model looks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import Failure, UsageError, did_you_mean
from backlight.core.grammar import parse_whole
from backlight.core.locks import held_folder
from backlight.core.progress import Progress
from backlight.images import find_pictures
from backlight.report.about import about
from backlight.report.made_judged import Judged, judge_class, judge_raised
from backlight.tasks.loading import DEFAULT_MODEL, Model, as_classifier
from backlight.tasks.made import Beside, Made, file_stem, judge_beside, made_outcome, write_made
from backlight.tasks.outcome import Outcome
from backlight.tasks.reading import read_each, read_for, read_sized
from backlight.visualize import Frame, Pictures, Watch, class_image, dream, feature_image, invert

SUBJECTS = ("class", "feature", "invert", "dream")


@dataclass(frozen=True)
class VisualizeRequest:
    """What is made visible: `class` of labels (or `all`), `feature` of LAYER:CHANNEL, `invert` or `dream` of pictures.

    `layer` belongs to the last two, `preset` to the first two, `longest` (pixels) to dreams. Every `frames` steps a
    picture on the way is kept; 0 keeps none.

    >>> VisualizeRequest("class", ("goldfish",)).preset
    'lucid'
    """

    what: str
    subjects: tuple[str, ...]
    model: Model = DEFAULT_MODEL
    layer: str | None = None
    preset: str = "lucid"
    steps: int | None = None
    frames: int = 0
    longest: int = 384
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    command: str = ""


def visualize(
    request: VisualizeRequest, *, progress: Progress | None = None, watch: Callable[[Frame], None] | None = None
) -> Outcome:
    """Make pictures that show what a class, a channel or a layer of the model looks for.

    The result is a list of `Made`. With `watch` the pictures on the way are shown to it rather than kept. Raises
    UsageError for a request that cannot be met and where a file is there already, and as `load` and the functions of
    `backlight.visualize` do.

    >>> import tempfile
    >>> from backlight import load
    >>> model, out = load("classic_cnn", random=True), Path(tempfile.mkdtemp())
    >>> outcome = visualize(VisualizeRequest("feature", ("conv1:1",), model, steps=1, out=out))
    >>> [path.name for path in outcome.files]
    ['feature-conv1-1.png', 'feature-conv1-1.html']
    """
    what = request.what
    if what not in SUBJECTS:
        raise UsageError(f"visualize {what!r}", expected=" | ".join(SUBJECTS), hint=did_you_mean(what, SUBJECTS))
    if what in ("invert", "dream") and request.layer is None:
        raise UsageError(f"visualize {what} without a layer", expected="--layer NAME", hint="backlight inspect")
    looking = Watch(request.frames, watch, progress)
    channels = _channels(request.subjects) if what == "feature" else {}
    classifier = as_classifier(request.model, request.seed)
    with held_folder(request.out):
        if what == "class":
            return made_outcome(classifier, _classes(classifier, request, looking))
        if what == "feature":
            return made_outcome(classifier, _features(classifier, request, channels, looking))
        return made_outcome(classifier, *_pictures(classifier, request, looking))


def _classes(classifier: Classifier, request: VisualizeRequest, watch: Watch) -> list[Made]:
    if request.subjects == ("all",):
        indices = list(range(classifier.classes))
    else:
        indices = [classifier.class_index(one) for one in request.subjects]
    return write_made(
        lambda looking: class_image(classifier, indices, **_options(request, looking)),
        [f"class-{file_stem(classifier.label(index))}" for index in indices],
        request.out,
        title=f"What {classifier.title} imagines when it hears a label",
        about=about(classifier, command=request.command),
        sheet="classes" if len(indices) > 1 else "",
        force=request.force,
        watch=watch,
        beside=Beside(lambda made, row, file: judge_class(classifier, classifier.read(file).image, indices[row])),
    )


def _options(request: VisualizeRequest, watch: Watch) -> dict[str, Any]:
    return {"preset": request.preset, "steps": request.steps, "watch": watch, "seed": request.seed}


def _channels(subjects: tuple[str, ...]) -> dict[str, list[int]]:
    by_layer: dict[str, list[int]] = {}
    for subject in subjects:
        layer, colon, channel = subject.rpartition(":")
        try:
            number = parse_whole(channel if colon else "", low=0)
        except UsageError:
            raise UsageError(f"feature {subject!r}", expected="LAYER:CHANNEL, as in blocks.4:12") from None
        by_layer.setdefault(layer, []).append(number)
    return by_layer


def _features(
    classifier: Classifier, request: VisualizeRequest, by_layer: dict[str, list[int]], watch: Watch
) -> list[Made]:
    done = list[Made]()
    for layer, channels in by_layer.items():
        done += write_made(
            partial(_feature, classifier, layer, channels, request),
            [f"feature-{file_stem(layer)}-{channel}" for channel in channels],
            request.out,
            title=f"What excites channels of {layer} in {classifier.title}",
            about=about(classifier, command=request.command),
            sheet=f"features-{file_stem(layer)}" if len(channels) > 1 else "",
            force=request.force,
            watch=watch,
            beside=Beside(partial(_judge_feature, classifier)),
        )
    return done


def _feature(
    classifier: Classifier, layer: str, channels: list[int], request: VisualizeRequest, watch: Watch
) -> Pictures:
    return feature_image(classifier, layer, channels, **_options(request, watch))


def _judge_feature(classifier: Classifier, pictures: Pictures, row: int, file: Path) -> Judged:
    start, end = float(pictures.start[row]), float(pictures.objective[row])
    return judge_raised(classifier, classifier.read(file).image, start, end)


def _pictures(classifier: Classifier, request: VisualizeRequest, watch: Watch) -> tuple[list[Made], list[Failure]]:
    layer = request.layer or ""
    if request.what == "invert":
        read = read_for(classifier)
        make: Callable[..., Pictures] = invert
        joint = "of"
        title = f"What {layer} of {classifier.title} still knows of a picture"
    else:
        read = partial(read_sized, longest=request.longest, channels=classifier.channels)
        make = dream
        joint = "in"
        title = f"A picture with more of what {layer} of {classifier.title} sees in it"
    options = {"seed": request.seed} | ({} if request.steps is None else {"steps": request.steps})
    done, failed = list[Made](), list[Failure]()
    for path, image in read_each(find_pictures(request.subjects), read, failed):
        done += write_made(
            partial(_changed, make, classifier, image, layer, options, f"{layer} {joint} {path.name}"),
            [f"{path.stem}-{request.what}-{file_stem(layer)}"],
            request.out,
            title=title,
            about=about(classifier, command=request.command),
            force=request.force,
            watch=watch,
            beside=Beside(judge_beside(classifier, path), image[0].cpu()),
        )
    return done, failed


def _changed(
    make: Callable[..., Pictures],
    classifier: Classifier,
    image: Tensor,
    layer: str,
    options: dict[str, int],
    name: str,
    watch: Watch,
) -> Pictures:
    return replace(make(classifier, image, layer, watch=watch, **options), names=(name,))
