"""The command line: one short file per verb that parses, calls a task and prints."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from typing import NoReturn


def main() -> None:
    """Run the command line and leave with its exit status: 0 done, 1 some inputs failed, 2 wrong use.

    A request to terminate ends it as Ctrl-C does: what was finished is on disk. A disk that takes nothing more, even of
    what is printed, ends it in one sentence.
    """
    from backlight.core.allocator import keep_memory
    from backlight.core.errors import BacklightError, OtherProcessError, in_one_line
    from backlight.core.interrupt import terminated_as_interrupted
    from backlight.core.outermost import claim_outermost
    from backlight.core.refused import told_of_disk

    warnings.formatwarning = in_one_line
    claim_outermost()
    keep_memory()
    try:
        os.getcwd()  # where it is gone, MKL would end the process with a sentence of its own
        with terminated_as_interrupted():
            from backlight.cli.app import app

            app(prog_name="backlight")
    except OtherProcessError:
        sys.exit(2)
    except BacklightError as error:
        _leave(f"backlight: {error}", 2)
    except OSError as error:
        _leave(f"backlight: {told_of_disk(error)}", 2)
    except KeyboardInterrupt:
        _leave("backlight: interrupted; what was finished is on disk", 130)


def _leave(text: str, status: int) -> NoReturn:
    from backlight.cli.output import warn

    with contextlib.suppress(OSError):  # where standard error takes nothing either, the status says it alone
        warn(text)
    sys.exit(status)
