"""What every room stands on, and what knows no room.

errors       what was found, expected, to try; one `Failure` for inputs that could not be used
files        whole or not at all; reading and schema: one door for what others wrote; remote and pieces: in stores
random       numbers keyed by picture; fingerprint: a hash of all that decides about a result
grammar      `NAME:key=value`; options: its values by the types that functions declare
plugins      registries that other packages add to; user_code: functions of a file; faces: what rooms show
processes    devices and processes; chunks, progress, interrupt: how long work is carried out
outermost    the command that was started first
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backlight.core.faces import lazy_names

if TYPE_CHECKING:
    from backlight.core.errors import (
        BacklightError,
        DataError,
        Failure,
        FileError,
        InputError,
        LayerError,
        ModelError,
        PluginWarning,
        UsageError,
    )
    from backlight.core.grammar import Spec, parse_epsilon, parse_spec
    from backlight.core.plugins import Registry
    from backlight.core.random import Random

_HOMES = {
    **dict.fromkeys(("BacklightError", "DataError", "Failure", "FileError", "InputError"), "backlight.core.errors"),
    **dict.fromkeys(("LayerError", "ModelError", "PluginWarning", "UsageError"), "backlight.core.errors"),
    **dict.fromkeys(("Spec", "parse_epsilon", "parse_spec"), "backlight.core.grammar"),
    "Registry": "backlight.core.plugins",
    "Random": "backlight.core.random",
}

__all__ = [
    "BacklightError",
    "DataError",
    "Failure",
    "FileError",
    "InputError",
    "LayerError",
    "ModelError",
    "PluginWarning",
    "Random",
    "Registry",
    "Spec",
    "UsageError",
    "parse_epsilon",
    "parse_spec",
]

__getattr__ = lazy_names("backlight.core", _HOMES)
