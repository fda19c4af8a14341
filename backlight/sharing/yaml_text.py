"""Plain data as YAML: every text in quotes, so that no name can be read as anything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def yaml_lines(value: Any, indent: str = "") -> Iterator[str]:
    r"""Write mappings, lists, texts and finite numbers as lines of YAML; keys are plain words.

    >>> print("\n".join(yaml_lines({"tags": ["a: b", 1.5], "empty": []})))
    tags:
      - "a: b"
      - 1.5
    empty: []
    """
    pairs = (
        [(f"{key}:", one) for key, one in value.items()]
        if isinstance(value, Mapping)
        else [("-", one) for one in value]
    )
    for head, one in pairs:
        if isinstance(one, Mapping | list | tuple) and one:
            inner = list(yaml_lines(one, f"{indent}  "))
            # A mapping in a list begins behind the hyphen.
            if head == "-":
                yield f"{indent}- {inner[0].lstrip()}"
                yield from inner[1:]
            else:
                yield f"{indent}{head}"
                yield from inner
        else:
            yield f"{indent}{head} {_scalar(one)}"


def _scalar(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "{}" if isinstance(value, Mapping) else "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # YAML 1.1 reads 1e-06 as a text: it wants the dot.
        text = repr(value)
        return text if "." in text or "e" not in text else text.replace("e", ".0e")
    return '"' + "".join(map(_character, str(value))) + '"'


def _character(one: str) -> str:
    if one in '"\\':
        return f"\\{one}"
    if one.isascii() and one.isprintable():
        return one
    code = ord(one)
    return one if one.isalpha() and code < 0x10000 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
