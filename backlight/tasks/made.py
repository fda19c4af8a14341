"""Pictures that were made, as files: PNGs, sheets and a page, with what scripts and people want to know."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from backlight.classifier import Classifier
from backlight.core.errors import Failure
from backlight.core.files import require_new
from backlight.images import write_png
from backlight.images.intake import unique_stems
from backlight.page.made import MadePicture, made_section
from backlight.page.page import write_page
from backlight.tasks.loading import doubts_of
from backlight.tasks.outcome import Outcome, one_per_input
from backlight.visualize import Fooling, Pictures
from backlight.visualize.gallery import contact_sheet, frame_sheet

_LONGEST_NAME = 60
_NOWHERE = "what was to be raised is NaN or infinite: the picture shows only where the work began"


@dataclass(frozen=True)
class Made:
    """One written picture: what it shows, its files, how it came about, and what its verb adds.

    >>> Made("a.png", "cat", 3.0, 10, "steps", 0.5).to_json()["png"]
    'a.png'
    """

    png: str
    name: str
    objective: float
    steps: int
    stopped: str
    seconds: float
    more: dict[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return `{"png", "name", "objective", "steps", "stopped", "seconds", ...}`."""
        return {**{name: value for name, value in vars(self).items() if name != "more"}, **self.more}


def file_stem(name: str) -> str:
    """Turn a label or layer into a safe file name without suffix.

    >>> file_stem("tiger cat, Felis/../x")
    'tiger-cat'
    """
    return re.sub(r"[^A-Za-z0-9_.=]+", "-", name.split(",")[0]).strip("-.")[:_LONGEST_NAME] or "picture"


def write_made(
    make: Callable[[], Pictures],
    stems: Sequence[str],
    folder: Path,
    *,
    title: str,
    about: Sequence[tuple[str, str]] = (),
    sheet: str = "",
    force: bool = False,
) -> list[Made]:
    """Make pictures and write each as `STEM.png` into `folder`, with a contact sheet, the frames kept, and a page.

    Equal stems are numbered; the sheet is left out where `sheet` is empty. The page is named as the sheet, or as the
    first picture, headed by `title` and what it is `about`. Every name is checked before any work.

    Raises UsageError where a file exists and `force` is not given, FileError where one cannot be written.

    >>> import tempfile
    >>> import torch
    >>> nothing = torch.zeros(1)
    >>> made = Pictures(torch.zeros(1, 3, 8, 8), ("cat",), "f", nothing, nothing, nothing.int(), ("steps",))
    >>> Path(write_made(lambda: made, ["cat"], Path(tempfile.mkdtemp()), title="A cat")[0].png).name
    'cat.png'
    """
    stems = unique_stems([f"{stem}.png" for stem in stems])
    targets = [require_new(folder / f"{stem}.png", force) for stem in stems]
    contact = require_new(folder / f"{sheet}.png", force) if sheet else None
    page = require_new(folder / f"{sheet or stems[0]}.html", force)
    began = time.perf_counter()
    pictures = make()
    seconds = time.perf_counter() - began
    for target, image in zip(targets, pictures.images, strict=True):
        write_png(target, image)
    if contact is not None:
        write_png(contact, contact_sheet(pictures))
    section = made_section(shown_pictures(pictures), "Pictures")
    write_page(page, [section], title=title, seconds=seconds, about=about)
    written = []
    for row, (stem, target) in enumerate(zip(stems, targets, strict=True)):
        more = _more(pictures, row) | {"html": str(page)}
        if pictures.frames:
            path = require_new(folder / f"{stem}-iterations.png", force)
            write_png(path, frame_sheet(pictures, row))
            more["iterations_png"] = str(path)
        if contact is not None:
            more["sheet"] = str(contact)
        objective, steps = float(pictures.objective[row]), int(pictures.steps[row])
        share = seconds / len(pictures)
        written.append(Made(str(target), pictures.names[row], objective, steps, pictures.stopped[row], share, more))
    return written


def _more(pictures: Pictures, row: int) -> dict[str, object]:
    more: dict[str, object] = {"start": float(pictures.start[row])}
    if isinstance(pictures, Fooling):
        more |= {"distance": float(pictures.distance[row]), "success": bool(pictures.success[row])}
    if pictures.terms:
        more["losses"] = {
            term.name: {"before": float(term.before[row]), "after": float(term.after[row])} for term in pictures.terms
        }
    return more


def describe_made(made: Made) -> Iterator[str]:
    """Describe in lines for people what was made.

    >>> list(describe_made(Made("a.png", "cat", 3.0, 10, "steps", 0.5)))
    ['cat: a.png', '  objective 3 after 10 steps (steps)']
    """
    yield f"{made.name}: {made.png}"
    yield f"  objective {made.objective:.4g} after {made.steps} steps ({made.stopped})"
    for name, value in made.more.items():
        if isinstance(value, dict):
            pairs = (f"{part} {ends['before']:.3g} -> {ends['after']:.3g}" for part, ends in value.items())
            yield "  " + ", ".join(pairs)
        elif name in ("distance", "success", "psnr", "ssim", "alpha"):
            yield f"  {name} {value:.4g}" if isinstance(value, float) else f"  {name} {value}"
        elif isinstance(value, str):
            yield f"  {value}"


def made_outcome(classifier: Classifier, done: Sequence[Made], failed: Sequence[Failure] = ()) -> Outcome:
    """Tell of pictures that were made, with every file that belongs to them; those that led nowhere have failed."""
    kinds = ("html", "iterations_png", "sheet")
    files = [str(file) for one in done for file in (one.png, *(one.more.get(kind) for kind in kinds)) if file]
    led = [one for one in done if math.isfinite(one.objective)]
    return one_per_input(
        led,
        (*failed, *(Failure(one.png, _NOWHERE) for one in done if not math.isfinite(one.objective))),
        chain.from_iterable(map(describe_made, led)),
        files=dict.fromkeys(files),
        warnings=doubts_of(classifier),
        result=list(done),
    )


def shown_pictures(pictures: Pictures) -> list[MadePicture]:
    """Return the pictures as a page shows them: with what was reached, how, and from what.

    >>> import torch
    >>> nothing = torch.zeros(1)
    >>> made = Pictures(torch.zeros(1, 3, 8, 8), ("cat",), "logit(3)", nothing, nothing, nothing.int(), ("steps",))
    >>> shown_pictures(made)[0].name
    'cat'
    """
    fooling = pictures if isinstance(pictures, Fooling) else None
    return [
        MadePicture(
            name,
            pictures.images[row].cpu(),
            tuple(_facts(pictures, row)),
            None if fooling is None else fooling.originals[row].cpu(),
            None if fooling is None else fooling.amplified[row].cpu(),
            tuple((frame.label, frame.images[row].cpu()) for frame in pictures.frames),
        )
        for row, name in enumerate(pictures.names)
    ]


def _facts(pictures: Pictures, row: int) -> Iterator[tuple[str, str]]:
    start, objective = float(pictures.start[row]), float(pictures.objective[row])
    # The batch's numbers say nothing about one picture of it.
    yield "raised", re.sub(r"tensor\[[^]]*\]", "its class", pictures.formula)
    yield "from, to", f"{start:.4g} to {objective:.4g} in {int(pictures.steps[row])} steps ({pictures.stopped[row]})"
    if isinstance(pictures, Fooling):
        yield "the target is the answer", "yes" if pictures.success[row] else "no"
        yield "l2 length of the change", f"{float(pictures.distance[row]):.3g} in [0,1] pixels"
    for term in pictures.terms:
        yield term.name, f"{float(term.before[row]):.4g} to {float(term.after[row]):.4g}"
