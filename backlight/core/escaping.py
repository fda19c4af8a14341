r"""Names from outside, where they could do harm: they may hold commands to a terminal, other directions, half letters.

Every line that is printed goes through `printable`, every page through `visible`, every JSON document through
`json_text`, every command that a person may copy through `shell_command`, and every name of a file that becomes data
through `as_text`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable
from typing import Any

# Control characters but for tab and line feed, signs that change the direction of what follows, separators of lines,
# halves of surrogate pairs, and tags. Joiners stay: languages and emoji need them.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    r"""Escape what is no letter, sign or space, so that a text is one line of a terminal and nothing but that.

    >>> printable("größe \x1b[31m\n")
    'größe \\x1b[31m\\n'
    """
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def visible(text: str) -> str:
    r"""Escape what commands or reorders, and leave lines, tabs and all letters as they are.

    >>> visible("cat\u202egpj.png\n")
    'cat\\u202egpj.png\n'
    """
    return _HARMFUL.sub(lambda found: _escaped(found[0]), text)


def json_text(document: Any, indent: int | None = 2) -> str:
    r"""Write a document as JSON in valid UTF-8, whatever bytes its names hold; parsed, they are the same again.

    Raises ValueError for numbers that are not finite.

    >>> json_text({"path": "caf\udce9 é"}, indent=None)
    '{"path": "caf\\udce9 é"}'
    """
    text = json.dumps(document, ensure_ascii=False, indent=indent, allow_nan=False)
    return _HARMFUL.sub(lambda found: json.dumps(found[0])[1:-1], text)


def shell_command(words: Iterable[object]) -> str:
    r"""Write a command that may be copied from a terminal or a page into a shell, whatever its words are called.

    >>> shell_command(["backlight", "predict", "my cat.jpg", "two\nlines"])
    "backlight predict 'my cat.jpg' $'two\\x0alines'"
    """
    return " ".join(_shell_word(str(word)) for word in words)


def as_text(name: str | os.PathLike[str]) -> str:
    r"""Return a file's name as text that tables can hold: bytes that are no UTF-8 as `\xff`.

    >>> as_text("caf\udce9.png")
    'caf\\xe9.png'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a name that is no UTF-8, spelled as `as_text` spells it
        return as_text(character)
    return character.encode("unicode_escape").decode()


def _shell_word(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_quoted, word))}'"


def _quoted(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    return character if character.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
