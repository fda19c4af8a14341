"""Fonts cut once: matplotlib cuts its font anew for every PDF, which takes four times as long as the figure itself."""

from __future__ import annotations

import string
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from io import BytesIO
from typing import Any

import pytest
from matplotlib.backends import _backend_pdf_ps as published
from matplotlib.font_manager import get_font

_cut, _as_file = published.get_glyphs_subset, published.font_as_file


@cache
def _written(font: Any) -> bytes:
    return _as_file(font).getvalue()


@cache
def _cut_once(file: Any, glyphs: frozenset[int]) -> Any:
    with _cut(file, set(glyphs)) as found:
        _written(found.font)  # its file is closed behind it
        return found


def _piece(file: Any, glyphs: Collection[int]) -> AbstractContextManager[Any]:
    """Cut a font to all of ASCII and what else is asked for: nearly every figure is served by the same piece."""
    plain = {get_font(file).get_char_index(ord(one)) for one in string.printable.strip()}
    return nullcontext(_cut_once(file, frozenset({*glyphs, *plain})))


@contextmanager
def fonts_cut_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "get_glyphs_subset", _piece)
        patch.setattr(published, "font_as_file", lambda font: BytesIO(_written(font)))
        yield
