"""Names that files may have, and that break what takes them for text, options, lines, markup or commands."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = {
    "255 bytes": "n" * 251 + ".png",
    "255 bytes of letters with two": "é" * 125 + "x.png",
    "newline": "two\nlines.png",
    "return": "over\rwritten.png",
    "tab": "a\tb.png",
    "quotes": 'it\'s "quoted" `it`.png',
    "dashes": "--force.png",
    "right to left": "photo\u202egpj.png",
    "isolate": "\u2067photo\u2069.png",
    "color": "\x1b[31mred\x1b]0;title\x07.png",
    "no UTF-8": os.fsdecode(b"\xff\xfe caf\xe9.png"),
    "markup": "<img src=x onerror=alert(1)>.png",
    "template": "{{ 7 * 7 }} %s [bold].png",
    "spaces": "  two  spaces .png",
}
CLASSES = {kind: name.removesuffix(".png") for kind, name in NAMES.items()}


def write_pictures(folder: Path, names: dict[str, str] = NAMES, size: int = 32) -> Path:
    """Write one picture by each name."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in names.values():
        pixels = random.integers(0, 256, (size, size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name, format="PNG")
    return folder


def write_classes(folder: Path, pictures: int = 4) -> Path:
    """Write class folders by all names, with pictures by all names in turn."""
    names = list(NAMES.values())
    for place, name in enumerate(CLASSES.values()):
        chosen = {str(number): names[(place + number) % len(names)] for number in range(pictures)}
        write_pictures(folder / name, chosen, size=32)
    return folder


def controls(text: str) -> set[str]:
    """Return what commands a terminal, reorders a line, or is no character at all."""
    return {one for one in set(text) if one != "\n" and unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
