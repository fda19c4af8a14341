"""The verb `attack`: adversarial PNGs whose printed labels are those of the files, a page and a sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import torch

from backlight.attack import SavedAttack, ThreatModel, choose_attack, save_adversarial
from backlight.attack import attack as attack_images
from backlight.attack.adversarial import AttackResult, attack_summary
from backlight.attack.choosing import Attack
from backlight.attack.objectives import Objective
from backlight.classifier import Classifier
from backlight.classifier.heads import UNDEFINED
from backlight.classifier.targets import Target
from backlight.core.errors import Failure
from backlight.core.files import name_part, require_new
from backlight.core.locks import held_folder
from backlight.core.progress import Progress
from backlight.images import Picture, find_pictures, round_to_8bit, write_png
from backlight.images.intake import read_batches, unique_stems
from backlight.images.render import amplify
from backlight.pixels.run import Run
from backlight.report.about import about
from backlight.report.attacked import Attacked, attack_headline, attack_sheet, attacked_section, attempts
from backlight.report.exports import SUMMARY, write_exports
from backlight.report.picture import amplification_of
from backlight.tasks.attack_films import film_uri, filmed, write_film
from backlight.tasks.attacked_picture import AttackedPicture, attacked_picture, lines_of
from backlight.tasks.joint_page import JointPage, exports_of, joint_stem
from backlight.tasks.loading import DEFAULT_MODEL, Model, as_classifier, doubts_of
from backlight.tasks.outcome import Outcome, one_per_input
from backlight.visualize import Frame
from backlight.visualize.film import Film

_AT_ONCE = 16


@dataclass(frozen=True)
class AttackRequest:
    """Which pictures are attacked, how, and towards which class; what an attack's card leaves open may be None.

    Every `frames` steps the best picture so far is filmed, beside its change made visible; 0 films none. Without a page
    there is no sheet and no table either.

    >>> AttackRequest((Path("cat.jpg"),), method="fgsm", eps="2/255").target is None
    True
    """

    pictures: tuple[Path, ...]
    model: Model = DEFAULT_MODEL
    method: Attack = "pgd"
    norm: str | None = None
    eps: float | str | None = None
    steps: int | None = None
    step_size: float | str | None = None
    objective: Objective | None = None
    target: Target = None
    limit: int | None = None
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    batch_size: int = 16
    command: str = ""
    frames: int = 0
    with_page: bool = True


def attack(
    request: AttackRequest,
    *,
    progress: Progress | None = None,
    watch: Callable[[Frame], None] | None = None,
    search: Classifier | None = None,
) -> Outcome:
    """Change pictures a little so that the classifier errs; write them as PNG and judge the files.

    For each picture an adversarial PNG and its perturbation x10 (x1 of a flow, x5 of a map of colors) go into `out`,
    and one page and one sheet of originals, noises and results for all of them, for several also the share that was
    fooled as tables; the result is a list of `AttackedPicture`. `watch` is shown the best pictures so far after every
    step of an attack that takes steps. `search` is the classifier's fast copy, where one is kept for several calls.

    Raises UsageError where a file is there already, options do not fit or no picture is found, and as
    `load` and `backlight.attack.attack` do.

    >>> import tempfile
    >>> from backlight import load
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_png(folder / "gray.png", torch.full((3, 32, 32), 0.5))
    >>> model = load("classic_cnn", random=True)
    >>> outcome = attack(AttackRequest((folder / "gray.png",), model, method="fgsm", out=folder / "out"))
    >>> [path.name for path in outcome.files]
    ['gray-fgsm.png', 'gray-fgsm-x10.png', 'gray-fgsm.html', 'gray-fgsm-sheet.png']
    """
    choose_attack(  # wrong options are told before a model is loaded
        request.method,
        norm=request.norm,
        eps=request.eps,
        target=request.target,
        steps=request.steps,
        step_size=request.step_size,
        objective=request.objective,
    )
    paths = find_pictures(request.pictures)[: request.limit]
    classifier = as_classifier(request.model, request.seed)
    with held_folder(request.out):
        done, failed = attack_pictures(classifier, paths, request, progress=progress, watch=watch, search=search)
        exported = _export(request, done)
    own = [file for one in done for file in (one.png, one.perturbation_png, one.animation) if file]
    shared = tuple(dict.fromkeys(file for one in done for file in (one.html, one.sheet) if file))
    lines = (*chain.from_iterable(map(lines_of, done)), *dict.fromkeys(str(path.parent) for path in exported), *shared)
    files = (*map(Path, own), *exported, *map(Path, shared))
    return one_per_input(done, failed, lines, files=files, warnings=doubts_of(classifier), result=done)


def _export(request: AttackRequest, done: Sequence[AttackedPicture]) -> tuple[Path, ...]:
    """Write what came of several pictures as a table; of one alone there is no share."""
    if len(done) < 2 or done[0].html is None:
        return ()
    first, name = done[0], choose_attack(request.method).label
    success, distance = [one.success for one in done], [one.distance for one in done]
    table = attack_summary(name, ThreatModel(first.norm, first.eps), success, distance)
    return write_exports({SUMMARY: table}, (), exports_of(Path(done[0].html)))


def attack_pictures(
    classifier: Classifier,
    paths: Sequence[Path],
    request: AttackRequest,
    *,
    progress: Progress | None = None,
    watch: Callable[[Frame], None] | None = None,
    search: Classifier | None = None,
) -> tuple[list[AttackedPicture], list[Failure]]:
    """Attack picture files with a loaded classifier, as `attack` does.

    Pictures are first rounded to 8 bits at the model's input size and attacked on the 8-bit lattice, so that the
    file is what was judged. A file that cannot be read is noted and the others go on. Random numbers are keyed by the
    files' names, so that a picture gives the same wherever it lies.
    """
    chosen, stems = choose_attack(request.method, norm=request.norm), unique_stems(paths)
    name, factor = name_part(chosen.label), amplification_of(chosen.threat.norm)
    outputs = {
        path: (request.out / f"{stem}-{name}.png", request.out / f"{stem}-{name}-x{factor}.png")
        for path, stem in zip(paths, stems, strict=True)
    }
    page = _page(classifier, request, request.out / f"{joint_stem(stems)}-{name}") if request.with_page else None
    for output in chain.from_iterable(outputs.values()):
        require_new(output, request.force)
    for png, _ in outputs.values() if request.frames else ():
        require_new(png.with_suffix(".webp"), request.force)
    done: list[AttackedPicture] = []
    failed: list[Failure] = []
    size = min(request.batch_size, _AT_ONCE)
    for pictures in read_batches(classifier, paths, size, failed, progress=progress, description="attack"):
        film = Film() if request.frames else None
        watched = watch if film is None else filmed(film, request.frames, watch)
        result = _attack(classifier, pictures, request, watched, search)
        saved = save_adversarial(result, [outputs[picture.path][0] for picture in pictures])
        tried = None if page is None else attempts(result, round_to_8bit(result.images, result.originals))
        for row, (picture, one) in enumerate(zip(pictures, saved, strict=True)):
            difference = outputs[picture.path][1]
            write_png(difference, amplify(result.perturbation[row].cpu(), factor))
            if one.label_before < 0:
                failed.append(Failure(str(picture.path), UNDEFINED))
                continue
            films = None if film is None else write_film(film, result, row, outputs[picture.path][0])
            note = _note(result, name, picture, one)
            done.append(attacked_picture(result, row, picture.path, one, difference, page, note, films))
            if page is not None and tried is not None:
                page.add(Attacked(picture.path.name, tried[row], result.threat, one.margin, note, film_uri(films)))
        if page is not None:
            page.write(failed)
    return done, failed


def _page(classifier: Classifier, request: AttackRequest, base: Path) -> JointPage[Attacked]:
    name = name_part(choose_attack(request.method).label)
    page = JointPage(
        base,
        f"How {classifier.title} is fooled by {name}",
        about(classifier, command=request.command),
        attacked_section,
        attack_sheet,
        attack_headline,
    )
    page.require_new(request.force)
    return page


def _note(result: AttackResult, name: str, picture: Picture, saved: SavedAttack) -> str:
    note = "" if saved.success else result.threat.lost_to_rounding(picture.image.numel())
    if not result.stands_in_for:
        return note
    stands = f"{name} stands in for {result.stands_in_for}; run {result.stands_in_for} for papers"
    return f"{stands}; {note}" if note else stands


def _attack(
    classifier: Classifier,
    pictures: Sequence[Picture],
    request: AttackRequest,
    watch: Callable[[Frame], None] | None,
    search: Classifier | None,
) -> AttackResult:
    return attack_images(
        classifier,
        round_to_8bit(torch.stack([picture.image for picture in pictures])),
        method=request.method,
        norm=request.norm,
        eps=request.eps,
        lattice=True,
        steps=request.steps,
        step_size=request.step_size,
        objective=request.objective,
        target=request.target,
        seed=request.seed,
        ids=[picture.path.name for picture in pictures],
        watch=None if watch is None else partial(_show, watch, _steps_of(request)),
        search=search,
    )


def _steps_of(request: AttackRequest) -> int:
    chosen = choose_attack(request.method, steps=request.steps)
    own = chosen.card.options.get("steps")
    steps = chosen.options.get("steps", None if own is None else own.default)
    return steps if isinstance(steps, int) else 1


def _show(watch: Callable[[Frame], None], steps: int, run: Run) -> None:
    if bool(run.result.forwards.any()):  # before the first look there is nothing but a start
        watch(Frame(int(run.result.steps.max()), steps, run.result.images.clamp(0, 1)))
