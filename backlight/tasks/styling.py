"""The verb `style`: a picture painted in the style of others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from backlight.core.errors import UsageError
from backlight.core.locks import held_folder
from backlight.core.progress import Progress
from backlight.report.about import about
from backlight.tasks.loading import DEFAULT_MODEL, Model, as_classifier
from backlight.tasks.made import Beside, judge_beside, made_outcome, write_made
from backlight.tasks.outcome import Outcome
from backlight.tasks.reading import read_sized
from backlight.visualize import Watch, style_transfer
from backlight.visualize.style_presets import preset_of


@dataclass(frozen=True)
class StyleRequest:
    """What is painted, in whose style, and how large; `blend` weighs the styles, `steps` are those of each scale.

    >>> StyleRequest(Path("house.jpg"), (Path("waves.jpg"),)).longest
    384
    """

    content: Path
    styles: tuple[Path, ...]
    model: Model = DEFAULT_MODEL
    preset: str = "default"
    blend: tuple[float, ...] | None = None
    keep_colors: bool = False
    longest: int = 384
    steps: int | None = None
    frames: int = 0
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    command: str = ""


def style(request: StyleRequest, *, progress: Progress | None = None) -> Outcome:
    """Paint a picture in the style of others; the result is a list of one `Made`.

    Raises UsageError for weights that do not fit and where a file is there already, FileError for what is no
    picture, and as `load` and `style_transfer` do.

    >>> import tempfile, torch
    >>> from backlight import load
    >>> from backlight.images import write_png
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "b.png"):
    ...     write_png(folder / name, torch.rand(3, 32, 32))
    >>> request = StyleRequest(folder / "a.png", (folder / "b.png",), longest=32, steps=1, out=folder / "out")
    >>> style(request).files[0].name
    'a-b.png'
    """
    constants = preset_of(request.preset)
    constants = constants if request.steps is None else replace(constants, steps=request.steps)
    if request.blend is not None and len(request.blend) != len(request.styles):
        raise UsageError(
            f"--blend {','.join(f'{one:g}' for one in request.blend)}",
            expected=f"{len(request.styles)} weights, one per style",
        )
    classifier = as_classifier(request.model, request.seed)
    picture = read_sized(request.content, request.longest, classifier.channels)
    strokes = [read_sized(path, request.longest, classifier.channels)[0] for path in request.styles]
    paths = [request.content, *request.styles]
    sources = tuple((f"Style: {path.stem}", one) for path, one in zip(request.styles, strokes, strict=True))
    with held_folder(request.out):
        done = write_made(
            lambda watch: replace(
                style_transfer(
                    classifier,
                    picture,
                    strokes,
                    preset=constants,
                    blend=None if request.blend is None else list(request.blend),
                    keep_colors=request.keep_colors,
                    watch=watch,
                    seed=request.seed,
                ),
                names=(request.content.name,),
            ),
            ["-".join(path.stem for path in paths)],
            request.out,
            title=f"{request.content.stem} in the style of {', '.join(path.stem for path in request.styles)}",
            about=about(classifier, command=request.command),
            force=request.force,
            watch=Watch(request.frames, progress=progress),
            beside=Beside(judge_beside(classifier, request.content), picture[0], sources),
        )
    return made_outcome(classifier, done)
