"""The section of a universal change: how often it fools pictures that it never saw, beside its control."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from markupsafe import Markup
from torch import Tensor

from backlight.attack.threat import ThreatModel
from backlight.attack.universal.change import Patch, Perturbation
from backlight.attack.universal.files import PRINT_SIZE, magnification, magnified, parse_length
from backlight.attack.universal.placing import outline
from backlight.attack.universal.study import LEARNED, OTHERS, FoolingRate, UniversalExample, UniversalStudy
from backlight.classifier.predictions import class_name
from backlight.core.errors import counted
from backlight.images import to_floats, to_picture
from backlight.images.render import amplify
from backlight.page.charts import interval_chart, line_chart, sensible
from backlight.page.embed import exact_uri, photograph_uri
from backlight.page.plot import Line
from backlight.page.sections import Section, number, percent
from backlight.report.fill import fill
from backlight.report.picture import AMPLIFICATION
from backlight.report.robust_words import threat_words

_SHOWN, _EXACT = 224, 48  # larger pictures are reduced to the first, those up to the second are shown as they are
_POINTS = 25  # of the curve of learning
_CM = 2.54


@dataclass(frozen=True)
class ShownExample:
    """One picture: its name and class, its pictures as data URIs, and what the model says of it before and after."""

    name: str
    label: str
    original: str
    noise: str
    changed: str
    tiny: bool
    before: tuple[str, float]
    after: tuple[str, float]
    fooled: bool


def universal_section(
    study: UniversalStudy, *, data: str = "", on: str = "", pictures: bool = True, print_size: str = PRINT_SIZE
) -> Section:
    """Write the section; `data` names what was learned from, `on` other data that it was measured on."""
    change, others = study.change, study.rate(OTHERS)
    facts = {
        "study": study,
        "data": data,
        "on": on,
        "patch": isinstance(change, Patch),
        "thing": change.kind,
        "control": control_words(study),
        "target": target_words(study),
        "others": others,
        "learned": study.rate(LEARNED),
        "rows": [(_part(one, on), one) for one in (others, study.rate(LEARNED))],
        "allowed": _allowed(study),
        "shown": _shown(study) if pictures else "",
        "times": magnification(change.values) if isinstance(change, Perturbation) else 0,
        "print_size": print_size,
        "distances": _distances(change, print_size) if isinstance(change, Patch) else None,
        "pixels": change.values.shape[-1],
        "chart": _chart(study),
        "sizes": _sizes(study),
        "course": _course(study),
        "steps": len(study.course),
        "examples": _examples(study) if pictures else [],
        "amplification": AMPLIFICATION,
    }
    title = f"Does one {change.kind} fool the model on any picture?"
    return Section("universal", title, fill("universal.html", facts))


def universal_headline(study: UniversalStudy) -> str:
    """Say in a line how often the change fools on pictures that it never saw.

    >>> from backlight.attack.universal.request import PerturbationRequest
    >>> from backlight.table import Table
    >>> columns = {"id": ["a", "b"], "label": [0, 1], "part": ["others"] * 2, "clean": [0, 1]}
    >>> table = Table.of(columns | {"changed": [1, 1], "control": [0, 1]})
    >>> change = Perturbation(torch.zeros(3, 2, 2), "linf", 0.1)
    >>> study = UniversalStudy(table, PerturbationRequest(), change, torch.zeros(4, 3))
    >>> universal_headline(study)
    'one perturbation fools 50% of other pictures, random noise 0%'
    """
    others = study.rate(OTHERS)
    if others.success is None or others.control is None:
        return "nothing to measure: no other picture is named rightly"
    return (
        f"one {study.change.kind} fools {percent(others.success)} of other pictures, "
        f"{control_words(study)} {percent(others.control)}"
    )


def universal_lines(study: UniversalStudy) -> list[str]:
    r"""Write the rates as text: a line for each part.

    >>> from backlight.attack.universal.request import PerturbationRequest
    >>> from backlight.table import Table
    >>> columns = {"id": ["a", "b"], "label": [0, 1], "part": ["others"] * 2, "clean": [0, 1]}
    >>> table = Table.of(columns | {"changed": [1, 1], "control": [0, 1]})
    >>> change = Perturbation(torch.zeros(3, 2, 2), "linf", 0.1)
    >>> study = UniversalStudy(table, PerturbationRequest(), change, torch.zeros(4, 3))
    >>> print(*universal_lines(study), sep="\n")
    perturbation, any wrong class, 4 steps, 0.0 s
      on 2 other pictures: fools 50.0% (9.5% to 90.5%) of 2, random noise 0.0% (0.0% to 65.8%); clean error 0.0%
      on 0 pictures learned from: none counts
      no better than the control: on other pictures the change may fool no more than its control does
        learn longer, from more pictures, or a larger change, and measure on more
    """
    lines = [f"{study.change.kind}, {target_words(study)}, {counted(len(study.course), 'step')}, {study.seconds:.1f} s"]
    for part, words in ((OTHERS, "other pictures"), (LEARNED, "pictures learned from")):
        one = study.rate(part)
        start = f"  on {one.pictures:,} {words}: "
        if one.success is None or one.interval is None or one.control is None or one.control_interval is None:
            lines.append(f"{start}none counts")
            continue
        (low, high), (least, most) = one.interval, one.control_interval
        lines.append(
            f"{start}fools {one.success:.1%} ({low:.1%} to {high:.1%}) of {one.n:,}, {control_words(study)} "
            f"{one.control:.1%} ({least:.1%} to {most:.1%}); clean error {1 - one.clean_accuracy:.1%}"
        )
    for verdict in study.verdicts:
        lines += [f"  {verdict.name}: {verdict.found}", f"    {verdict.remedy}"]
    return lines


def control_words(study: UniversalStudy) -> str:
    """Name what stands beside the change."""
    return "a plain grey patch" if isinstance(study.change, Patch) else "random noise"


def target_words(study: UniversalStudy) -> str:
    """Say what the attacker wants."""
    return "any wrong class" if study.target is None else class_name(study.label_names, study.target)


def _part(rate: FoolingRate, on: str) -> str:
    if rate.part == LEARNED:
        return "learned from"
    return f"others, of {on}" if on else "others, never seen"


def _allowed(study: UniversalStudy) -> str:
    change = study.change
    if isinstance(change, Patch):
        low, high = change.size
        size = percent(low) if low == high else f"{percent(low)} to {percent(high)}"
        return (
            f"A {change.shape} with a side of {size} of the picture's shorter side lies anywhere on the picture, "
            f"turned by up to {change.degrees:g} degrees either way; nothing around it changes."
        )
    assert isinstance(change, Perturbation)
    return threat_words(ThreatModel(change.norm, change.eps))


def _distances(patch: Patch, print_size: str) -> tuple[str, str]:
    """Return what the shorter side of the view must span at the patch, in centimeters, for it to look as learned."""
    length = parse_length(print_size) * _CM
    nearest, farthest = (length / size for size in reversed(patch.size))
    return number(nearest), number(farthest)


def _shown(study: UniversalStudy) -> str:
    change = study.change
    if isinstance(change, Perturbation):
        return _uri(magnified(change.values))
    assert isinstance(change, Patch)
    white = torch.where(outline(change.values.shape[-1], change.shape), change.values, 1.0)
    return exact_uri(white)


def _chart(study: UniversalStudy) -> Markup:
    rows = []
    for one in (study.rate(OTHERS), study.rate(LEARNED)):
        part = "on others" if one.part == OTHERS else "on pictures learned from"
        if one.success is not None and one.interval is not None:
            rows.append((f"the {study.change.kind} {part}", one.success, *one.interval, False))
        if one.control is not None and one.control_interval is not None:
            rows.append((f"{control_words(study)} {part}", one.control, *one.control_interval, True))
    return interval_chart(rows, alt="Share of pictures fooled, with 95% intervals", text=percent)


def _sizes(study: UniversalStudy) -> Markup:
    """Draw the rates over the size of the patch."""
    found = study.by_size()
    if not found:
        return Markup("")
    middles = [(low + high) / 2 for low, high, _ in found]
    change = tuple((x, rate.success or 0.0) for x, (_, _, rate) in zip(middles, found))
    control = tuple((x, rate.control or 0.0) for x, (_, _, rate) in zip(middles, found))
    lines = [
        Line(change, "the patch", bars=tuple(rate.interval or (0.0, 0.0) for *_, rate in found)),
        Line(control, control_words(study), bars=tuple(rate.control_interval or (0.0, 0.0) for *_, rate in found)),
    ]
    alt = "Share of other pictures fooled, over the size of the patch"
    return line_chart(lines, alt=alt, x_label="side of the patch, of the picture's shorter side", x_text=percent)


def _course(study: UniversalStudy) -> Markup:
    """Draw the share of each step's pictures that were fooled, averaged over neighboring steps."""
    steps = len(study.course)
    parts = study.course[:, 1].tensor_split(min(steps, _POINTS))
    ends = torch.tensor([len(part) for part in parts]).cumsum(0).tolist()
    points = tuple((float(end), float(part.mean())) for end, part in zip(ends, parts))
    alt = "Share of pictures fooled while it was learned"
    return line_chart(
        [Line(points)], alt=alt, x_label="step", marks=sensible(0.0, float(steps)), x_text="{:.0f}".format
    )


def _examples(study: UniversalStudy) -> list[tuple[str, list[ShownExample]]]:
    both = (
        ("Other pictures, drawn at random from those that count, not chosen.", study.examples),
        ("More of them, drawn at random from those that were fooled.", study.fooled_examples),
    )
    return [(words, [_example(study, one) for one in some]) for words, some in both if some]


def _example(study: UniversalStudy, one: UniversalExample) -> ShownExample:
    names, target = study.label_names, study.target
    before, after = (class_name(names, index) for index in one.named)
    wanted = one.named[1] != one.label if target is None else one.named[1] == target
    original, changed = to_floats(one.original), to_floats(one.changed)
    return ShownExample(
        name=one.name.rsplit("/", 1)[-1],  # the folders of who made the page concern nobody
        label=class_name(names, one.label),
        original=_uri(original),
        noise="" if isinstance(study.change, Patch) else _uri(amplify(changed - original, AMPLIFICATION)),
        changed=_uri(changed),
        tiny=max(original.shape[-2:]) <= _EXACT,
        before=(before, one.confidence[0]),
        after=(after, one.confidence[1]),
        fooled=wanted and one.named[1] >= 0,
    )


def _uri(image: Tensor) -> str:
    shown = image[: 3 if len(image) >= 3 else 1]
    if max(image.shape[-2:]) <= _EXACT:
        return exact_uri(shown)
    return photograph_uri(to_picture(shown.clamp(0, 1)), _SHOWN)
