"""Memory that one tensor leaves is there for the next."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from backlight.core.allocator import keep_memory
kept = keep_memory() if sys.argv[1] != "left" else None
if sys.argv[1] == "told":
    sys.exit(print(kept, 0))
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
import torch
torch.set_num_threads(1)
for _ in range(24):  # an aligned block leaves gaps, which fill after a few rounds
    torch.ones(2**24)
before = faults()
for _ in range(8):
    torch.ones(2**24)
print(kept, (faults() - before) * resource.getpagesize() / 2**26 / 8)
"""

only_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")


def fetched(how: str, **variables: str) -> tuple[str, float]:
    """Return what `keep_memory` said, and which part of the tensors' pages the system had to give anew.

    Nothing is fetched where what was said is all that is asked for: `how` is kept, left or told.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    huge = {"THP_MEM_ALLOC_ENABLE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], env=clean | huge | variables, capture_output=True, text=True, check=True
    )
    said, share = done.stdout.split()
    return said, float(share)


@only_glibc
def test_pages_are_asked_for_once() -> None:
    said, share = fetched("kept")
    assert said == "True"
    assert share < 0.1


@only_glibc
@pytest.mark.parametrize(
    "variable", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}]
)
def test_what_the_person_has_set_stays(variable: dict[str, str]) -> None:
    assert fetched("told", **variable)[0] == "False"


@only_glibc
def test_the_library_sets_nothing_by_itself() -> None:
    assert fetched("left")[1] > 0.5
