"""Break the program in the ways that `mutants.toml` lists, one at a time, and see that its tests notice.

    python tools/mutants.py              all of them, in two processes
    python tools/mutants.py loop apgd    those whose file has one of the words in its path

All named tests must pass first. Then each break replaces a text, which must occur exactly once in its file, in a copy
of the checkout, and runs the tests that are to notice. The exit status is 1 where a break survives, or where its text
or tests are no longer there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("mutants.toml")
COPIED = ("backlight", "tests", "docs", "examples", "benchmarks", "pyproject.toml", "README.md", "CHANGELOG.md")
TESTS_FAILED, SECONDS = 1, 300


@dataclass(frozen=True)
class Mutant:
    """A break: the file, the text to replace, what replaces it, and the words for pytest that name who must notice."""

    file: str
    text: str
    broken: str
    tests: tuple[str, ...]

    def mistake(self, root: Path) -> str:
        """Return what is wrong with this entry in the checkout at `root`; nothing where it can be run."""
        path = root / self.file
        if not path.is_file():
            return "the file is gone"
        count = path.read_text(encoding="utf-8").count(self.text)
        if count != 1:
            return f"the text occurs {count} times"
        files = [word.partition("::")[0] for word in self.tests if word.endswith(".py") or "::" in word]
        gone = [file for file in files if not (root / file).is_file()]
        return f"{gone[0]} is gone" if gone else "" if files else "no tests are named"


def read_mutants(path: Path = LIST) -> list[Mutant]:
    """Read the list."""
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    return [Mutant(row["file"], row["text"], row["broken"], tuple(row["tests"])) for row in rows]


def pytest(copy: Path, words: Sequence[str], seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run tests of a copy, up to the first that fails."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *words]
    # The copy's package, not the installed one; no bytecode, whose times may not tell two breaks apart.
    apart = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=apart, capture_output=True, text=True, timeout=seconds)


def run_mutant(mutant: Mutant, copy: Path) -> str:
    """Return "" where the tests notice the break in a copy of the checkout, else what happened."""
    wrong = mutant.mistake(copy)
    if wrong:
        return wrong
    path = copy / mutant.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(mutant.text, mutant.broken), encoding="utf-8")
    try:
        done = pytest(copy, mutant.tests, SECONDS)
    except subprocess.TimeoutExpired:
        return ""  # a loop without end is noticed too
    finally:
        path.write_text(whole, encoding="utf-8")
    if done.returncode == TESTS_FAILED:
        return ""
    return "survived" if done.returncode == 0 else f"pytest ended with {done.returncode}: {done.stdout[-300:]}"


def copied(folder: Path) -> Path:
    """Copy what the tests need to a new folder."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
        else:
            shutil.copy(source, folder / name)
    return folder


def main() -> int:
    """Run the breaks that are asked for and print what became of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only breaks of files whose path has one of these words")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    chosen = [one for one in read_mutants() if not asked.words or any(word in one.file for word in asked.words)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(asked.workers) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(asked.workers):
            copies.put(copied(Path(folder) / str(number)))
        named = {word for one in chosen for word in one.tests if word.endswith(".py")}
        whole = pytest(Path(folder) / "0", ("-n", str(asked.workers), *sorted(named)))
        if whole.returncode:
            print(f"the tests fail before anything is broken:\n{whole.stdout[-2000:]}")
            return 1

        def run(mutant: Mutant) -> bool:
            copy, start = copies.get(), time.monotonic()
            try:
                wrong = run_mutant(mutant, copy)
            finally:
                copies.put(copy)
            place, seconds = f"{mutant.file}: {' '.join(mutant.broken.split())}", time.monotonic() - start
            print(f"{wrong or 'killed'} ({seconds:.0f} s)  {place}", flush=True)
            return not wrong

        killed = sum(pool.map(run, chosen))
    print(f"{killed} of {len(chosen)} killed")
    return int(killed < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
