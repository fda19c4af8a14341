"""One process at a time that writes into a run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backlight.core.atomic import sweep_folder
from backlight.core.locks import held

NAME = "lock.json"


@contextmanager
def run_lock(folder: Path, doing: str = "trained in") -> Iterator[None]:
    """Hold a run's folder for the block; what killed processes left there half written is deleted first.

    Raises as `held` does.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with run_lock(folder), run_lock(folder):
    ...     pass
    Traceback (most recent call last):
    ...
    backlight.core.errors.UsageError: ... is being trained in by process ... on ... since ...
    """
    with held(folder / NAME, folder, doing):
        sweep_folder(folder)
        yield
