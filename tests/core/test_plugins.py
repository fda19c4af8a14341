"""Registries: built-in cards, entry points of installed packages, broken plug-ins, functions and files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backlight.core.errors import FileError, UsageError
from backlight.core.plugins import PluginWarning, Registry
from tests.processes import run_script


@dataclass(frozen=True)
class Tool:
    name: str
    function: Callable[..., Any] = print


def registry() -> Registry[Tool]:
    return Registry("tools", "tool", [Tool("flat_file"), Tool("saw")], Tool, wrap=Tool)


def install(folder: Path, name: str, code: str, points: dict[str, str]) -> None:
    """Write a package with its metadata, as an installer leaves it."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(f"from tests.core.test_plugins import Tool\n{code}\n")
    metadata = folder / f"{module}-1.5.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    lines = "\n".join(f"{key} = {module}:{value}" for key, value in points.items())
    (metadata / "entry_points.txt").write_text(f"[backlight.tools]\n{lines}\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("BACKLIGHT_PLUGINS", raising=False)
    return tmp_path


def test_a_plugin_may_be_a_card_a_maker_of_one_or_a_function(folder: Path) -> None:
    code = "def plane(x, *, depth=1): return x\nhammer = Tool('hammer')\ndef rasp(): return Tool('rasp')"
    install(folder, "more-tools", code, {"hammer": "hammer", "rasp": "rasp", "plane": "plane"})
    tools = registry()
    assert list(tools) == ["flat_file", "saw", "hammer", "rasp", "plane"]
    assert len(tools) == 5
    assert tools.find("plane").function(3) == 3
    assert [tools.origin(name) for name in ("saw", "rasp")] == ["backlight", "more-tools 1.5"]


def test_a_known_name_imports_no_plugin_and_another_one_only_its_own(folder: Path) -> None:
    install(folder, "one-tool", "hammer = Tool('hammer')", {"hammer": "hammer"})
    install(folder, "two-tool", "rasp = Tool('rasp')", {"rasp": "rasp"})
    tools = registry()
    assert tools.find("saw").name == "saw"
    assert tools["flat-file"].name == "flat_file"
    assert "one_tool" not in sys.modules
    assert tools.find("hammer").name == "hammer"
    assert "one_tool" in sys.modules
    assert "two_tool" not in sys.modules
    del sys.modules["one_tool"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("rusty = 3", "rusty is of type int"),
        ("def rusty(): return 'a tool'", "of type str"),
        ("rusty = Tool('shiny')", "its card is named 'shiny'"),
        ("shiny = Tool('rusty')", "AttributeError"),
    ],
)
def test_a_broken_plugin_is_one_warning_with_its_distribution(folder: Path, code: str, reason: str) -> None:
    install(folder, "bad-tools", code, {"rusty": "rusty"})
    install(folder, "good-tools", "hammer = Tool('hammer')", {"hammer": "hammer"})
    tools = registry()
    with pytest.warns(PluginWarning) as seen:
        listed = list(tools)
    assert listed == ["flat_file", "saw", "hammer"]
    assert len(seen) == 1
    assert "rusty" not in tools  # which warns no second time: that would be an error here
    with pytest.raises(UsageError, match="no tool 'rusty'"):
        tools.find("rusty")
    assert "bad-tools 1.5" in str(seen[0].message)
    assert reason in str(seen[0].message)
    sys.modules.pop("good_tools", None)
    sys.modules.pop("bad_tools", None)


def test_entry_points_that_are_no_text_of_that_kind_are_one_warning(folder: Path) -> None:
    install(folder, "odd-tools", "", {})
    (folder / "odd_tools-1.5.dist-info" / "entry_points.txt").write_text("[backlight.tools]\nno equals sign here\n")
    with pytest.warns(PluginWarning, match="odd-tools"):
        assert list(registry()) == ["flat_file", "saw"]


def test_a_distribution_whose_folder_has_another_name_is_found_all_the_same(folder: Path) -> None:
    install(folder, "moved-tools", "hammer = Tool('hammer')", {"hammer": "hammer"})
    (folder / "moved_tools-1.5.dist-info").rename(folder / "elsewhere-1.5.dist-info")
    assert registry().origin("hammer") == "moved-tools 1.5"


def test_the_first_of_two_versions_on_the_path_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(folder, "twice-tools", "hammer = Tool('hammer')", {"hammer": "hammer"})
    before = folder / "before"
    before.mkdir()
    install(before, "twice-tools", "", {})
    monkeypatch.syspath_prepend(str(before))
    assert list(registry()) == ["flat_file", "saw"]


def test_built_in_names_win_and_the_first_of_two_plugins(folder: Path) -> None:
    install(folder, "a-tools", "saw = Tool('saw', len)\nadze = Tool('adze', len)", {"saw": "saw", "adze": "adze"})
    install(folder, "b-tools", "adze = Tool('adze', max)", {"adze": "adze"})
    tools = registry()
    with pytest.warns(PluginWarning) as seen:
        found = tools.find("adze")
    assert found.function is len
    assert tools.find("saw").function is print
    assert [str(one.message).split(":")[1].split(" has")[0].strip() for one in seen] == ["backlight", "a-tools 1.5"]
    sys.modules.pop("a_tools")


def test_the_switch_turns_plugins_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(folder, "off-tools", "hammer = Tool('hammer')", {"hammer": "hammer"})
    tools = registry()
    monkeypatch.setenv("BACKLIGHT_PLUGINS", "0")
    assert list(tools) == ["flat_file", "saw"]
    with pytest.raises(UsageError, match="no tool 'hammer'"):
        tools.find("hammer")
    monkeypatch.setenv("BACKLIGHT_PLUGINS", "1")
    assert tools.find("hammer").name == "hammer"
    sys.modules.pop("off_tools")


def test_things_themselves_are_taken_too() -> None:
    def chisel(x: int, *, width: int = 3) -> int:
        return x + width

    tools, card = registry(), Tool("saw", len)
    assert tools.find(card) is card
    assert tools.find(chisel).name == "chisel"
    assert tools.find(partial(chisel, width=4)).function(1) == 5
    for wrong in (3, None, lambda: 3):
        with pytest.raises(UsageError, match="the name of a tool, a Tool or a function"):
            tools.find(wrong)
    with pytest.raises(UsageError, match="a Tool$"):
        Registry("tools", "tool", [card], Tool).find(chisel)


def test_a_file_is_run_once_until_it_changes(tmp_path: Path) -> None:
    import os

    file = tmp_path / "mine.py"
    file.write_text("from chisel_helper import count\ncount.append(1)\ndef chisel(x): return len(count)\n")
    (tmp_path / "chisel_helper.py").write_text("count = []\n")
    tools = registry()
    assert [tools.find(f"{file}:chisel").function(0) for _ in range(3)] == [1, 1, 1]
    file.write_text("def chisel(x): return 'anew'\n")
    os.utime(file, ns=(1, 1))
    assert tools.find(f"{file}:chisel").function(0) == "anew"
    sys.modules.pop("chisel_helper")


def test_files_that_do_not_fit_are_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def chisel(x): return x\n")
    with pytest.raises(UsageError, match=r"no function 'chisle'.*chisel"):
        registry().find(f"{file}:chisle")
    with pytest.raises(FileError, match="does not exist"):
        registry().find(f"{tmp_path}/other.py:chisel")
    file.write_text("1 / 0  # longer than before\n")
    with pytest.raises(UsageError, match="failed: ZeroDivisionError"):
        registry().find(f"{file}:chisel")


def test_built_in_names_look_at_no_entry_point() -> None:
    code = (
        "import backlight.core.plugins as p; p.entry_points = None; from backlight.attack import attack, ATTACKS as a"
    )
    done = run_script(f"{code}; a['pgd'], a.find('targeted-l2')")
    assert done.status == 0, done.err
