"""From the name of a method, with options, to what `explain` runs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from backlight.errors import UsageError, did_you_mean
from backlight.explain.methods import captum_classes
from backlight.explain.registry import METHODS, Card
from backlight.grammar import parse_number, parse_spec


@dataclass(frozen=True)
class Method:
    """A method with its options, ready to be handed to `explain`.

    >>> method("saliency").label
    'saliency'
    """

    label: str
    card: Card
    options: Mapping[str, Any]


def method(spec: str, **options: Any) -> Method:
    """Choose a method by name or `NAME:key=value,key=value`; keyword options may be tensors too.

    Raises UsageError for an unknown method or option, with near names.

    >>> method("salience")
    Traceback (most recent call last):
    backlight.errors.UsageError: no method 'salience'; try: saliency
    """
    if spec.strip().startswith(captum_classes.PREFIX):
        return _captum_method(spec, options)
    parsed = parse_spec(spec)
    if parsed.name not in METHODS:
        raise UsageError(f"no method {parsed.name!r}", hint=did_you_mean(parsed.name, METHODS))
    card = METHODS[parsed.name]
    allowed = {
        name: parameter.default
        for name, parameter in inspect.signature(card.function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return Method(spec, card, _checked(card.name, parsed.options, options, allowed))


def _captum_method(spec: str, options: Mapping[str, Any]) -> Method:
    parsed = parse_spec(spec.strip().removeprefix(captum_classes.PREFIX))
    found = captum_classes.captum_class(parsed.name)
    general = METHODS[f"{captum_classes.PREFIX}NAME"]
    card = replace(
        general,
        name=f"{captum_classes.PREFIX}{parsed.name}",
        function=partial(captum_classes.attribute, found=found),
        needs=frozenset({"layer"} if captum_classes.needs_layer(found) else ()),
    )
    allowed = captum_classes.allowed_options(found)
    return Method(spec, card, _checked(card.name, parsed.options, options, allowed))


def _checked(
    name: str, written: Mapping[str, str], options: Mapping[str, Any], allowed: Mapping[str, Any]
) -> dict[str, Any]:
    for key in (*written, *options):
        if key not in allowed:
            raise UsageError(f"{name} has no option {key!r}", hint=did_you_mean(key, allowed) if allowed else "")
    return {**{key: _read(f"{name}:{key}", text, allowed[key]) for key, text in written.items()}, **options}


def _read(where: str, text: str, default: object) -> object:
    if isinstance(default, str):
        return text
    value = parse_number(text)
    if isinstance(default, float):
        return value
    if value != int(value):
        raise UsageError(f"{where}={text}", expected="a whole number")
    return int(value)
