"""Whether the parts of a data set fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from torch import Tensor

from backlight.core.errors import DataError
from backlight.core.repeats import may_repeat


def check_consistent(
    count: int, ids: Sequence[str], labels: Tensor, label_names: Sequence[str], targets: Tensor | None
) -> None:
    """Raise `DataError` when lengths differ, names are no text or repeat, or labels lie outside of the names."""
    lengths = (count, len(ids), len(labels))
    if len(set(lengths)) > 1:
        raise DataError("{} pictures, {} ids, {} labels".format(*lengths), expected="equal numbers")
    if targets is not None and tuple(targets.shape) != (len(ids), len(label_names)):
        expected = f"[{len(ids)},{len(label_names)}], a column per class"
        raise DataError(f"targets of shape {tuple(targets.shape)}", expected=expected)
    for name in chain(ids, label_names):
        if not name.isascii() and name != name.encode("utf-8", "replace").decode():
            raise DataError(f"the name {ascii(name)} is not text", expected="names in UTF-8")
    if may_repeat(ids, len(ids)) and len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise DataError(f"id {twice!r} occurs twice", expected="one id per picture")
    if len(set(label_names)) < len(label_names):
        raise DataError(f"label names that repeat: {label_names}", expected="one name per class")
    if len(labels):
        low, high = int(labels.min()), int(labels.max())
        if low < -1 or high >= len(label_names):
            raise DataError(
                f"labels from {low} to {high} with {len(label_names)} label names",
                expected=f"labels 0..{len(label_names) - 1}",
            )
