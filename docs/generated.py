"""Pages that are made from the library: public names by room, the command line, and the tables of methods."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import typer

import backlight
from backlight.cli.app import app
from backlight.tasks.cards import Entry, list_methods

_WITHOUT_PAGES = {"cli", "__main__"}  # the command line has a page of its own


def write(folder: Path) -> None:
    """Write `api/`, with the included tables and the command line, below `folder`, touching only what changed."""
    rooms = [room for room in public_rooms() if room != "backlight"]
    pages = {"backlight": _front_page(), **{room.partition(".")[2]: _room_page(room) for room in rooms}}
    pages["commands"] = _commands_page()
    pages["index"] = _index_page([name for name in pages if name != "commands"])
    for name, text in pages.items():
        _put(folder / "api" / f"{name}.rst", text)
    for old in (folder / "api").glob("*.rst"):
        if old.stem not in pages:
            old.unlink()
    entries = list_methods()
    for kind in ("explain", "attack"):
        _put(folder / "api" / f"{kind}_methods.inc", _table([entry for entry in entries if entry.kind == kind]))


def public_rooms() -> dict[str, dict[str, object]]:
    """List what each package exports, and the public names of the foundations, by full name."""
    rooms: dict[str, dict[str, object]] = {"backlight": {}}
    for found in pkgutil.walk_packages(backlight.__path__, "backlight."):
        if found.name.split(".")[1] in _WITHOUT_PAGES or "._" in found.name:
            continue
        if found.ispkg:
            module = importlib.import_module(found.name)
            names = getattr(module, "__all__", None)
            if names:
                rooms[found.name] = {name: getattr(module, name) for name in names}
    return rooms


def is_public(name: str) -> bool:
    """Whether a dotted name has an entry on one of the pages: as it is exported, or where it is defined."""
    return name in _entries()


def _entries() -> set[str]:
    if not _ENTRIES:
        for room, things in public_rooms().items():
            for name, thing in things.items():
                _ENTRIES.update({f"{room}.{name}", _home(thing, f"{room}.{name}")})
    return _ENTRIES


_ENTRIES: set[str] = set()


def _home(thing: object, otherwise: str) -> str:
    if inspect.isfunction(thing) or inspect.isclass(thing):
        return f"{thing.__module__}.{thing.__qualname__}"
    return otherwise


def _front_page() -> str:
    links = [f":py:obj:`{name} <{_home(getattr(backlight, name), name)}>`" for name in backlight.__all__]
    lines = [_title("backlight", "="), ".. automodule:: backlight", "   :no-members:", ""]
    return "\n".join([*lines, "``from backlight import`` " + ", ".join(links) + ".", ""])


def _room_page(room: str) -> str:
    lines = [_title(room, "="), f".. automodule:: {room}", "   :no-members:", ""]
    for name, thing in public_rooms()[room].items():
        if not (inspect.isfunction(thing) or inspect.isclass(thing)):
            continue  # tables and types are named in the docstrings of what takes them
        kind = "autoclass" if inspect.isclass(thing) else "autofunction"
        home = _home(thing, f"{room}.{name}")
        if _first_room(home) == room:
            lines += [f".. {kind}:: {home}", *(_members(thing) if inspect.isclass(thing) else []), ""]
    return "\n".join(lines)


def _members(kind: type) -> list[str]:
    """Show of a class what is its own, and what it has from a base of its room that no page shows."""
    bases = [one for one in kind.__mro__[1:] if one.__module__.startswith("backlight.") and one.__name__[0] != "_"]
    hidden = [one for one in bases if not is_public(_home(one, ""))]
    inherits = any(not name.startswith("_") for one in hidden for name in vars(one))
    return ["   :members:", *(["   :inherited-members:"] if inherits else [])]


def _first_room(home: str) -> str:
    """Return the room on whose page a thing stands: the first of those that export it, its own before others."""
    offering = [
        room
        for room, things in public_rooms().items()
        for name, thing in things.items()
        if _home(thing, f"{room}.{name}") == home
    ]
    own = [room for room in offering if home.startswith(f"{room}.")]
    return max(own, key=len) if own else offering[0]


def _index_page(names: list[str]) -> str:
    lines = [
        _title("API", "="),
        "The names that each room exports: what the version number promises. Each has an example that the tests run.",
        "Images are float ``[B, C, H, W]`` in [0, 1] everywhere.",
        "",
    ]
    return "\n".join([*lines, ".. toctree::", "   :maxdepth: 2", "", *(f"   {name}" for name in names), ""])


def _commands_page() -> str:
    """Write the command line's own help as a page: usage, example and options of every verb."""
    lines = [
        _title("Command line", "="),
        "What ``--help`` says, of every verb. Options that are shared mean the same everywhere;",
        ":doc:`../contract` says what scripts may rely on.",
        "",
    ]
    return "\n".join([*lines, *_commands(typer.main.get_command(app), "backlight")])


def _commands(group: Any, path: str) -> list[str]:
    lines: list[str] = []
    for name, command in group.commands.items():
        here = f"{path} {name}"
        if hasattr(command, "commands"):
            lines += _commands(command, here)
            continue
        context = command.context_class(command, info_name=here)
        usage = " ".join(command.collect_usage_pieces(context))
        lines += [_title(here, "-"), _literal(command.help or ""), ""]
        lines += ["::", "", f"   {here} {usage}", ""]
        if command.epilog:
            lines += ["::", "", f"   {command.epilog.removeprefix('Example: ')}", ""]
        records = [record for one in command.params if (record := one.get_help_record(context)) is not None]
        lines += [".. list-table::", "   :widths: 32 68", ""]
        for option, words in records:
            lines += [f"   * - ``{option}``", f"     - {_literal(words)}"]
        lines.append("")
    return lines


def _literal(text: str) -> str:
    """Turn help, whose names stand in backticks, into one line of reStructuredText."""
    return " ".join(text.split()).replace("*", r"\*").replace("|", r"\|").replace("`", "``")


def _table(entries: list[Entry]) -> str:
    normed = any(one.norms for one in entries)
    widths = "14 12 9 19 26 20" if normed else "17 12 20 29 22"
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    rows = [("name", "needs", "norm", f"passes {'or queries ' * normed}per image", "do not use it for", "reference")]
    rows += [(f"``{one.name}``", one.needs, one.norms, one.cost, one.avoid, one.reference) for one in entries]
    if not normed:
        rows = [(name, needs, *rest) for name, needs, _, *rest in rows]
    for row in rows:
        cells = [cell.replace("`", "``").replace("````", "``").replace("*", r"\*") for cell in row]
        lines += [f"   {'*' if place == 0 else ' '} - {cell}" for place, cell in enumerate(cells)]
    return "\n".join(lines) + "\n"


def _title(text: str, rule: str) -> str:
    return f"{text}\n{rule * len(text)}\n"


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
