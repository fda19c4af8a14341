"""Every verb takes pictures, classes, data sets and outputs by whatever names a file system allows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

import pytest
from typer.models import OptionInfo

from backlight.cli.app import DATA_VERBS, VERBS
from backlight.sweep.parts import FolderParts
from tests.cli.hostile_names import CLASSES, NAMES, controls, write_pictures
from tests.cli.named_commands import COMMANDS, Named, Words, write_named
from tests.cli.running import CommandLine, Ran
from tests.cli.test_interrupts import interrupt_after

BY_NAME = {"data", "train", "against", "slice_", "recipe"}
"""Options whose text may name a file."""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Named:
    return write_named(tmp_path_factory.mktemp("names"))


def check_said(ran: Ran, status: int = 0) -> None:
    """Hold what was said against what names may do to it."""
    assert ran.status == status, ran.err
    assert ran.out.encode("utf-8")
    assert controls(ran.err) == set()


def check_written(folder: Path) -> None:
    """Hold what was written against what names may do to it."""
    for page in folder.rglob("*.html"):
        text = page.read_bytes().decode("utf-8")
        assert controls(text) <= {"\t", "\u00ad"}, page
        assert "<img src=x" not in text
    for document in folder.rglob("*.json"):
        json.loads(document.read_bytes().decode("utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
def test_every_verb_takes_any_name_and_says_so_in_json(
    backlight: CommandLine, named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in COMMANDS[kind](named, tmp_path / "json"):
        said = backlight(*words, "--json")
        check_said(said)
        assert said.json is not None
    check_written(tmp_path)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] if kind == "styles" else []) for kind in COMMANDS]
)
def test_every_verb_takes_any_name(
    backlight: CommandLine, named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in COMMANDS[kind](named, tmp_path / "text"):
        ran = backlight(*words)
        check_said(ran)
        assert controls(ran.out) == set()
    check_written(tmp_path)


def test_every_verb_and_whatever_it_reads_or_writes_is_asked(named: Named, tmp_path: Path) -> None:
    asked: dict[str, list[Words]] = {}
    for commands in COMMANDS.values():
        for words in commands(named, tmp_path):
            asked.setdefault(" ".join(map(str, words[: 1 + (words[0] == "data")])), []).append(words)
    verbs = {name: verb for prefix, group in (("", VERBS), ("data ", DATA_VERBS)) for verb in group
             for name in [prefix + verb.__name__]}  # fmt: skip
    del verbs["app"]  # it answers a browser until it is interrupted: tests/app asks it of names
    assert asked.keys() == verbs.keys()
    shared: dict[str, list[Words]] = {}
    for name, verb in verbs.items():
        for owner, option in _options_of_files(verb):
            used = [words for words in asked[name] if _given(option, words)]
            shared.setdefault(f"{owner or name} {option}", []).extend(used)
    assert [option for option, used in shared.items() if not used] == []


def _options_of_files(verb: Callable[..., None]) -> Iterator[tuple[str, str]]:
    """Yield what may name a file with the group of options that it belongs to, empty where it is the verb's own."""
    for name, hint in get_type_hints(verb, include_extras=True).items():
        if is_dataclass(hint):
            for group in cast("type", hint).__mro__[:-1]:
                own = get_type_hints(group, include_extras=True)
                yield from (
                    (group.__name__, one) for one in vars(group)["__annotations__"] if _names_a_file(one, own[one])
                )
        elif _names_a_file(name, hint):
            yield "", name if isinstance(hint.__metadata__[0], OptionInfo) else "PATH"


def _names_a_file(name: str, hint: Any) -> bool:
    return name in BY_NAME or "Path" in str(get_args(hint)[:1])


def _given(option: str, words: Words) -> bool:
    if option == "PATH":
        return any(isinstance(word, Path) for word in words)
    return f"--{option.rstrip('_')}" in words


@pytest.mark.parametrize("kind", CLASSES)
def test_outputs_by_any_name(backlight: CommandLine, named: Named, tmp_path: Path, kind: str) -> None:
    pictures = write_pictures(tmp_path / "pictures", {kind: NAMES[kind]})
    out = tmp_path / CLASSES[kind]
    for words in (("attack", "--method", "fgsm"), ("report", "--no-pictures", "--methods", "saliency")):
        ran = backlight(words[0], pictures, "--model", named.model, *words[1:], "--out", out / words[0], "--json")
        check_said(ran)
        assert list(out.rglob("*.*")) != []
    check_written(out)


def test_the_command_that_goes_on_can_be_copied(backlight: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / CLASSES["newline"] / CLASSES["quotes"] / CLASSES["no UTF-8"]
    words = ("evaluate", "--data", "shapes:n=30,size=32,classes=10", "--model", "classic_cnn", "--out", out)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, FolderParts, "write", signal.SIGINT)
        said = backlight(*words, "--random").err
    assert "resume with: " in said
    line = next(line for line in said.splitlines() if line.startswith("resume with: "))
    printed = f"printf '%s\\0' {line.removeprefix('resume with: backlight ')}"
    spelled = subprocess.run(["bash", "-c", printed], capture_output=True, check=True).stdout.split(b"\0")[:-1]
    assert [os.fsdecode(word) for word in spelled] == [*map(str, words), "--random", "--resume"]
