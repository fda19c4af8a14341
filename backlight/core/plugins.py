"""Registries that installed packages can extend: built-in cards first, then the entry points `backlight.NAME`.

A plug-in is an entry point whose value is a card, a function without parameters that makes one, or, where the
registry makes cards of functions, the function itself. It is imported when its name is first asked for, or when
everything is listed. One that cannot be used is one `PluginWarning` that names its distribution.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, distributions
from typing import Any, Generic, Protocol, TypeVar

from backlight.core.errors import PluginWarning, UsageError, did_you_mean
from backlight.core.user_code import function_of, is_file_function

SWITCH = "BACKLIGHT_PLUGINS"
BUILT_IN = "backlight"
UNSTATED = "not stated"
"""What a card says of its cost, its reference and when not to use it where its author left that out."""


class Card(Protocol):
    """What every registry holds: things with a name."""

    @property
    def name(self) -> str:
        """Return the name by which the card is found."""


C = TypeVar("C", bound=Card)


@dataclass(eq=False)
class Registry(Mapping[str, C], Generic[C]):
    """Map names to cards: the built-in ones, then those of entry points in the group `backlight.NAME`.

    `noun` is what an error calls the things, `kind` the cards' type, `wrap` makes a card of a name and a function
    (None where a function alone is not enough). Hyphen and underscore are one in names. Built-in names win.

    >>> from types import SimpleNamespace
    >>> tools = Registry("tools", "tool", [SimpleNamespace(name="flat_file")], SimpleNamespace)
    >>> tools.find("flat-file").name, tools.group, list(tools)
    ('flat_file', 'backlight.tools', ['flat_file'])
    """

    plural: str
    noun: str
    cards: Iterable[C]
    kind: type[C]
    wrap: Callable[[str, Callable[..., Any]], C] | None = None
    _loaded: dict[str, C | None] = field(default_factory=dict, init=False, repr=False)
    _points: dict[str, EntryPoint] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.built_in: Mapping[str, C] = {card.name: card for card in self.cards}
        self._by_key = {key_of(name): card for name, card in self.built_in.items()}

    @property
    def group(self) -> str:
        """Name the group of entry points."""
        return f"backlight.{self.plural}"

    def find(self, thing: str | C | Callable[..., Any]) -> C:
        """Return a card by name, as `file.py:function`, of a function, or as it is.

        Raises UsageError for a name that nothing has, with the nearest ones, and for what makes no card.
        """
        if not isinstance(thing, str):
            return self._card(name_of(thing), thing)
        if is_file_function(thing):
            found = function_of(thing)
            return self._card(name_of(found), found)
        card = self.get(thing)
        if card is None:
            raise UsageError(f"no {self.noun} {thing!r}", hint=did_you_mean(thing, self))
        return card

    def origin(self, name: str) -> str:
        """Return `backlight` for a built-in card, else the distribution and version that a plug-in comes from."""
        point = self._entry_points().get(key_of(name))
        return BUILT_IN if key_of(name) in self._by_key or point is None else origin_of(point)

    def warn(self, name: str, what: str) -> None:
        """Warn that the plug-in of a name did not do what it is there for, with its distribution."""
        _warn(self._entry_points()[key_of(name)], what)

    def __getitem__(self, name: str) -> C:
        key = key_of(name)
        card = self._by_key.get(key) or self._plugin(key)
        if card is None:
            raise KeyError(name)
        return card

    def __iter__(self) -> Iterator[str]:
        yield from self.built_in
        for key in self._entry_points():
            card = self._plugin(key)
            if card is not None:
                yield card.name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _entry_points(self) -> dict[str, EntryPoint]:
        if os.environ.get(SWITCH) == "0":
            return {}
        if self._points is None:
            self._points = {}
            for point in entry_points(self.group):
                key = key_of(point.name)
                if key in self._by_key or key in self._points:
                    taken = BUILT_IN if key in self._by_key else origin_of(self._points[key])
                    _warn(point, f"is left out: {taken} has a {self.noun} of this name")
                else:
                    self._points[key] = point
        return self._points

    def _plugin(self, key: str) -> C | None:
        point = self._entry_points().get(key)
        if point is None:
            return None
        if key not in self._loaded:
            self._loaded[key] = None  # also while it is loaded: a plug-in may ask the registry for itself
            self._loaded[key] = self._load(point)
        return self._loaded[key]

    def _load(self, point: EntryPoint) -> C | None:
        try:
            card = self._card(point.name, point.load())
            if key_of(card.name) != key_of(point.name):
                raise UsageError(f"its card is named {card.name!r}", expected=f"{point.name!r}, as its entry point")
        except (Exception, SystemExit) as error:  # whatever a foreign package raises must not end the program
            _warn(point, f"cannot be used: {type(error).__name__}: {error}")
            return None
        return card

    def _card(self, name: str, thing: Any) -> C:
        if isinstance(thing, self.kind):
            return thing
        if makes_a_card(thing):
            thing = thing()
            if isinstance(thing, self.kind):
                return thing
        elif callable(thing) and self.wrap is not None:
            return self.wrap(name, thing)
        also = " or a function" if self.wrap is not None else ""
        found = f"{name} is of type {type(thing).__name__}"
        raise UsageError(found, expected=f"the name of a {self.noun}, a {self.kind.__name__}{also}")


def entry_points(group: str) -> list[EntryPoint]:
    """List the installed entry points of a group, by distribution and name; a broken distribution is a warning.

    >>> [point.name for point in entry_points("backlight.nothing_of_this_name")]
    []
    """
    # Metadata is read of the few that have such a group alone: a package keeps its whole manual there.
    found = {one.metadata["Name"] or "": one for one in reversed([*distributions()]) if _points_of(one, group)}
    return [point for name in sorted(found) for point in _points_of(_imported(name, found[name]), group)]


def _imported(name: str, one: Distribution) -> Distribution:
    """Return the first distribution of a name on the path, which is imported, whether it has a group or not."""
    try:
        return distribution(name) if name else one
    except PackageNotFoundError:  # its folder is called otherwise
        return one


def _points_of(one: Distribution, group: str) -> list[EntryPoint]:
    try:
        return [point for point in one.entry_points if point.group == group]
    except Exception as error:  # entry points are a text file that any package writes
        warnings.warn(f"{one.metadata['Name']} has unreadable entry points: {error}", PluginWarning, stacklevel=3)
        return []


def key_of(name: str) -> str:
    """Return what two spellings of a name share: hyphen and underscore are one.

    >>> key_of("targeted-l2") == key_of("targeted_l2")
    True
    """
    return name.strip().replace("_", "-")


def name_of(thing: Any) -> str:
    """Return the name of a card or a function, through partials, and of any other object that of its type.

    >>> name_of(len), name_of(lambda: 0)
    ('len', 'lambda')
    """
    inner = getattr(thing, "func", thing)
    name = getattr(thing, "name", None) or getattr(inner, "__name__", None) or type(thing).__name__
    return str(name).strip("<>")


def makes_a_card(thing: Any) -> bool:
    """Whether a thing is a function without parameters, so that only a card can come of it.

    >>> makes_a_card(lambda: None), makes_a_card(len), makes_a_card(dict)
    (True, False, False)
    """
    if not callable(thing) or isinstance(thing, type):
        return False
    try:
        return not inspect.signature(thing).parameters
    except ValueError:  # some functions written in C have no signature
        return False


def origin_of(point: EntryPoint) -> str:
    """Return the distribution and version that an entry point comes from."""
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _warn(point: EntryPoint, what: str) -> None:
    words = f"the plug-in {point.name!r} ({point.group}) of {origin_of(point)} {what}"
    warnings.warn(f"{words}; {SWITCH}=0 switches plug-ins off", PluginWarning, stacklevel=2)
