"""What names may hold reaches no terminal, page or document as it is; documents and commands give it back."""

from __future__ import annotations

import json
import os
import subprocess
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backlight.core.escaping import as_text, json_text, printable, shell_command, visible

ANYTHING = st.text(st.characters(codec=None))
BYTES = st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name)


@given(ANYTHING)
def test_a_printed_line_is_one_line_of_signs(text: str) -> None:
    assert all(unicodedata.category(one)[0] not in "CZ" or one == " " for one in printable(text))


@given(ANYTHING)
def test_a_page_keeps_all_but_what_commands_or_reorders(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not {one for one in shown if unicodedata.category(one) in ("Cc", "Cs") and one not in "\n\t"}
    turns = ("RLE", "LRE", "RLO", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI")
    assert not {one for one in shown if unicodedata.bidirectional(one) in turns}


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S"])))
def test_a_page_keeps_every_letter_and_sign(text: str) -> None:
    assert visible(text) == text


@given(st.dictionaries(ANYTHING, ANYTHING))
def test_documents_are_utf_8_and_parse_to_what_was_written(document: dict[str, str]) -> None:
    text = json_text(document)
    assert json.loads(text.encode("utf-8")) == json.loads(json.dumps(document))
    assert "\u202e" not in text


@settings(max_examples=20, deadline=None)
@given(st.lists(BYTES, min_size=1, max_size=4))
def test_a_shell_reads_the_words_of_a_command_as_they_were(words: list[bytes]) -> None:
    command = shell_command([os.fsdecode(word) for word in words])
    assert command.isprintable()
    read = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True).stdout
    assert read.split(b"\0")[:-1] == words


@pytest.mark.parametrize(
    ("name", "text"), [("größe.png", "größe.png"), (os.fsdecode(b"caf\xe9"), "caf\\xe9"), ("a\nb", "a\nb")]
)
def test_names_of_files_become_text(name: str, text: str) -> None:
    assert as_text(name) == text
