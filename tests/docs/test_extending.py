"""The page about extending: its attack works as written, the proof says what the page says, and every kind exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight import Classifier
from backlight.attack import attack
from backlight.tasks.cards import REGISTRIES
from tests.docs.test_pages import DOCS, code_block


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(code_block("extending.rst", "my-attack") + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "mine", raising=False)
    return tmp_path


def test_the_attack_of_the_page_by_file_and_option(folder: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    classifier, x = Classifier.from_module(net, size=8), torch.rand(4, 3, 8, 8) * 0.5 + 0.25
    found = attack(classifier, x, method=f"{folder}/mine.py:checks:width=4", eps="16/255", lattice=True)
    assert found.method == "checks:width=4"
    first, later = found.perturbation[:, :, 0, 0], found.perturbation[:, :, 0, 4]
    assert bool((first * later < 0).all()), "fields of 4 pixels, up and down in turn"


def test_the_proof_fails_as_the_page_says_and_holds_for_the_card(folder: Path) -> None:
    words = re.search(r"``AssertionError: (.*?)``", (DOCS / "extending.rst").read_text("utf-8"))
    assert words is not None
    with pytest.raises(AssertionError, match=re.escape(words[1])):
        exec(code_block("extending.rst", "prove-my-attack"), {})  # noqa: S102 - a block of our own page
    names: dict[str, object] = {}
    exec(code_block("extending.rst", "my-card"), names)  # noqa: S102
    from backlight.testing import check_attack

    check_attack(names["CARD"])


def test_the_table_names_every_kind_of_entry_point() -> None:
    page = (DOCS / "extending.rst").read_text("utf-8")
    for registry in REGISTRIES:
        assert f"``{registry.group}``" in page
        assert f".{registry.kind.__name__}``" in page
