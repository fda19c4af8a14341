"""Attacks on picture files: adversarial PNGs whose printed labels are those of the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from backlight.attack.adversarial import attack
from backlight.attack.choosing import Attack, choose_attack
from backlight.attack.saved import SavedAttack, save_adversarial
from backlight.attack.threat import ThreatModel
from backlight.classifier import Classifier
from backlight.classifier.targets import Target
from backlight.engine.progress import Progress
from backlight.errors import Failure
from backlight.files import name_part, require_new
from backlight.images import round_to_8bit, write_png
from backlight.images.intake import read_batches, unique_stems
from backlight.images.render import amplify

AMPLIFICATION = 10


@dataclass(frozen=True)
class AttackRequest:
    """Which attack with which options, in the words of the command line.

    >>> AttackRequest("fgsm", eps="2/255").method
    'fgsm'
    """

    method: Attack = "pgd"
    norm: str | None = None
    eps: float | str | None = None
    steps: int | None = None
    step_size: float | str | None = None
    objective: str | None = None
    target: Target = None
    seed: int = 0


@dataclass(frozen=True)
class AttackedPicture:
    """What the adversarial PNG of one picture does, judged after reading it back from disk.

    `eps` is None where the attack has no bound; `target` is the class asked for, None for an untargeted attack.
    """

    path: str
    target: str | None
    label_before: str
    label_after: str
    success: bool
    norm: str
    eps: float | None
    distance: float
    margin: float
    steps: int
    png: str
    perturbation_png: str

    def to_json(self) -> dict[str, object]:
        """Return the fields as a dictionary."""
        return dict(vars(self))


def attack_pictures(
    classifier: Classifier,
    paths: Sequence[Path],
    request: AttackRequest,
    folder: Path,
    *,
    batch_size: int = 16,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[list[AttackedPicture], list[Failure]]:
    """Attack picture files; write an adversarial PNG and its perturbation x10 for each into `folder`.

    Pictures are first rounded to 8 bits at the model's input size and attacked on the 8-bit lattice, so that the
    file is what was judged. A file that cannot be read is noted and the others go on.

    Raises UsageError where a file exists already, and as `attack` does.

    >>> import tempfile
    >>> from torch import nn
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_png(folder / "gray.png", torch.full((3, 2, 2), 0.5))
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> done, failed = attack_pictures(classifier, [folder / "gray.png"], AttackRequest("fgsm"), folder / "out")
    >>> Path(done[0].png).name
    'gray-fgsm.png'
    """
    outputs, name = {}, name_part(choose_attack(request.method).label)
    for path, stem in zip(paths, unique_stems(paths), strict=True):
        outputs[path] = (folder / f"{stem}-{name}.png", folder / f"{stem}-{name}-x10.png")
        for output in outputs[path]:
            require_new(output, force)
    done: list[AttackedPicture] = []
    failed: list[Failure] = []
    for pictures in read_batches(classifier, paths, batch_size, failed, progress=progress, description="attack"):
        images = round_to_8bit(torch.stack([picture.image for picture in pictures]))
        result = attack(
            classifier,
            images,
            method=request.method,
            norm=request.norm,
            eps=request.eps,
            lattice=True,
            steps=request.steps,
            step_size=request.step_size,
            objective=request.objective,
            target=request.target,
            seed=request.seed,
            ids=[str(picture.path) for picture in pictures],
        )
        saved = save_adversarial(result, [outputs[picture.path][0] for picture in pictures])
        for row, (picture, one) in enumerate(zip(pictures, saved, strict=True)):
            difference = outputs[picture.path][1]
            write_png(difference, amplify(result.perturbation[row].cpu(), AMPLIFICATION))
            done.append(_attacked(classifier, result.threat, picture.path, one, difference))
    return done, failed


def _attacked(
    classifier: Classifier, threat: ThreatModel, path: Path, saved: SavedAttack, difference: Path
) -> AttackedPicture:
    return AttackedPicture(
        path=str(path),
        target=None if saved.target is None else classifier.label(saved.target),
        label_before=classifier.label(saved.label_before),
        label_after=classifier.label(saved.label_after),
        success=saved.success,
        norm=threat.norm,
        eps=None if threat.eps is None else threat.size,
        distance=saved.distance,
        margin=saved.margin,
        steps=saved.steps,
        png=str(saved.path),
        perturbation_png=str(difference),
    )
