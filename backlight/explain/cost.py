"""How many passes methods and metrics make for one picture, for the size of a block: an estimate from their options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from backlight.explain.choosing import Method
from backlight.explain.scores.metrics import Metric
from backlight.sweep.cost import passes_of

_CHANNELS = 1000  # of a last layer, where all are asked for: 512 of ResNet-18 to 2,048 of ResNet-50
_PER_MAP, _AGAIN, _CONTROLS = 21, 10, 2


def passes_for(methods: Sequence[Method], metrics: Sequence[Metric], shape: tuple[int, ...]) -> float:
    """Return the forwards and backwards for one picture `[C,H,W]` of this shape.

    Metrics judge each method's map and two controls, and some explain again.

    >>> from backlight.explain.choosing import method
    >>> passes_for([method("saliency")], [], (3, 32, 32)), passes_for([method("rise:samples=100")], [], (3, 32, 32))
    (2.0, 200.0)
    """
    explained = sum(_passes(one, shape) for one in methods)
    judged = sum(_PER_MAP for metric in metrics if metric.judges) * (len(methods) + _CONTROLS)
    return explained + judged + sum(_AGAIN * explained for metric in metrics if metric.needs == "again")


def _passes(one: Method, shape: tuple[int, ...]) -> float:
    options: dict[str, Any] = {name: option.default for name, option in one.card.options.items()} | dict(one.options)
    if "stride" in options:  # one pass for each place of a window
        return 1.0 + math.prod(math.ceil(side / max(1, int(options["stride"]))) for side in shape[1:])
    if "channels" in options:
        return 2.0 + (int(options["channels"]) or _CHANNELS)
    if "max_points" in options:  # as many as the path needs, or as were asked for
        return 2.0 * (int(options["points"]) or int(options["max_points"]))
    return passes_of(one.card.function, options)
