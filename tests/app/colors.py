"""A model that names the color of a picture, and pictures of which it is known what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PLAIN = ("red", "green", "blue")
SIDE, EACH = 32, 20
MISTAKEN = {(0, 1): 5, (1, 2): 3}
"""So many pictures of the first color are labeled as the second: they are the model's mistakes."""

_MODEL = """
import json, torch
from backlight.classifier import Classifier

def colors():
    first, last = torch.nn.Conv2d(3, 3, 3, padding=1), torch.nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        for conv, factor in ((first, 1.0), (last, 6.0)):
            conv.weight.zero_()
            conv.bias.zero_()
            for color in range(3):
                conv.weight[color, color, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] = factor
    net = torch.nn.Sequential(first, torch.nn.ReLU(), last, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return Classifier.from_module(net, size=SIDE, labels=json.loads(LABELS), name="colors")
"""


def write_colors(folder: Path, labels: tuple[str, ...] = PLAIN) -> tuple[str, str]:
    """Write the model and 60 pictures, 20 a color, 8 of them labeled wrongly; return `--model` and `--data`."""
    import json

    model = _MODEL.replace("SIDE", str(SIDE)).replace("LABELS", repr(json.dumps(labels)))
    (folder / "colors.py").write_text(model, "utf-8")
    generator = np.random.default_rng(0)
    colors = np.repeat(np.arange(3), EACH)
    images = generator.integers(0, 90, (len(colors), SIDE, SIDE, 3), np.uint8)
    for row, color in enumerate(colors):
        images[row, ..., color] += np.uint8(20 + 5 * (row % EACH))
    named = colors.copy()
    for (color, label), count in MISTAKEN.items():
        named[np.flatnonzero(colors == color)[:count]] = label
    np.savez(folder / "colors.npz", X=images, y=named, label_names=np.array(labels))
    return f"{folder / 'colors.py'}:colors", str(folder / "colors.npz")
