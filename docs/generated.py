"""Pages that are made from the library: the API by rooms, and the table of methods."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import backlight
from backlight.tasks.cards import Entry, list_methods

_WITHOUT_PAGES = {"cli", "__main__"}  # the command line explains itself by --help


def write(folder: Path) -> None:
    """Write `api/` and the included tables below `folder`, touching only what changed."""
    rooms = {name: modules for name, modules in _rooms().items() if name not in _WITHOUT_PAGES}
    for name, modules in rooms.items():
        _put(folder / "api" / f"{name}.rst", _room_page(name, modules))
    for old in (folder / "api").glob("*.rst"):
        if old.stem not in {*rooms, "index"}:
            old.unlink()
    _put(folder / "api" / "index.rst", _index_page(rooms))
    entries = list_methods()
    for kind in ("explain", "attack"):
        _put(folder / "api" / f"{kind}_methods.inc", _table([entry for entry in entries if entry.kind == kind]))


def _rooms() -> dict[str, list[str]]:
    """List the packages of Backlight with their public modules; modules on the ground floor share one page."""
    rooms: dict[str, list[str]] = {"backlight": []}
    for found in pkgutil.iter_modules(backlight.__path__):
        if found.ispkg:
            package = f"backlight.{found.name}"
            inner = pkgutil.walk_packages([str(Path(backlight.__path__[0]) / found.name)], package + ".")
            rooms[found.name] = [package, *sorted(one.name for one in inner if "._" not in one.name)]
        elif not found.name.startswith("_"):
            rooms["backlight"].append(f"backlight.{found.name}")
    return rooms


def _room_page(name: str, modules: list[str]) -> str:
    lines = [_title(name if name == "backlight" else f"backlight.{name}", "=")]
    lines += _exports("backlight") if name == "backlight" else []
    for module in modules:
        if module != f"backlight.{name}":
            lines += [_title(module.removeprefix("backlight."), "-")]
        # What a package re-exports is shown where it is defined.
        lines += [f".. automodule:: {module}", "   :no-members:" if _is_package(module) else "   :members:", ""]
        lines += _exports(module) if _is_package(module) else []
    return "\n".join(lines)


def _exports(module: str) -> list[str]:
    """Link what a package exports, so that a page begins with what most readers came for."""
    package = importlib.import_module(module)
    found = {name: getattr(package, name) for name in getattr(package, "__all__", ())}
    links = [
        f":py:obj:`{name} <{thing.__module__}.{thing.__qualname__}>`"
        for name, thing in found.items()
        if inspect.isfunction(thing) or inspect.isclass(thing)
    ]
    return [f"``from {module} import`` " + ", ".join(links) + ".", ""] if links else []


def _is_package(module: str) -> bool:
    return Path(backlight.__path__[0]).parent.joinpath(*module.split(".")).is_dir()


def _index_page(rooms: dict[str, list[str]]) -> str:
    lines = [
        _title("API", "="),
        "Every name that a package exports has an example that the tests run. It is shown where it is defined, among",
        "the parts that it is made of. Images are float ``[B, C, H, W]`` in [0, 1] everywhere.",
        "",
    ]
    return "\n".join([*lines, ".. toctree::", "   :maxdepth: 2", "", *(f"   {name}" for name in rooms), ""])


def _table(entries: list[Entry]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 17 11 21 29 22", ""]
    rows = [("name", "needs", "passes per image", "do not use it for", "reference")]
    rows += [(f"``{one.name}``", one.needs, one.cost, one.avoid, one.reference) for one in entries]
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
