"""The section on shortcuts: what frames and shuffled tiles say about what a model looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Judgement, judge
from backlight.audit.frames import FRAME, blur_frame, keep_frame, set_around, set_corners
from backlight.audit.paired import values_of
from backlight.audit.proxies import shuffle_patches
from backlight.audit.shift import choose_rows
from backlight.audit.told import Contest, Told, contests, named_by, told_by
from backlight.core.random import Random
from backlight.table.paired import PerPicture
from backlight.table.statistics import paired_interval, wilson

_PICTURES = {"quick": 200, "normal": 400, "deep": 1000}
_TILES = 4
_AROUND, _CORNERS = "frame of another", "corners of another"
_FEWEST = 30  # pairs of which a difference is told


def check_frame(examined: Examined) -> Iterator[Finding]:
    """Look at frames alone, at frames around the middles of other pictures, at blurred frames and at shuffled tiles."""
    chosen = choose_rows(len(examined.kept), _PICTURES[examined.depth], ids=examined.kept.ids, seed=examined.seed)
    # Folders are sorted by class, and pictures change their frames within a batch: in the order of a key.
    keys = Random((examined.seed, "frames"), [examined.kept.ids[row] for row in chosen]).uniform(dtype=torch.float64)
    names = examined.kept.label_names
    looked = _looks(examined, chosen[keys.argsort().numpy()])
    told = told_by(looked.labels, looked.said["frame alone"], len(names))
    contest = contests(looked.frames, looked.labels, looked.said[_AROUND], len(names))
    marked = _marked(looked, len(names))
    won = bool(marked) or any(one.is_won for one in (contest[0], *contest[1]))
    yield _contest_finding(*contest, names, looked)
    yield _corners_finding(marked, names, looked)
    yield _frame_finding(told, names, looked, won)
    yield _blurred_finding(looked, won)
    yield _tiles_finding(looked)


@dataclass(frozen=True, eq=False, repr=False)
class _Looks:
    """Labels `[N]` of pictures and of the frames set around them, predictions by what was done, examples of each."""

    labels: np.ndarray
    frames: np.ndarray
    ids: list[str]
    said: dict[str, np.ndarray]
    examples: dict[str, Tensor]


def _looks(examined: Examined, rows: np.ndarray) -> _Looks:
    classifier, (_, data) = examined.fast, examined.dataset(torch.from_numpy(rows))
    parts: dict[str, list[Tensor]] = {}
    examples: dict[str, Tensor] = {}
    labels: list[Tensor] = []
    frames: list[Tensor] = []
    ids: list[str] = []
    for batch in data.batches(32):
        random = Random((examined.seed, "tiles"), batch.ids)
        views = {
            "frame blurred": blur_frame(batch.images),
            "frame alone": keep_frame(batch.images),
            _AROUND: set_around(batch.images.roll(1, 0), batch.images),
            _CORNERS: set_corners(batch.images.roll(1, 0), batch.images),
            "tiles shuffled": shuffle_patches(batch.images, random, _TILES),
        }
        labels.append(batch.labels)
        ids += batch.ids
        frames.append(batch.labels.roll(1, 0))
        examples.setdefault("whole", batch.images[0].cpu())
        for name, view in views.items():
            with torch.no_grad():
                logits = classifier.logits(view.to(classifier.device)).cpu()
            parts.setdefault(name, []).append(logits.argmax(1))
            examples.setdefault(name, view[0].cpu())
    # Of whole pictures the pass has told.
    said = {"whole": examined.kept.predictions[[examined.part.places[one] for one in ids]]}
    said |= {name: torch.cat(one).numpy() for name, one in parts.items()}
    return _Looks(torch.cat(labels).numpy(), torch.cat(frames).numpy(), ids, said, examples)


def _marked(looked: _Looks, classes: int) -> list[Told]:
    """List the classes that corners of their pictures carry into pictures of other classes, most first."""
    told = [one.told for one in contests(looked.frames, looked.labels, looked.said[_CORNERS], classes)[1]]
    found = [one for one in told if one is not None and one.is_told]
    return sorted(found, key=lambda one: -one.difference)


def _corners_finding(marked: list[Told], names: tuple[str, ...], looked: _Looks) -> Finding:
    apart = looked.frames != looked.labels
    frames, said = looked.frames[apart], looked.said[_CORNERS][apart]
    followed, count = int((said == frames).sum()), int(apart.sum())
    share = followed / max(count, 1)
    sentence = (
        f"With the four corners ({FRAME:.0%} of each side) of pictures of other classes set in, {share:.0%} of answers "
        "follow the corners: no class hangs on a mark there."
    )
    if marked:
        first, words = marked[0], ", ".join(names[one.place] for one in marked[:5])
        sentence = (
            f"Corners alone carry {words} into pictures of other classes: with corners of {names[first.place]} "
            f"{first.own:.0%} of them are called so, with other corners {first.others:.0%}. A mark there is a shortcut."
        )
    return Finding(
        "corner_marks",
        "shortcuts",
        marked[0].difference if marked else share,
        marked[0].interval if marked else wilson(followed, count),
        count,
        "not judged" if count < _FEWEST else "bad" if marked else "good",
        sentence,
        next="Look for marks in the corners, and cut or cover them before training again." if marked else "",
        per_picture=values_of(np.array(looked.ids)[apart], said == frames),
        larger_is_better=False,
    )


def _contest_finding(overall: Contest, by_class: list[Contest], names: tuple[str, ...], looked: _Looks) -> Finding:
    won = [one for one in by_class if one.is_won]
    most = won[0] if won else overall
    sentence = (
        f"With frames, the outer {FRAME:.0%}, set around the middles of pictures of other classes, "
        f"{overall.middle:.0%} of answers follow the middle and {overall.frame:.0%} the frame"
    )
    if won:
        words = ", ".join(names[one.place] for one in won[:5] if one.place is not None)
        sentence += (
            f"; but a frame of {words} outvotes the middle: with one of {names[won[0].place or 0]}, {won[0].frame:.0%} "
            f"follow the frame and {won[0].middle:.0%} the middle. A shortcut is likely."
        )
    elif overall.is_won:
        sentence += ": the frame outvotes the middle. A shortcut is likely."
    else:
        sentence += ": no frame outvotes the middle."
    judgement: Judgement = "bad" if won or overall.is_won else "good"
    return Finding(
        "frame_against_middle",
        "shortcuts",
        most.difference,
        most.interval,
        overall.n,
        judgement if overall.n >= _FEWEST else "not judged",
        sentence,
        next="Look for marks in the frame, and cut or cover them before training again." if judgement == "bad" else "",
        tables={"What decides, the frame or the middle": _contest_table(overall, by_class, names)},
        images=looked.examples,
        per_picture=_followed(looked),
        larger_is_better=False,
    )


def _followed(looked: _Looks) -> PerPicture:
    """Return 1 for each picture whose answer follows the frame, -1 where it follows the middle, 0 else."""
    apart = looked.frames != looked.labels
    said = looked.said[_AROUND]
    followed = (said == looked.frames).astype(float) - (said == looked.labels)
    return values_of(np.array(looked.ids)[apart], followed[apart])


def _contest_table(overall: Contest, by_class: list[Contest], names: tuple[str, ...]) -> dict[str, list[object]]:
    rows = [overall, *by_class]
    return {
        "class of the frame": ["all" if one.place is None else names[one.place] for one in rows],
        "pictures": [one.n for one in rows],
        "follow the frame": [one.frame for one in rows],
        "follow the middle": [one.middle for one in rows],
        "difference from": [one.interval[0] for one in rows],
        "to": [one.interval[1] for one in rows],
        "p (Bonferroni)": [one.p_value for one in rows],
    }


def _frame_finding(told: list[Told], names: tuple[str, ...], looked: _Looks, won: bool) -> Finding:
    named = named_by(looked.labels, looked.said["frame alone"], len(names))
    table: dict[str, list[object]] = {
        "class": [names[one.place] for one in told],
        "named in its own frames": [one.own for one in told],
        "named in others": [one.others for one in told],
        "p (Bonferroni)": [one.p_value for one in told],
    }
    most = told[0] if told else None
    right = float((looked.said["frame alone"] == looked.labels).mean())
    sentence = f"The frame of a picture alone tells no class; {right:.1%} of the answers are right."
    if named:
        words = ", ".join(names[one.place] for one in named[:5])
        sentence = (
            f"The frame of a picture alone, its outer {FRAME:.0%}, tells {words}: {names[named[0].place]} is named in "
            f"{named[0].own:.0%} of its own frames and in {named[0].others:.0%} of others. "
            + ("" if won else "Natural surroundings, such as sky, tell as much: by itself this is no shortcut.")
        ).strip()
    return Finding(
        "frame_alone",
        "shortcuts",
        most.difference if most else None,
        most.interval if most else None,
        len(looked.labels),
        "look" if named else "good",
        sentence,
        next="Try it on pictures with other surroundings." if named and not won else "",
        tables={"What the frame tells": table},
    )


def _blurred_finding(looked: _Looks, won: bool) -> Finding:
    labels, said = looked.labels, looked.said
    before, after = said["whole"] == labels, said["frame blurred"] == labels
    lost, gained, count = int((before & ~after).sum()), int((~before & after).sum()), len(labels)
    drop = (lost - gained) / count
    interval = paired_interval(lost, gained, count)
    sentence = f"With the frame blurred, {after.mean():.1%} are right instead of {before.mean():.1%}"
    # Things reach into the frame too: where the middle decides, a drop says nothing about shortcuts.
    judgement = judge(interval, look=0.02, bad=0.2) if won else "good"
    tail = "." if won or drop <= 0 else ", as things reach into it; it is the middle that decides."
    return Finding("frame_blurred", "shortcuts", drop, interval, count, judgement, sentence + tail)


def _tiles_finding(looked: _Looks) -> Finding:
    labels, said = looked.labels, looked.said
    before, after = said["whole"] == labels, said["tiles shuffled"] == labels
    chance = np.bincount(labels).max() / len(labels)
    low, high = wilson(int(after.sum()), len(after))
    most = chance + 0.9 * max(float(before.mean()) - chance, 0.0)
    texture = low > most and wilson(int(before.sum()), len(before))[0] > chance + 0.1
    sentence = (
        f"On pictures whose {_TILES} x {_TILES} tiles are shuffled, {after.mean():.1%} are right, of whole pictures "
        f"{before.mean():.1%}" + (": texture or small marks decide, shape hardly does." if texture else ".")
    )
    judgement: Judgement = "look" if texture else "good"
    return Finding("shuffled_tiles", "shortcuts", float(after.mean()), (low, high), len(labels), judgement, sentence)


CARDS = (
    CheckCard(
        "frame",
        "shortcuts",
        check_frame,
        depth="normal",
        needs=frozenset({"pictures", "labels"}),
        reference="Xiao et al., 2021, arXiv:2006.09994; Geirhos et al., 2020, arXiv:2004.07780",
        avoid="things that fill the whole picture",
        paired=True,
    ),
)
