"""Pictures that were made, as files: PNGs, sheets and a page, with what scripts and people want to know."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, product
from pathlib import Path

from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import Failure
from backlight.core.files import require_new, write_bytes
from backlight.images import write_png
from backlight.images.intake import unique_stems
from backlight.page.embed import file_uri
from backlight.page.made import MadePicture, made_section
from backlight.page.page import write_page
from backlight.report.made_judged import Judged, judge_kept
from backlight.tasks.loading import doubts_of
from backlight.tasks.outcome import Outcome, one_per_input
from backlight.visualize import Fooling, Pictures, Watch
from backlight.visualize.film import Film, animation
from backlight.visualize.gallery import contact_sheet, frame_sheet

_LONGEST_NAME, _FRAMES = 60, 12
_ENDS = {"steps": "as many as were allowed", "stop": "then it was reached", "success": "then it was reached"}
_FORMULAS = {
    "logit(its class)": "the score (logit) of its class",
    "-cross_entropy(its class)": "the probability of the class wanted, by its logarithm",
}
_ITS_OWN = (
    (re.compile(r"(?<=:)(tensor)?\[[^]]*\]"), "its channel"),
    (re.compile(r"(?<=\* )(tensor)?\[[^]]*\]"), "its weight"),
    (re.compile(r"(tensor)?\[[^]]*\]"), "its class"),
)
MOST_FILM = 1_500_000
"""A film is shown on the page where its file has at most so many bytes."""
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


@dataclass(frozen=True)
class Beside:
    """What stands beside made pictures on their page: what they came from, and how each file is judged.

    `judge` is handed all that was made, the row and the file. `before` is the picture `[C,H,W]` that was changed,
    `sources` are captions with others that it was made of.

    >>> Beside().sources
    ()
    """

    judge: Callable[[Pictures, int, Path], Judged] | None = None
    before: Tensor | None = None
    sources: tuple[tuple[str, Tensor], ...] = ()


def judge_beside(classifier: Classifier, before: Path) -> Callable[[Pictures, int, Path], Judged] | None:
    """Return what compares a made file with the picture file it came from; None for a model of unknown input size.

    >>> from torch import nn
    >>> judge_beside(Classifier.from_module(nn.Flatten()), Path("a.png")) is None
    True
    """
    if classifier.resize is None:
        return None

    def judge(pictures: Pictures, row: int, file: Path) -> Judged:
        return judge_kept(classifier, classifier.read(before).image, classifier.read(file).image)

    return judge


def write_made(
    make: Callable[[Watch], Pictures],
    stems: Sequence[str],
    folder: Path,
    *,
    title: str,
    about: Sequence[tuple[str, str]] = (),
    sheet: str = "",
    force: bool = False,
    watch: Watch | None = None,
    beside: Beside | None = None,
) -> list[Made]:
    """Make pictures and write each as `STEM.png` into `folder`, with a contact sheet and a page.

    `make` is handed a watch; where `watch` asks for pictures on the way these are filmed, and `STEM-iterations.png` and
    the animated `STEM.webp` show them. Equal stems are numbered; the sheet is left out where `sheet` is empty. The page
    is named as the sheet, or as the first picture, headed by `title` and what it is `about`. Every name is checked
    before any work.

    Raises UsageError where a file exists and `force` is not given, FileError where one cannot be written.

    >>> import tempfile
    >>> import torch
    >>> nothing = torch.zeros(1)
    >>> made = Pictures(torch.zeros(1, 3, 8, 8), ("cat",), "f", nothing, nothing, nothing.int(), ("steps",))
    >>> Path(write_made(lambda watch: made, ["cat"], Path(tempfile.mkdtemp()), title="A cat")[0].png).name
    'cat.png'
    """
    stems, watch, beside = unique_stems([f"{stem}.png" for stem in stems]), watch or Watch(), beside or Beside()
    targets = [require_new(folder / f"{stem}.png", force) for stem in stems]
    contact = require_new(folder / f"{sheet}.png", force) if sheet else None
    page = require_new(folder / f"{sheet or stems[0]}.html", force)
    film = Film() if watch.every and watch.call is None else None
    if film is not None:
        for stem, ending in product(stems, ("-iterations.png", ".webp")):
            require_new(folder / f"{stem}{ending}", force)
    began = time.perf_counter()
    pictures = make(watch if film is None else replace(watch, call=film))
    pictures = pictures if film is None else replace(pictures, frames=film.frames)
    seconds = time.perf_counter() - began
    for target, image in zip(targets, pictures.images, strict=True):
        write_png(target, image)
    if contact is not None:
        write_png(contact, contact_sheet(pictures))
    judged = [None if beside.judge is None else beside.judge(pictures, row, one) for row, one in enumerate(targets)]
    shown, written = [], []
    for row, (stem, target) in enumerate(zip(stems, targets, strict=True)):
        ways = _write_frames(pictures, row, folder / stem) if pictures.frames else {}
        shown.append(_shown(pictures, row, beside, judged[row], ways.get("animation")))
        more = _more(pictures, row, judged[row]) | {"html": str(page)} | ways
        if contact is not None:
            more["sheet"] = str(contact)
        objective, steps = float(pictures.objective[row]), int(pictures.steps[row])
        share = seconds / len(pictures)
        written.append(Made(str(target), pictures.names[row], objective, steps, pictures.stopped[row], share, more))
    write_page(
        page, [made_section(shown, "Pictures")], title=title, seconds=seconds, about=about, headline=shown[0].verdict
    )
    return written


def _write_frames(pictures: Pictures, row: int, base: Path) -> dict[str, str]:
    sheet, film = base.with_name(f"{base.name}-iterations.png"), base.with_name(f"{base.name}.webp")
    write_png(sheet, frame_sheet(pictures, row))
    write_bytes(film, animation(frame.images[row] for frame in pictures.frames))
    return {"iterations_png": str(sheet), "animation": str(film)}


def _more(pictures: Pictures, row: int, judged: Judged | None) -> dict[str, object]:
    more: dict[str, object] = {"start": float(pictures.start[row])}
    if isinstance(pictures, Fooling):
        more |= {"distance": float(pictures.distance[row]), "success": bool(pictures.success[row])}
    if pictures.terms:
        more["losses"] = {
            term.name: {"before": float(term.before[row]), "after": float(term.after[row])} for term in pictures.terms
        }
    return more | told_of(judged)


def told_of(judged: Judged | None) -> dict[str, object]:
    """Return what a verdict adds to a document: the sentence, the light, probabilities, and the shifts that keep it.

    >>> told_of(Judged("It is.", "good", shifts=(7, 8)))["shifts"]
    {'kept': 7, 'of': 8}
    """
    if judged is None:
        return {}
    chances = [vars(one) for one in judged.chances]
    more = {} if judged.shifts is None else {"shifts": {"kept": judged.shifts[0], "of": judged.shifts[1]}}
    return {"verdict": judged.sentence, "judgement": judged.light or None, "probabilities": chances, **more}


def describe_made(made: Made) -> Iterator[str]:
    """Describe in lines for people what was made.

    >>> list(describe_made(Made("a.png", "cat", 3.0, 10, "steps", 0.5)))
    ['cat: a.png', '  objective 3 after 10 steps (steps)']
    """
    yield f"{made.name}: {made.png}"
    yield f"  objective {made.objective:.4g} after {made.steps} steps ({made.stopped})"
    for name, value in made.more.items():
        if name == "losses" and isinstance(value, dict):
            pairs = (f"{part} {ends['before']:.3g} -> {ends['after']:.3g}" for part, ends in value.items())
            yield "  " + ", ".join(pairs)
        elif name in ("distance", "success", "psnr", "ssim", "alpha"):
            yield f"  {name} {value:.4g}" if isinstance(value, float) else f"  {name} {value}"
        elif name != "judgement" and isinstance(value, str):
            yield f"  {value}"


def made_outcome(classifier: Classifier, done: Sequence[Made], failed: Sequence[Failure] = ()) -> Outcome:
    """Tell of pictures that were made, with every file that belongs to them; those that led nowhere have failed."""
    kinds = ("html", "iterations_png", "animation", "sheet")
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


def _shown(pictures: Pictures, row: int, beside: Beside, judged: Judged | None, film: str | None) -> MadePicture:
    """Return a picture as a page shows it: with what was reached, how, from what, and what became of it."""
    image, sources = pictures.images[row].cpu(), beside.sources
    before = pictures.originals[row].cpu() if isinstance(pictures, Fooling) else beside.before
    if before is not None and before.shape != image.shape:
        sources, before = (("Before", before), *sources), None
    frames = pictures.frames[:: -(-len(pictures.frames) // _FRAMES) or 1]
    return MadePicture(
        pictures.names[row],
        image,
        tuple(_facts(pictures, row)),
        before,
        pictures.amplified[row].cpu() if isinstance(pictures, Fooling) else None,
        tuple((frame.label, frame.images[row].cpu()) for frame in frames),
        sources,
        "" if judged is None else judged.sentence,
        "" if judged is None else judged.light,
        () if judged is None else judged.chances,
        "" if film is None else file_uri(film, MOST_FILM),
    )


def _facts(pictures: Pictures, row: int) -> Iterator[tuple[str, str]]:
    start, objective = float(pictures.start[row]), float(pictures.objective[row])
    # The batch's numbers say nothing about one picture of it.
    yield "raised", _plain(pictures.formula)
    end = _ENDS.get(pictures.stopped[row], pictures.stopped[row])
    yield "from, to", f"{start:.4g} to {objective:.4g} in {int(pictures.steps[row])} steps ({end})"
    if isinstance(pictures, Fooling):
        yield "the target is the answer", "yes" if pictures.success[row] else "no"
        yield "l2 length of the change", f"{float(pictures.distance[row]):.3g} in [0,1] pixels"
    for term in pictures.terms:
        yield term.name, f"{float(term.before[row]):.4g} to {float(term.after[row]):.4g}"


def _plain(formula: str) -> str:
    """Say of a formula what a person wants to know: the batch's numbers say nothing about one picture of it."""
    for batch, one in _ITS_OWN:
        formula = batch.sub(one, formula)
    return _FORMULAS.get(formula, formula)
