"""Docstrings are plain text with `names` in backticks and `>>>` examples; here they become reStructuredText."""

import re
from typing import Any

_SPECIAL = re.compile(r"([\\*|]|(?<=\w)_(?!\w))")
_COLUMNS = re.compile(r"\S {3,}\S")


def process(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Convert a docstring in place, paragraph by paragraph; what Python writes for a tuple's fields says nothing."""
    lines[:] = [] if lines[:1] and lines[0].startswith("Alias for field number") else convert(lines)


def convert(lines: list[str]) -> list[str]:
    """Turn plain text into reStructuredText.

    Examples stay, indented blocks and blocks of columns are shown as they are, the rest is text.
    """
    result: list[str] = []
    for block in _blocks(lines):
        if block[0].lstrip().startswith(">>>"):
            result += block
        elif all(line.startswith(" ") for line in block) or any(map(_COLUMNS.search, block)):
            result += ["::", "", *("    " + line for line in block)]
        else:
            result += _text(block)
        result.append("")
    return result


def _blocks(lines: list[str]) -> list[list[str]]:
    """Split at blank lines, where an indented block begins, and where an example begins."""
    blocks: list[list[str]] = []
    for previous, line in zip(["", *lines], lines):
        if not line.strip():
            continue
        example = line.lstrip().startswith(">>>") and not (blocks and blocks[-1][0].lstrip().startswith(">>>"))
        dented = line.startswith(" ") != previous.startswith(" ")
        if not previous.strip() or example or (dented and not blocks[-1][0].lstrip().startswith(">>>")):
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def _text(block: list[str]) -> list[str]:
    """Escape what reStructuredText would read as markup, and double the backticks."""
    pieces = "\n".join(block).split("`")
    if len(pieces) % 2 == 0:  # a lone backtick is no markup
        return [_SPECIAL.sub(r"\\\1", line).replace("`", r"\`") for line in block]
    text = ""
    for place, piece in enumerate(pieces):
        inside = place % 2
        text += f"``{piece}``" if inside else _SPECIAL.sub(r"\\\1", piece)
        # Markup must end at a space or punctuation; "`a`s" needs an escaped space.
        if inside and place + 1 < len(pieces) and re.match(r"\w", pieces[place + 1]):
            text += "\\ "
    lines = text.split("\n")
    # A text line that begins like a list or a comment is still text.
    return [re.sub(r"^([-+.]|\d+[.)])(?= |\.)", r"\\\1", line) for line in lines]
