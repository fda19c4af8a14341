"""From the name of a method, with options, or the method itself, to what `explain` runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from backlight.core.errors import UsageError
from backlight.core.grammar import Spec, parse_spec
from backlight.core.options import option, read_options
from backlight.explain.methods import captum_classes
from backlight.explain.registry import METHODS, Card


@dataclass(frozen=True)
class Method:
    """A method with its options, ready to be handed to `explain`.

    >>> method("saliency").label
    'saliency'
    """

    label: str
    card: Card
    options: Mapping[str, Any]


AnyMethod = str | Method | Card | Callable[..., Any]
"""A name, `NAME:key=value,key=value`, `file.py:function`, a card, or a function of a session."""


def method(thing: AnyMethod, **options: Any) -> Method:
    """Look a method up once: by name, with options behind it or as keywords, as a card, or a function of a session.

    Raises UsageError for an unknown method, with near names, or option, with the list of all.

    >>> method("salience")
    Traceback (most recent call last):
    backlight.core.errors.UsageError: no method 'salience'; try: saliency
    """
    if isinstance(thing, Method):
        return thing
    if isinstance(thing, str) and thing.strip().startswith(captum_classes.PREFIX):
        return _captum_method(thing.strip(), options)
    spec = parse_spec(thing) if isinstance(thing, str) else Spec("")
    card = METHODS.find(spec.name if isinstance(thing, str) else thing)
    return Method(
        str(Spec(card.name, spec.options)), card, read_options(card.name, spec.options, options, card.options)
    )


def choose_methods(methods: Sequence[AnyMethod]) -> list[Method]:
    """Look up methods; raise UsageError for unknown ones, none at all, and one named twice.

    >>> choose_methods(["saliency"])[0].label
    'saliency'
    """
    chosen = [method(one) for one in ([methods] if isinstance(methods, str) else methods)]
    labels = [one.label for one in chosen]
    if not chosen or len(set(labels)) != len(labels):
        raise UsageError(f"methods {labels}", expected="at least one, each once")
    return chosen


def _captum_method(text: str, options: Mapping[str, Any]) -> Method:
    spec = parse_spec(text.removeprefix(captum_classes.PREFIX))
    found = captum_classes.captum_class(spec.name)
    card = replace(
        METHODS[f"{captum_classes.PREFIX}NAME"],
        name=f"{captum_classes.PREFIX}{spec.name}",
        function=partial(captum_classes.attribute, found=found),
        needs=frozenset({"layer"} if captum_classes.needs_layer(found) else ()),
    )
    known = {name: option(name, default) for name, default in captum_classes.allowed_options(found).items()}
    return Method(text, card, read_options(card.name, spec.options, options, known))
