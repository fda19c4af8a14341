"""What fuzzing found once is read, or refused in one sentence, ever after."""

from __future__ import annotations

from contextlib import suppress

import pytest

from backlight.core.errors import BacklightError
from tools.fuzz.found import saved
from tools.fuzz.inputs import lay_out
from tools.fuzz.targets import TARGETS

FOUND = list(saved())


@pytest.mark.parametrize(("target", "files"), [one[1:] for one in FOUND], ids=[one[0] for one in FOUND])
def test_what_was_found_once(target, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(files, tmp_path)
    with suppress(BacklightError):
        TARGETS[target].read(tmp_path)
