"""Images laid out in rows with labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from backlight.core.errors import InputError
from backlight.images.picture import to_picture

_LINES = 3
_LONGEST = 500  # letters of a word that are looked at
_FONT_SIZES = (10, 18)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def grid(
    images: Sequence[Tensor | Image.Image], columns: int, labels: Sequence[str] = (), padding: int = 4
) -> Image.Image:
    """Lay images out in rows on white, columns as wide and rows as high as their largest, labels below.

    Images are tensors as `to_picture` takes them, or PIL pictures; sizes may differ. A label too long for its
    cell is broken into lines, and cut with "..." after the third.

    Raises InputError when there are no images, fewer than 1 column, or another number of labels.

    >>> import torch
    >>> grid([torch.zeros(3, 8, 8)] * 3, columns=2, padding=1).size
    (19, 19)
    """
    if not images or columns < 1:
        raise InputError(f"{len(images)} images in {columns} columns", expected="at least 1 of each")
    if labels and len(labels) != len(images):
        raise InputError(f"{len(labels)} labels for {len(images)} images", expected="one each, or none")
    pictures = [to_picture(image) if isinstance(image, Tensor) else image.convert("RGB") for image in images]
    columns = min(columns, len(pictures))
    widths = [max(picture.width for picture in pictures[column::columns]) for column in range(columns)]
    smallest, largest = _FONT_SIZES
    font = ImageFont.load_default(max(smallest, min(largest, min(widths) // 14)))
    texts = [_fit(label, font, widths[index % columns]) for index, label in enumerate(labels)]
    starts = range(0, len(pictures), columns)
    heights = [max(picture.height for picture in pictures[start : start + columns]) for start in starts]
    captions = [padding + _text_height(texts[start : start + columns], font) if texts else 0 for start in starts]
    lefts = [padding * (column + 1) + sum(widths[:column]) for column in range(columns)]
    tops = [padding * (row + 1) + sum(heights[:row]) + sum(captions[:row]) for row in range(len(starts) + 1)]
    sheet = Image.new("RGB", (lefts[-1] + widths[-1] + padding, tops[-1]), "white")
    draw = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        middle, bottom = lefts[column] + widths[column] // 2, tops[row] + heights[row]
        sheet.paste(picture, (middle - picture.width // 2, bottom - picture.height))
        if texts:
            corner = (middle, bottom + padding)
            draw.multiline_text(corner, texts[index], "black", font, anchor="ma", align="center")
    return sheet


def side_by_side(images: Sequence[Tensor | Image.Image], labels: Sequence[str] = ()) -> Image.Image:
    """Lay images in one row, all scaled to the height of the first.

    Raises InputError as `grid` does.

    >>> import torch
    >>> side_by_side([torch.zeros(3, 8, 8), torch.ones(3, 16, 16)]).size
    (28, 16)
    """
    pictures = [to_picture(image) if isinstance(image, Tensor) else image for image in images]
    scaled = [_to_height(picture.convert("RGB"), pictures[0].height) for picture in pictures]
    return grid(scaled, max(1, len(scaled)), labels)


def _to_height(picture: Image.Image, height: int) -> Image.Image:
    width = max(1, round(picture.width * height / picture.height))
    return picture if picture.height == height else picture.resize((width, height))


def _text_height(texts: Sequence[str], font: Font) -> int:
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    return math.ceil(max(draw.multiline_textbbox((0, 0), text, font, anchor="ma")[3] for text in texts))


def _fit(label: str, font: Font, width: int) -> str:
    """Break a label into at most three lines no wider than the cell, words whole where they fit.

    >>> _fit("tiger cat", ImageFont.load_default(10), 30)
    'tiger\\ncat'
    """
    lines: list[str] = []
    for word in label.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        lines += _pieces(word, font, width)
    if len(lines) <= _LINES:
        return "\n".join(lines)
    last = lines[_LINES - 1]
    while last and font.getlength(last + "...") > width:
        last = last[:-1]
    return "\n".join([*lines[: _LINES - 1], last + "..."])


def _pieces(word: str, font: Font, width: int) -> list[str]:
    pieces = [""]
    for letter in word[:_LONGEST]:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces
