"""What keeping freed memory costs and saves: resident memory and time of whole commands, with and without.

python benchmarks/memory.py [--quick] [--only NAME]

Each command runs twice in a process of its own: as it is, and with glibc's own behavior (an allocator setting in the
environment is a person's choice, which the command line leaves alone). Its largest resident memory, user and system
seconds are those that the system counted for it. Rows are kept in `benchmarks/results/memory.jsonl`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import arguments, data_folder, machine

ROWS = Path(__file__).with_name("results") / "memory.jsonl"
GLIBC_OWN = {"MALLOC_TRIM_THRESHOLD_": "131072"}
ONE_PICTURE = "000_n01440764_tench.jpg"
Command = list[str]


def commands(folder: Path, photographs: Path, quick: bool) -> dict[str, Command]:
    """Name what is measured: verbs on photographs at 224 pixels, and training on CIFAR-10."""
    some = lambda count: str(2 if quick else count)  # noqa: E731
    data = ["--data", str(photographs)]
    picture, cifar = str(folder / "imagenet_sample" / ONE_PICTURE), str(folder / "cifar10_jpeg.npz")
    return {
        "predict, a folder of 500": ["predict", str(folder / "imagenet_sample"), *(["--limit", "2"] if quick else [])],
        "evaluate, 500": ["evaluate", *data, "--limit", some(500)],
        "audit --depth quick, 500": ["audit", *data, "--depth", "quick", "--limit", some(500)],
        "explain --data, saliency and Grad-CAM, 100": [
            *("explain", *data, "--limit", some(100)),
            *("--methods", "saliency,gradcam"),
        ],
        "corruptions, noise, 40": ["corruptions", *data, "--limit", some(40), "--kinds", "noise"],
        "robustness, PGD-20 at 1/255, 40": [
            *("robustness", *data, "--limit", some(40)),
            *("--attack", "pgd:steps=20", "--eps", "1/255"),
        ],
        "attack, one picture": ["attack", picture],
        "report, one picture": ["report", picture],
        "train, classic_cnn, an epoch of 4,000": [
            *("train", "--model", "classic_cnn", "--data", cifar, "--limit", some(4000), "--epochs", "1"),
            *("--recipe", "classic"),
        ],
    }


def spent(command: Command, kept: bool) -> dict[str, Any]:
    """Run a command in a folder that is deleted, and return what the system counted."""
    with tempfile.TemporaryDirectory() as out:
        program = [sys.executable, "-m", "backlight", *command, "--quiet"]
        program += [] if command[0] == "predict" else ["--out", f"{out}/out"]
        environment = os.environ | ({} if kept else GLIBC_OWN)
        log = os.open(f"{out}/log", os.O_WRONLY | os.O_CREAT, 0o600)
        actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        process = os.posix_spawn(sys.executable, program, environment, file_actions=actions)
        _, status, used = os.wait4(process, 0)
        os.close(log)
        if os.waitstatus_to_exitcode(status) not in (0, 3):
            sys.exit(f"{' '.join(command)}: {Path(out, 'log').read_text('utf-8')[-2000:]}")
    return {"mib": round(used.ru_maxrss / 1024), "user": round(used.ru_utime, 1), "system": round(used.ru_stime, 1)}


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    folder = data_folder()
    if folder is None:
        sys.exit("no data: set BACKLIGHT_DATA")
    with tempfile.TemporaryDirectory() as made:
        photographs = listed(folder / "imagenet_sample", Path(made) / "photographs.csv")
        for name, command in commands(folder, photographs, options.quick).items():
            if options.only in name:
                line = {"what": name, "kept": spent(command, True), "given back": spent(command, False)}
                print(json.dumps(line), flush=True)
                if not options.quick:
                    with ROWS.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line | {"machine": machine()}) + "\n")


def listed(photographs: Path, path: Path) -> Path:
    """Write a list of the photographs with the class number that begins each name."""
    lines = [f"{one.resolve()},{int(one.name[:3])}" for one in sorted(photographs.glob("*.jpg"))]
    path.write_text("path,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
