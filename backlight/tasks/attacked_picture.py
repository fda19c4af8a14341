"""What the verb `attack` says of one picture: a document and lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backlight.attack import SavedAttack, ThreatModel
from backlight.attack.adversarial import AttackResult
from backlight.core.errors import counted
from backlight.report.attacked import Attacked
from backlight.tasks.joint_page import JointPage


@dataclass(frozen=True)
class AttackedPicture:
    """What the adversarial PNG of one picture does, judged after reading it back from disk.

    `distance` is in `norm`, which may be `flow`, `color` or `features` too; `l2` and `linf` are in pixel units.
    `eps` is None where the attack has no bound; `target` is the class asked for, None for an untargeted attack.
    `note` is why rounding to a file may be what the attack failed by. `html` and `sheet` are shared by all
    pictures, None where no page was asked for.
    """

    path: str
    target: str | None
    label_before: str
    label_after: str
    success: bool
    norm: str
    eps: float | None
    distance: float
    l2: float
    linf: float
    changed_pixels: int
    margin: float
    steps: int
    zero_gradients: int
    png: str
    perturbation_png: str
    html: str | None
    sheet: str | None
    note: str | None = None
    stands_in_for: str | None = None
    animation: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the fields as a dictionary."""
        return dict(vars(self))


def attacked_picture(
    result: AttackResult,
    row: int,
    path: Path,
    saved: SavedAttack,
    difference: Path,
    page: JointPage[Attacked] | None,
    note: str,
    film: Path | None,
) -> AttackedPicture:
    """Put together what came of a row of an attack, the file that was saved of it, and where the rest lies."""
    classifier, threat = result.referee.classifier, result.threat
    return AttackedPicture(
        path=str(path),
        target=None if saved.target is None else classifier.label(saved.target),
        label_before=classifier.label(saved.label_before),
        label_after=classifier.label(saved.label_after),
        success=saved.success,
        norm=threat.norm,
        eps=None if threat.eps is None else threat.size,
        distance=saved.distance,
        l2=saved.l2,
        linf=saved.linf,
        changed_pixels=saved.changed_pixels,
        margin=saved.margin,
        steps=saved.steps,
        zero_gradients=int(result.zero_grads[row]),
        png=str(saved.path),
        perturbation_png=str(difference),
        html=None if page is None else str(page.html),
        sheet=None if page is None else str(page.sheet),
        note=note or None,
        stands_in_for=result.stands_in_for or None,
        animation=None if film is None else str(film),
    )


def lines_of(one: AttackedPicture) -> Iterator[str]:
    """Say in lines what the attack came to, and name the files."""
    verdict = "fooled" if one.success else "not fooled"
    threat = ThreatModel(one.norm, one.eps)
    bound = "" if one.eps is None else f" of {threat.text(one.eps)} allowed"
    yield f"{one.path}: {verdict}"
    yield f"  {one.label_before} -> {one.label_after}" + (f"  (wanted {one.target})" if one.target else "")
    pixels = f" in {counted(one.changed_pixels, 'pixel')}" if one.norm == "l0" else ""
    beside = "" if threat.own is None else f"; as pixels l2 {one.l2:.3g}, linf {one.linf:.3g}"
    far = f"{threat.measured(one.distance)}{pixels}{bound}{beside}"
    yield f"  {one.norm} distance {far}, margin {one.margin:.3g}, {one.steps} steps"
    if one.note:
        yield f"  {one.note}"
    if one.zero_gradients and not one.success:
        yield (
            f"  {counted(one.zero_gradients, 'gradient')} zero all over or NaN: the model rounds or is saturated, and "
            "not fooled says nothing; try --objective margin, or --method square"
        )
    yield from (f"  {file}" for file in (one.png, one.perturbation_png, one.animation) if file)
