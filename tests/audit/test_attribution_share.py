"""Attributions lie in the corner where a patch is the class, and not where there is none."""

from __future__ import annotations

import torch

from backlight.audit import Examined, run_checks
from backlight.audit.attribution_share import CARDS
from backlight.audit.passing import look_once
from backlight.data.shapes import Shapes
from tests.audit.nets import shapes_data, train_on


def test_a_patch_draws_the_attribution_into_the_corners_and_shapes_do_not() -> None:
    judged = {}
    for shortcut in (0.0, 1.0):
        shapes = Shapes(n=600, size=32, classes=3, shortcut=shortcut)
        drawn = shapes.draw(torch.arange(400))
        classifier = train_on(drawn.images, drawn.labels, shapes.label_names, steps=200)
        data = shapes_data(shapes.draw(torch.arange(400, 600)), shapes, 400)
        found = run_checks(Examined(look_once(classifier, data), classifier), CARDS).findings
        judged[shortcut] = {one.name: one for one in found}
    assert judged[0.0]["attribution_in_frame"].judgement == "good"
    assert judged[1.0]["attribution_in_frame"].judgement == "look"
    table = judged[1.0]["attribution_in_frame"].tables["Where attributions lie"]
    assert max(table["in the corners"]) > 0.4  # one class may be what has no mark of the others
    agreement = judged[0.0]["attribution_agreement"].value
    assert agreement is not None
    assert 0.3 < agreement <= 1
