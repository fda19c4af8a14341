"""The command line: one short file per verb, each a thin layer over one library call."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit status: 0 done, 1 some inputs failed, 2 wrong use."""
    from backlight.cli.app import app
    from backlight.cli.output import INTERRUPTED, WRONG_USE, warn
    from backlight.errors import BacklightError

    try:
        app(prog_name="backlight")
    except BacklightError as error:
        warn(f"backlight: {error}")
        sys.exit(WRONG_USE)
    except KeyboardInterrupt:
        warn("backlight: interrupted; what was finished is on disk")
        sys.exit(INTERRUPTED)
