"""The section of transfer: who fools whom, which attack carries over, and what that looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from torch import Tensor

from backlight.attack.transfer.parts import gradients_of
from backlight.attack.transfer.study import TransferExample, TransferRate, TransferStudy
from backlight.classifier import Classifier
from backlight.classifier.predictions import class_name
from backlight.core.errors import counted
from backlight.images import to_floats, to_picture
from backlight.images.render import amplify
from backlight.page.charts import interval_chart
from backlight.page.embed import exact_uri, photograph_uri
from backlight.page.sections import Section, percent
from backlight.report.fill import fill
from backlight.report.picture import AMPLIFICATION
from backlight.report.robust_words import threat_words

_SHOWN, _EXACT = 224, 48  # larger pictures are reduced to the first, those up to the second are shown as they are
_EXAMPLES, _DRAWN = 4, 24


@dataclass(frozen=True)
class AttackRow:
    """One attack: how often it fools its own surrogate and, on average over pairs, another; what it costs."""

    name: str
    itself: float | None
    others: float | None
    cost: str
    reference: str


@dataclass(frozen=True)
class Answer:
    """What one model says of a picture unchanged and changed; `counted` where it was right before."""

    model: str
    before: str
    after: str
    counted: bool
    fooled: bool
    itself: bool


@dataclass(frozen=True)
class ShownExample:
    """One picture: what it is, what it was made on, its pictures as data URIs, and what every model says."""

    name: str
    label: str
    surrogate: str
    original: str
    noise: str
    changed: str
    tiny: bool
    answers: tuple[Answer, ...]


def transfer_section(
    study: TransferStudy, models: Mapping[str, Classifier] | None = None, *, data: str = "", pictures: bool = True
) -> Section:
    """Write the section; `models` are those of the study, by its names for them, of which sizes are told."""
    rows = _attacks(study)
    best = max(study.between, key=lambda one: one.success or 0.0, default=None)
    strongest = max(rows, key=lambda row: -1.0 if row.others is None else row.others).name
    facts = {
        "study": study,
        "data": data,
        "best": best,
        "itself": None if best is None else _itself(study, best),
        "matrices": [(attack, _matrix(study, attack)) for attack in study.request.labels],
        "attacks": rows,
        "strongest": strongest,
        "teachers": {name: members for name, members in study.surrogates.items() if len(members) > 1},
        "models": [_about(name, one, study.clean_accuracy(name)) for name, one in (models or {}).items()],
        "chart": _chart(study),
        "examples": _examples(study, strongest) if pictures else [],
        "amplification": AMPLIFICATION,
        "allowed": threat_words(study.request.threat),
    }
    return Section("transfer", "Do pictures made on one model fool another?", fill("transfer.html", facts))


def transfer_headline(study: TransferStudy) -> str:
    """Say in a line how well the best attack carries over.

    >>> from backlight.attack.transfer.request import TransferRequest
    >>> from backlight.table import Table
    >>> columns = {"a > a.clean": [0], "a.true": [0], "mi: a > a": [1], "mi: a.blind": [0]}
    >>> study = TransferStudy(Table.of(id=["x"], **columns), TransferRequest.of("mi"), ("a",), {"a": ("a",)})
    >>> transfer_headline(study)
    'nothing to compare'
    """
    best = max(study.between, key=lambda one: one.success or 0.0, default=None)
    if best is None or best.success is None:
        return "nothing to compare"
    return f"{best.attack} on {best.surrogate} fools {best.victim} in {percent(best.success)}"


def _itself(study: TransferStudy, best: TransferRate) -> TransferRate | None:
    """Return the rate of the same attack on the surrogate itself, where it is one model."""
    same = (best.surrogate, best.surrogate)
    return study.rate(best.attack, *same) if same in study.pairs else None


def _matrix(study: TransferStudy, attack: str) -> list[tuple[str, list[TransferRate | None]]]:
    """Return a row for each surrogate with a rate for each victim, None for whom its pictures were not shown."""
    pairs = set(study.pairs)
    return [
        (one, [study.rate(attack, one, victim) if (one, victim) in pairs else None for victim in study.models])
        for one in study.surrogates
    ]


def _attacks(study: TransferStudy) -> list[AttackRow]:
    found = []
    for chosen in study.request.chosen:
        own = [one for one in study.rates if one.attack == chosen.label]
        gradients = gradients_of(chosen.card.function, chosen.options)
        itself = _mean([one for one in own if one.white_box])
        others = _mean([one for one in own if not one.white_box])
        cost = chosen.card.passes if gradients is None else f"{gradients:,} gradients"
        found.append(AttackRow(chosen.label, itself, others, cost, chosen.card.reference))
    return found


def _chart(study: TransferStudy) -> Markup:
    """Draw the rates between different models with their intervals, those of one pair below one another."""
    rows = sorted(study.between, key=lambda one: study.pairs.index((one.surrogate, one.victim)))
    if len(rows) > _DRAWN:
        return Markup("")
    shown = [
        (f"{one.surrogate} to {one.victim}: {one.attack}", one.success or 0.0, *(one.interval or (0.0, 0.0)), False)
        for one in rows
    ]
    return interval_chart(shown, alt="Share of pictures that fool another model, with 95% intervals", text=percent)


def _mean(rates: list[TransferRate]) -> float | None:
    known = [one.success for one in rates if one.success is not None]
    return float(np.mean(known)) if known else None


def _about(name: str, classifier: Classifier, right: float) -> tuple[str, str, str, float]:
    """Return what is told of a model: its name, its size, its normalization, and how many it names rightly."""
    size = "any" if classifier.size is None else f"{classifier.size[1]} x {classifier.size[0]}"
    mean, std = (", ".join(f"{one:.3g}" for one in dict.fromkeys(each)) for each in (classifier.mean, classifier.std))
    return name, size, f"mean {mean}, std {std}", right


def _examples(study: TransferStudy, attack: str) -> list[ShownExample]:
    """Show pictures as they were drawn, each on the surrogate on which it fools most others."""
    found = [_example(study, one, attack) for one in study.examples if one.changed]
    return [one for one in found if one is not None][:_EXAMPLES]


def _example(study: TransferStudy, example: TransferExample, attack: str) -> ShownExample | None:
    made = [surrogate for name, surrogate in example.changed if name == attack]
    if not made:
        return None
    answers = {surrogate: _answers(study, example.name, attack, surrogate) for surrogate in made}
    best = max(made, key=lambda one: sum(each.fooled and not each.itself for each in answers[one]))
    original, changed = example.originals[best], example.changed[attack, best]
    noise = amplify(to_floats(changed) - to_floats(original), AMPLIFICATION)
    row = study.table.at([example.name]).rows()[0]
    member = study.surrogates[best][0]
    label = class_name(study.label_names.get(member, ()), int(row[f"{member}.true"]))
    return ShownExample(
        name=example.name.rsplit("/", 1)[-1],  # the folders of who made the page concern nobody
        label=label,
        surrogate=best,
        original=_uri(to_floats(original)),
        noise=_uri(noise),
        changed=_uri(to_floats(changed)),
        tiny=max(original.shape[-2:]) <= _EXACT,
        answers=tuple(answers[best]),
    )


def _answers(study: TransferStudy, name: str, attack: str, surrogate: str) -> list[Answer]:
    row = study.table.at([name]).rows()[0]
    found = []
    for victim in (victim for one, victim in study.pairs if one == surrogate):
        labels = study.label_names.get(victim, ())
        before, after = int(row[f"{surrogate} > {victim}.clean"]), int(row[f"{attack}: {surrogate} > {victim}"])
        true = int(row[f"{victim}.true"])
        fooled = before == true and after not in (true, -1)
        first, second = (class_name(labels, one) for one in (before, after))
        found.append(Answer(victim, first, second, before == true, fooled, victim == surrogate))
    return found


def _uri(image: Tensor) -> str:
    shown = image[: 3 if len(image) >= 3 else 1]
    if max(image.shape[-2:]) <= _EXACT:
        return exact_uri(shown)
    return photograph_uri(to_picture(shown.clamp(0, 1)), _SHOWN)


def transfer_lines(study: TransferStudy) -> list[str]:
    """Write the rates as text: a block for each attack, a line for each surrogate and victim.

    >>> from backlight.attack.transfer.request import TransferRequest
    >>> from backlight.table import Table
    >>> columns = {"a > a.clean": [0], "a.true": [0], "mi: a > a": [1], "mi: a.blind": [0]}
    >>> study = TransferStudy(Table.of(id=["x"], **columns), TransferRequest.of("mi"), ("a",), {"a": ("a",)})
    >>> print(*transfer_lines(study), sep="\\n")
    1 picture, split all, 0.0 s; linf 16/255 = 0.06275 in [0,1] pixels, on the 8-bit lattice
      mi
        a on itself  100.0% (20.7% to 100.0%) of 1
    """
    request = study.request
    count, what = counted(len(study.table), "picture"), request.threat.describe()
    lines = [f"{count}, split {study.split}, {study.seconds:.1f} s; {what}"]
    width = max(len(_pair(one)) for one in study.rates)
    for attack in request.labels:
        lines.append(f"  {attack}")
        for one in (one for one in study.rates if one.attack == attack):
            if one.interval is None or one.success is None:
                lines.append(f"    {_pair(one):<{width}}  no picture that both name rightly")
                continue
            low, high = one.interval
            lines.append(f"    {_pair(one):<{width}}  {one.success:.1%} ({low:.1%} to {high:.1%}) of {one.n}")
    for verdict in study.verdicts:
        lines += [f"  {verdict.name}: {verdict.found}", f"    {verdict.remedy}"]
    return lines


def _pair(rate: TransferRate) -> str:
    return f"{rate.surrogate} on itself" if rate.white_box else f"{rate.surrogate} to {rate.victim}"
