"""Who imports whom: the rooms of the package, which are its top-level modules and packages, and the arrows between."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import backlight

ROOT = Path(backlight.__file__).parent


def rooms() -> set[str]:
    """Name every room; the package's own `__init__` is none."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    return packages | loose_modules()


def loose_modules() -> set[str]:
    """Name the modules that lie outside of every room."""
    return {path.stem for path in ROOT.glob("*.py")} - {"__init__"}


@cache
def arrows() -> set[tuple[str, str]]:
    """List pairs of rooms where the first imports the second: at the top, inside functions, or for types alone."""
    known = rooms()
    found = set()
    for path in ROOT.rglob("*.py"):
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            found |= {(own, other) for other in _imported(node) if other in known and own in known and other != own}
    return found


def _imported(node: ast.AST) -> Iterator[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute here"
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    yield from (name.split(".")[1] for name in names if name.startswith("backlight."))


def circles(pairs: set[tuple[str, str]]) -> set[str]:
    """Name the rooms that can be left along arrows and come back to."""
    reached = {start: {end for begin, end in pairs if begin == start} for start, _ in pairs}
    for middle in reached:
        for ends in reached.values():
            if middle in ends:
                ends |= reached[middle]
    return {room for room, ends in reached.items() if room in ends}


if __name__ == "__main__":
    pairs = arrows()
    for room in sorted(rooms()):
        print(f"{room:12} {' '.join(sorted(end for begin, end in pairs if begin == room))}")  # noqa: T201
    print(len(rooms()), "rooms,", len(loose_modules()), "loose,", len(pairs), "arrows")  # noqa: T201
