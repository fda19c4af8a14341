"""The verb `jobs`: how far the work on a data set is that others do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backlight.sweep.jobs import read_jobs
from backlight.tasks.outcome import Outcome, plain_json


@dataclass(frozen=True)
class JobsRequest:
    """Whose folder of results is looked at.

    >>> JobsRequest(Path("out")).folder.name
    'out'
    """

    folder: Path


def jobs(request: JobsRequest) -> Outcome:
    """Say how many blocks are finished, how fast, what is left and who works; the result is a `Jobs`.

    Raises FileError where no sweep is.

    >>> import tempfile, torch
    >>> from backlight.data import Dataset
    >>> from backlight.sweep import Part, Task, sweep
    >>> from backlight.table import Table
    >>> data = Dataset.of(torch.zeros(3, 3, 4, 4, dtype=torch.uint8))
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = sweep(Task("ids", data, lambda data, advance: Part(Table.of(id=data.ids)), size=2), folder=folder)
    >>> jobs(JobsRequest(folder)).lines[0].split(", ")[0]
    'ids: 2 of 2 blocks'
    """
    found = read_jobs(request.folder)
    workers = (f"  {one.host}: process {one.process}" for one in found.running)
    return Outcome(plain_json(found.to_json()), (found.line, *workers), result=found)
