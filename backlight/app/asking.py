"""From the words of a request to a task: which words each verb takes, and nothing that could name a file here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backlight import tasks
from backlight.core.errors import UsageError, did_you_mean
from backlight.core.grammar import parse_number, parse_spec, parse_whole
from backlight.tasks.browsing import ORDERS, Chosen
from backlight.tasks.entries import Entry, list_attacks, list_explanations

MOST_STEPS = 1000
_MOST_ROWS = 10**9
ABOUT_DATA = ("browse", "show", "open")


def _text(text: str) -> str:
    """Take a word of the page: the label of a class may be in any language, but no line is one."""
    if not text or len(text) > 200 or not text.isprintable():
        raise UsageError(f"{text[:40]!r}", expected="a word of at most 200 letters")
    return text


def _epsilon(text: str) -> str:
    if not re.fullmatch(r"[0-9.]{1,12}(/255)?", text):
        raise UsageError(f"eps {text[:40]!r}", expected="a size such as 2/255")
    return text


def _steps(text: str) -> int:
    return parse_whole(text, low=1, high=MOST_STEPS)


def _place(text: str) -> int:
    return parse_whole(text, low=0, high=_MOST_ROWS)


def _class(text: str) -> int:
    return parse_whole(text, low=-1, high=_MOST_ROWS)


def _alpha(text: str) -> float | str:
    return text if text == "auto" else parse_number(text)


def _named(entries: Callable[[], list[Entry]]) -> Callable[[str], str]:
    """Take the name of a card with options: of a registry alone, never a function in a file."""

    def read(text: str) -> str:
        names = [entry.name for entry in entries()]
        spec = parse_spec(_text(text))
        if spec.name not in names or not all(re.fullmatch(r"[\w.+-]+(/\d+)?", one) for one in spec.options.values()):
            raise UsageError(f"no {spec.name!r} here", hint=did_you_mean(spec.name, names))
        return str(spec)

    return read


def _method(text: str) -> tuple[str, ...]:
    return (_named(list_explanations)(text),)


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise UsageError(f"{text[:40]!r}", hint=did_you_mean(text, words))
        return text

    return read


Words = Mapping[str, Callable[[str], Any]]
_WORDS: Mapping[str, Words] = {
    "predict": {"cover": _text, "top": _steps},
    "explain": {"methods": _method, "target": _text, "quantity": _one_of("logit", "probability", "loss")},
    "attack": {
        "method": _named(list_attacks),
        "eps": _epsilon,
        "steps": _steps,
        "target": _text,
        "norm": _one_of("linf", "l2", "l1", "l0"),
    },
    "visualize": {"what": _one_of("class"), "subjects": lambda text: (_text(text),), "steps": _steps},
    "denoise": {"alpha": _alpha, "data_norm": _one_of("l1", "l2"), "smooth_norm": _one_of("l1", "l2")},
    "report": {"methods": _method},
    "browse": {"report": _one_of("yes")},
    "show": {
        "true": _class,
        "predicted": _class,
        "which": _one_of("all", "right", "wrong"),
        "order": _one_of(*ORDERS, "stored"),
        "page": _place,
    },
    "open": {"row": _place},
}


@dataclass(frozen=True)
class Asked:
    """A verb and the fields of its request that the page filled in, read and within bounds.

    >>> Asked.read("attack", {"method": "fgsm", "eps": "2/255"}).given
    {'method': 'fgsm', 'eps': '2/255'}
    """

    verb: str
    given: Mapping[str, Any]

    @classmethod
    def read(cls, verb: str, words: Mapping[str, str]) -> Asked:
        """Read the words of a request; raises UsageError for a verb or word that there is not, or that does not fit."""
        if verb not in _WORDS:
            raise UsageError(f"no {verb!r} here", hint=did_you_mean(verb, _WORDS))
        known = _WORDS[verb]
        for name in words:
            if name not in known:
                raise UsageError(f"{verb} takes no {name!r} here", hint=did_you_mean(name, known))
        return cls(verb, {name: read(words[name]) for name, read in known.items() if name in words})

    @property
    def needs_picture(self) -> bool:
        """Whether it is about a picture that somebody has to send."""
        return self.verb not in ("visualize", *ABOUT_DATA)

    @property
    def chosen(self) -> Chosen:
        """Which pictures of the data are shown."""
        return Chosen(**self.given)

    def request(self, *, pictures: tuple[Any, ...] | None, model: Any, **more: Any) -> Any:
        """Build the task's request."""
        kind = getattr(tasks, f"{self.verb.capitalize()}Request")
        fields = {**self.given, **more}
        if pictures is not None:
            fields["pictures"] = pictures
        return kind(**fields) if self.verb == "denoise" else kind(model=model, **fields)
