"""The command line: one short file per verb that parses, calls a task and prints."""

from __future__ import annotations

import sys
import warnings


def main() -> None:
    """Run the command line and leave with its exit status: 0 done, 1 some inputs failed, 2 wrong use.

    A request to terminate ends it as Ctrl-C does: what was finished is on disk.
    """
    from backlight.cli.app import app
    from backlight.cli.output import warn
    from backlight.core.errors import BacklightError, in_one_line
    from backlight.core.interrupt import terminated_as_interrupted
    from backlight.core.outermost import claim_outermost

    warnings.formatwarning = in_one_line
    claim_outermost()
    try:
        with terminated_as_interrupted():
            app(prog_name="backlight")
    except BacklightError as error:
        warn(f"backlight: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        warn("backlight: interrupted; what was finished is on disk")
        sys.exit(130)
