"""How time and memory grow with the pictures: blocks that are planned, pictures evaluated, rows reduced.

python benchmarks/scale.py [--quick] [--only NAME]

Every figure is of a process of its own on one thread: seconds of processor time, and the largest resident memory that
Linux counted for it (VmHWM), with torch and the data set's own list of pictures in it. `reduce` is `evaluate --resume
--table` in a folder where other processes have finished every block; its seconds begin after the last block is found.
What the same command takes for a hundredth of the pictures stands beside it: the rest is of the pictures.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import torch
from measure import CLOCK, Figure, arguments, at_most, show
from torch import nn

from backlight.classifier import Classifier
from backlight.core.allocator import keep_memory
from backlight.data import Dataset, load_data
from backlight.evaluate import evaluate as evaluate_pictures
from backlight.images import to_picture
from backlight.sweep import runner
from backlight.sweep.cost import Cost
from backlight.sweep.plan import plan_sweep
from backlight.sweep.task import Part, Task
from backlight.table import Table
from backlight.tasks.evaluating import EvaluateRequest, evaluate
from backlight.tasks.loading import DataRequest

NAMES = [f"class {number}" for number in range(10)]


def noise(count: int, side: int) -> torch.Tensor:
    """Draw pictures without any content, uint8 `[N,3,side,side]`."""
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def tiny(count: int) -> Dataset:
    """Make a data set of 2 x 2 pixels a picture, so that next to nothing of its memory is pixels."""
    labels = torch.randint(0, len(NAMES), (count,), generator=torch.Generator().manual_seed(1))
    parts = [noise(100_000, 2)] * (-(-count // 100_000))
    ids = [f"train/{number:08}.png" for number in range(count)]
    return Dataset.of(torch.cat(parts)[:count], labels, NAMES, ids)


def linear(side: int) -> Classifier:
    """Make a network of one layer, the same in every process."""
    layer = nn.Linear(3 * side * side, len(NAMES))
    weight = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(2)) / side
    layer.load_state_dict({"weight": weight, "bias": torch.zeros(len(NAMES))})
    return Classifier.from_module(nn.Sequential(nn.Flatten(), layer), mean=0.5, std=(0.5,) * 3, size=side, labels=NAMES)


def plan(count: int, folder: Path) -> float:
    """Plan 10,000 blocks, and cut the data into them."""
    work = lambda data, advance: Part(Table.of(id=data.ids))  # noqa: E731
    task = Task("ids", tiny(count), work, (), lambda: Cost(10**9, 1.0, 48), size=count // 10_000)
    start = time.process_time()
    found = plan_sweep(task, folder, runner._alone())
    assert found.blocks == len(task.blocks(found.size)) == 10_000
    return time.process_time() - start


def archive(count: int, folder: Path) -> float:
    """Write a WebDataset archive of PNG pictures of 32 pixels."""
    pixels = [io.BytesIO() for _ in range(64)]
    for stream, image in zip(pixels, noise(64, 32)):
        to_picture(image / 255).save(stream, "PNG")
    with tarfile.open(folder / "all-000000.tar", "w") as tar:
        for number in range(count):
            for kind, content in ((".png", pixels[number % 64].getvalue()), (".cls", str(number % 10).encode())):
                member = tarfile.TarInfo(f"{number:08}{kind}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return 0.0


def look(count: int, folder: Path) -> float:
    """Evaluate all pictures of the archive, with a page."""
    data, model = load_data(folder, split="all"), linear(32).replace(labels=())
    start = time.process_time()
    evaluate(EvaluateRequest(DataRequest(data), (model,), out=folder / "out", batch_size=256))
    return time.process_time() - start


def work(count: int, folder: Path) -> float:
    """Finish every block, as workers do."""
    evaluate_pictures(linear(2), tiny(count), batch_size=1000, folder=folder / "evaluate-blocks")
    return 0.0


def reduce(count: int, folder: Path) -> float:
    """Make document, table and page of finished blocks; the seconds are those after the last block is found."""
    request = EvaluateRequest(
        DataRequest(tiny(count)), (linear(2),), table=True, out=folder, resume=True, batch_size=1000
    )
    found, pull = list[float](), runner._Run.pull

    def timed(*given: object) -> None:
        pull(*given)  # type: ignore[arg-type]
        found.append(time.process_time())

    with patch.object(runner._Run, "pull", timed):
        evaluate(request)
    return time.process_time() - found[0]


CHILDREN = {one.__name__: one for one in (plan, archive, look, work, reduce)}


def child(name: str, count: int, folder: Path) -> tuple[float, float]:
    """Do one of these in a process of its own; return seconds and MiB."""
    command = [sys.executable, __file__, "child", name, str(count), str(folder)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, mib = json.loads(told.splitlines()[-1])
    return seconds, mib


def be_child(name: str, count: str, folder: str) -> None:
    """Do it here, and say what it took."""
    keep_memory()
    torch.set_num_threads(1)
    seconds = CHILDREN[name](int(count), Path(folder))
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    assert peak is not None
    print(json.dumps((seconds, int(peak[1]) / 1024)))


def figures(quick: bool, only: str) -> Iterator[Figure]:
    """Yield the figures whose group's name contains `only`."""
    most = 20_000 if quick else 2_000_000
    with ExitStack() as stack:
        folders = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(5))
        if only in "plan":
            seconds, _ = child("plan", most, next(folders))
            yield at_most("plan 10,000 blocks", seconds, 2.0, unit="s", n=most)
        for before, name, count in (("archive", "look", most // 10), ("work", "reduce", most)):
            if only not in name:
                continue
            spent = []
            for pictures in (count // 100, count):
                folder = next(folders)
                child(before, pictures, folder)
                spent.append(child(name, pictures, folder))
            (_, least), (seconds, mib) = spent
            if name == "reduce":
                yield at_most("reduce", seconds, 60.0, unit="s", n=count)
            note = f"{least:,.0f} MiB for {count // 100:,} pictures, {mib - least:,.0f} more for these; {seconds:.0f} s"
            yield at_most(f"{name}: largest memory", mib, 1e9 / 2**20, unit="MiB", n=count, note=note)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        be_child(*sys.argv[2:])
    else:
        options = arguments(__doc__.splitlines()[0])
        CLOCK.read = time.process_time  # as in the processes whose seconds these are
        show(figures(options.quick, options.only))
