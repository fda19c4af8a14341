"""Places that take no files: a full disk, a folder that is read-only, one that vanishes; and two runs in one place."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tools.torture.processes import Ended, Run
from tools.torture.trials import Alone, Bench, Trial, compare, go_on
from tools.torture.verbs import Verb

_PAGE = 4096


Prepare = Callable[[], object]
"""What the process of the run does first."""

Spoil = Callable[[], object]
"""What happens to the folder when half of the time is over."""


@dataclass(frozen=True)
class Place:
    """A place in which a run cannot write, for as long as `spoiled` is entered."""

    name: str
    spoiled: Callable[[Bench, Alone], AbstractContextManager[tuple[Prepare, Spoil]]]


def try_place(bench: Bench, verb: Verb, alone: Alone, number: int, place: Place) -> Trial:
    """Run a command where it cannot write: it says so in one sentence, and loses nothing once it can."""
    trial = Trial(verb.name, number, place.name, round(alone.seconds / 2, 3))
    bench.clear()
    with place.spoiled(bench, alone) as (prepare, spoil):
        run = Run(alone.words, bench.here, prepare=prepare)
        ended = run.wait(trial.moment)
        if ended is None:
            spoil()
            ended = run.finish()
        bench.here.mkdir(exist_ok=True)
    trial.ended = "finished" if ended.status == 0 else f"status {ended.status}"
    if ended.status not in (0, 1, 2):
        trial.wrong.append(f"ended with {ended.status}: {ended.err[-300:]}")
    trial.wrong += _unlike_one_sentence(ended)
    if ended.status == 0:
        shutil.rmtree(bench.here)  # nothing was in the way, or it was over before
        bench.here.mkdir()
    go_on(trial, bench, alone, ended)
    return trial


def try_two(bench: Bench, verb: Verb, alone: Alone, number: int) -> Trial:
    """Start a command twice at once: both do their work, or one says in one sentence why it does not."""
    trial = Trial(verb.name, number, "two at once")
    bench.clear()
    runs = [Run(alone.words, bench.here, stream=f"run{place}") for place in range(2)]
    both = [run.finish() for run in runs]
    trial.ended = " and ".join(str(ended.status) for ended in both)
    for ended in both:
        if ended.status not in (0, 2):
            trial.wrong.append(f"ended with {ended.status}: {ended.err[-300:]}")
        trial.wrong += _unlike_one_sentence(ended)
    whole = [ended for ended in both if ended.status == 0]
    if whole:
        compare(trial, bench, alone, whole[0])
    else:
        trial.wrong.append("neither did its work")
    return trial


def _unlike_one_sentence(ended: Ended) -> list[str]:
    told = [line for line in ended.err.splitlines() if line.startswith(("backlight: ", "Traceback", "  File "))]
    alike = not told if ended.status == 0 else len(told) == 1 and told[0].startswith("backlight: ")
    return [] if alike else [f"not one sentence ({ended.status}): {ended.err[-300:]}"]


@contextmanager
def _full(bench: Bench, alone: Alone, share: float) -> Iterator[tuple[Prepare, Spoil]]:
    """Mount a disk that holds a share of what the command writes; what is on it stays in the folder afterwards."""
    size = max(_PAGE, int(sum(alone.sizes) * share))
    mount(bench.here, size)
    kept = bench.here.with_name("kept")
    try:
        yield int, int
        shutil.copytree(bench.here, kept)
    finally:
        unmount(bench.here)
    bench.here.rmdir()
    kept.rename(bench.here)


@contextmanager
def _large(bench: Bench, alone: Alone, share: float) -> Iterator[tuple[Prepare, Spoil]]:
    """Allow no file to be larger than a share of the largest that the command writes."""
    size = max(_PAGE, int(max(alone.sizes) * share))
    yield partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size)), int


@contextmanager
def _read_only(bench: Bench, alone: Alone) -> Iterator[tuple[Prepare, Spoil]]:
    """Allow nobody to write into the folder; root, who may write everywhere, gets a disk that takes no writes."""
    if os.geteuid() == 0:
        mount(bench.here, _PAGE, "ro")
    else:
        bench.here.chmod(0o555)
    try:
        yield int, int
    finally:
        if os.geteuid() == 0:
            unmount(bench.here)
        else:
            bench.here.chmod(0o755)


@contextmanager
def _vanishing(bench: Bench, alone: Alone) -> Iterator[tuple[Prepare, Spoil]]:
    """Take the folder away while the command works."""
    yield int, partial(shutil.rmtree, bench.here, ignore_errors=True)


def mount(folder: Path, size: int, access: str = "rw") -> None:
    """Mount a disk in memory."""
    options = f"size={size},{access}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, capture_output=True)


def unmount(folder: Path) -> None:
    """Take a disk away again."""
    subprocess.run(["umount", folder], check=True, capture_output=True)


def may_mount(folder: Path) -> bool:
    """Whether this user may mount a disk in a folder."""
    try:
        mount(folder, _PAGE)
    except (OSError, subprocess.CalledProcessError):
        return False
    unmount(folder)
    return True


def places(folder: Path) -> tuple[Place, ...]:
    """Return the places that this user can make in a folder."""
    disks, read_only = may_mount(folder), Place("a read-only folder", _read_only)
    return (
        Place("files of 4 kB at most", partial(_large, share=0.0)),
        Place("files half as large", partial(_large, share=0.5)),
        Place("a folder that vanishes", _vanishing),
        *((read_only,) if disks or os.geteuid() else ()),
        *((Place("a disk that is full at once", partial(_full, share=0.0)),) if disks else ()),
        *((Place("a disk half as large", partial(_full, share=0.5)),) if disks else ()),
    )
