"""An evaluation in lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from backlight.core.errors import counted
from backlight.evaluate import Comparison, Evaluation
from backlight.evaluate.multilabel import MultilabelScores
from backlight.evaluate.slices import Slice
from backlight.table.statistics import wilson

_SHOWN = 10


def evaluation_lines(
    found: Sequence[Evaluation],
    names: Sequence[str],
    comparison: Comparison | None,
    slices: Sequence[Sequence[Slice]],
) -> Iterator[str]:
    """Describe one model, or two by their names and how they compare."""
    for number, one in enumerate(found):
        if len(found) > 1:
            yield f"model {number + 1}: {names[number]}"
        yield from _numbers(one)
        yield from _block("classes, smallest shares first", _least_accurate(one))
        yield from _block("most confused", _confused(one))
        yield from _block("highest losses", map(_picture, one.top_losses))
        yield from _block("labels that may be wrong", map(_picture, one.suspected_label_errors))
        yield from _block("slices, smallest shares first", map(_slice, slices[number]))
    if comparison is not None:
        low, high = comparison.interval
        yield f"model 2 minus model 1: {comparison.difference:+.2%} (95% interval {low:+.2%} to {high:+.2%})"
        yield f"  right only by model 1: {comparison.only_first}, only by model 2: {comparison.only_second}"
        yield f"  McNemar p = {comparison.p:.3g}"


def _block(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Put a title over lines, where there are any."""
    for number, line in enumerate(lines):
        if not number:
            yield f"  {title}"
        yield f"    {line}"


def _numbers(one: Evaluation) -> Iterator[str]:
    low, high = one.accuracy_interval
    yield f"{counted(len(one.table), 'picture')}, split {one.split}"
    yield f"  accuracy  {one.accuracy:.2%}  (95% interval {low:.2%} to {high:.2%})"
    yield f"  top-5     {one.top5:.2%}"
    yield f"  calibration error  {one.reliability.ece:.2%}"


def _least_accurate(one: Evaluation) -> Iterator[str]:
    scores = sorted((s.accuracy, name, s.n) for name, s in one.per_class.items() if s.accuracy is not None)
    for share, name, n in scores[:_SHOWN]:
        low, high = wilson(round(share * n), n)
        yield f"{share:7.2%}  {name}  ({counted(n, 'picture')}, plausibly {low:.0%} to {high:.0%})"


def _confused(one: Evaluation) -> Iterator[str]:
    for pair in one.most_confused[:_SHOWN]:
        yield f"{pair.count:5d}  {pair.true} taken for {pair.predicted}  ({pair.fraction:.1%} of {pair.true})"


def _picture(one: dict[str, Any]) -> str:
    taken = "rightly" if one["label"] == one["prediction"] else f"taken for {one['prediction']}"
    return f"{one['loss']:7.3f}  {one['id']}  {one['label']}, {taken}  ({one['confidence']:.1%} sure)"


def _slice(one: Slice) -> str:
    return f"{one.accuracy:7.2%}  {one.value or '(none)'}  ({counted(one.n, 'picture')})"


def multilabel_lines(found: MultilabelScores) -> Iterator[str]:
    """Describe an evaluation of pictures with several labels each.

    >>> list(multilabel_lines(MultilabelScores(1, {}, 1.0, ())))
    ['1 picture', '  every label right  100.00%']
    """
    yield counted(found.n, "picture")
    if found.mean_average_precision is not None:
        yield f"  mean average precision  {found.mean_average_precision:.2%}"
    yield f"  every label right  {found.all_right:.2%}"
    for name, score in found.labels.items():
        if score.average_precision is not None:
            yield f"    {score.average_precision:8.2%}  {name} ({score.n})"
