"""`evaluate` on a folder of photographs beside the loops that people write, the bare network, and two workers.

python benchmarks/evaluate.py [--quick] [--only folder|loop|blocks|workers]

Everything is the embedded model with the same allocator, wall time. The folder holds 2,000 JPEG photographs: those of
BACKLIGHT_DATA, their mirror images, and both cropped by a tenth, encoded anew. A peer's settings (threads, workers,
batch, memory format) are the best of a search on some of the photographs, which comes before and is not timed.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from measure import Figure, arguments, at_least, at_most, data_folder, faster, in_turn, seconds, show
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader

from backlight import load
from backlight.classifier import Classifier
from backlight.data import Dataset, load_data
from backlight.evaluate import evaluate, match_labels

BATCH = 32  # as the command line has it
SETTINGS = tuple(itertools.product((1, 2), (0, 1, 2), (32, 64), (torch.contiguous_format, torch.channels_last)))
Loop = Callable[[Path, tuple[int, int, int, torch.memory_format]], Tensor]


def write_folder(photographs: Path, folder: Path, count: int) -> None:
    """Write so many photographs into a folder per class, named by their WordNet ids."""
    written = 0
    for variant in range(4):
        for path in sorted(photographs.glob("*.jpg")):
            if written == count:
                return
            with Image.open(path) as opened:
                picture = opened.convert("RGB")
            if variant % 2:
                picture = ImageOps.mirror(picture)
            if variant > 1:
                picture = picture.crop((0, 0, picture.width * 9 // 10, picture.height * 9 // 10))
            target = folder / path.stem.split("_")[1] / f"{path.stem}-{variant}.jpg"
            target.parent.mkdir(exist_ok=True)
            picture.save(target, quality=90)
            written += 1


def torchvision_loop(classifier: Classifier, root: Path, settings: tuple[int, int, int, torch.memory_format]) -> Tensor:
    """Name every picture in a loop over ImageFolder, as torchvision's reference script does."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    rule = classifier.resize
    assert rule is not None
    transform = transforms.Compose(
        [
            transforms.Resize(rule.shorter_side, transforms.InterpolationMode(rule.interpolation)),
            transforms.CenterCrop(rule.size),
            transforms.ToTensor(),
            transforms.Normalize(classifier.mean, classifier.std),
        ]
    )
    threads, workers, batch, layout = settings
    loader = DataLoader(ImageFolder(str(root), transform), batch, num_workers=workers)
    return _named(classifier, ((images, None) for images, _ in loader), threads, layout)


def timm_loop(classifier: Classifier, root: Path, settings: tuple[int, int, int, torch.memory_format]) -> Tensor:
    """Name every picture in the loop of timm's validation script: its data set, its loader, its transform."""
    from timm.data import create_dataset, create_loader

    rule = classifier.resize
    assert rule is not None
    assert rule.shorter_side is not None
    threads, workers, batch, layout = settings
    loader = create_loader(
        create_dataset("", str(root)),
        input_size=(3, *rule.size),
        batch_size=batch,
        use_prefetcher=False,
        interpolation=rule.interpolation,
        mean=classifier.mean,
        std=classifier.std,
        num_workers=workers,
        crop_pct=min(rule.size) / rule.shorter_side,
        persistent_workers=False,
        device=torch.device("cpu"),
    )
    return _named(classifier, loader, threads, layout)


def _named(
    classifier: Classifier, batches: Iterator[tuple[Tensor, object]], threads: int, layout: torch.memory_format
) -> Tensor:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    module = classifier.module.to(memory_format=layout)
    with torch.inference_mode():
        found = [module(images.contiguous(memory_format=layout)).argmax(1) for images, _ in batches]
    torch.set_num_threads(before)
    return torch.cat(found)


def folder(classifier: Classifier, photographs: Path, count: int, runs: int) -> Iterator[Figure]:
    """Evaluate a folder by ours and by both loops at their best settings."""
    with tempfile.TemporaryDirectory() as few, tempfile.TemporaryDirectory() as many:
        write_folder(photographs, Path(few), min(count, 200))
        write_folder(photographs, Path(many), count)
        loops = {"torchvision": torchvision_loop, "timm": timm_loop}
        best = {name: best_settings(loop, classifier, Path(few)) for name, loop in loops.items()}
        found: dict[str, Tensor] = {}

        def ours() -> None:
            data = match_labels(classifier, load_data(many, split="all"))
            with tempfile.TemporaryDirectory() as blocks:
                table = evaluate(classifier, data, batch_size=BATCH, folder=Path(blocks)).table
            found["ours"] = torch.from_numpy(table["prediction"][table["id"].argsort()])

        def peer(name: str) -> Callable[[], None]:
            def work() -> None:
                found[name] = loops[name](classifier, Path(many), best[name])

            return work

        times = in_turn({"ours": ours, **{name: peer(name) for name in loops}}, runs, warm=False)
        for name in loops:
            threads, workers, batch, layout = best[name]
            same = (found["ours"] == found[name]).float().mean()
            shape = "channels_last" if layout == torch.channels_last else "contiguous"
            chosen = f"{threads} threads, {workers} workers, batch {batch}, {shape}"
            speeds = f"{count / times['ours']:.0f} and {count / times[name]:.0f} pictures/s"
            note = f"{speeds}, {same:.1%} named alike; {chosen}"
            yield faster(
                "evaluate a folder", times["ours"], times[name], f"{name}'s loop", goal=1.3, n=count, note=note
            )


def best_settings(loop: Loop, classifier: Classifier, root: Path) -> tuple[int, int, int, torch.memory_format]:
    """Return the settings under which a loop is fastest on a folder, each tried once."""
    loop(classifier, root, SETTINGS[0])
    tried = {settings: seconds(lambda: loop(classifier, root, settings)) for settings in SETTINGS}  # noqa: B023
    return min(tried, key=lambda settings: tried[settings])


def loop_itself(classifier: Classifier, photographs: Path, count: int, runs: int) -> Iterator[Figure]:
    """Evaluate pictures that are decoded already, against the bare network on tensors that are ready."""
    count = min(count, 500)
    with tempfile.TemporaryDirectory() as root:
        write_folder(photographs, Path(root), count)
        data = match_labels(classifier, load_data(root, split="all"))
        decoding = seconds(lambda: _decoded(classifier, data))
        memory = _decoded(classifier, data)
        quick = classifier.fast()
        ready = [batch.images for batch in memory.batches(BATCH)]

        def bare() -> None:
            with torch.inference_mode():
                for images in ready:
                    quick.logits(images)

        times = in_turn(
            {
                "memory": lambda: evaluate(classifier, memory, batch_size=BATCH),
                "folder": lambda: evaluate(classifier, data, batch_size=BATCH),
                "bare": bare,
            },
            runs,
        )
        note = f"decoding alone {count / decoding:.0f} pictures/s, from the folder {count / times['folder']:.0f}"
        yield faster("evaluate ready pictures", times["memory"], times["bare"], "bare network", goal=0.95, n=count)
        yield faster("evaluate a folder", times["folder"], times["bare"], "bare network", goal=0.95, n=count, note=note)


def _decoded(classifier: Classifier, data: Dataset) -> Dataset:
    assert classifier.resize is not None
    return data.resized(classifier.resize).in_memory()


def blocks(classifier: Classifier, photographs: Path, count: int, runs: int) -> Iterator[Figure]:
    """Evaluate a folder in blocks that are kept, against one that keeps none."""
    count = min(count, 500)
    with tempfile.TemporaryDirectory() as root:
        write_folder(photographs, Path(root), count)
        data = match_labels(classifier, load_data(root, split="all"))

        def kept() -> None:
            with tempfile.TemporaryDirectory() as out:
                evaluate(classifier, data, batch_size=BATCH, folder=Path(out))

        times = in_turn({"kept": kept, "none": lambda: evaluate(classifier, data, batch_size=BATCH)}, runs)
        note = f"kept {times['kept']:.3g} s, none {times['none']:.3g} s"
        yield at_most("overhead of blocks", times["kept"] / times["none"], 1.03, unit="x", n=count, note=note)


def workers(classifier: Classifier, photographs: Path, count: int, runs: int) -> Iterator[Figure]:
    """Run the whole command with one worker on one thread, and with two."""
    with tempfile.TemporaryDirectory() as root:
        write_folder(photographs, Path(root), count)

        def ran_by(number: int) -> None:
            with tempfile.TemporaryDirectory() as out:
                words = ["evaluate", "--data", root, "--out", out, "--workers", str(number), "--quiet"]
                environment = os.environ | {"OMP_NUM_THREADS": str(number)}  # which workers share
                command = [sys.executable, "-m", "backlight", *words]
                subprocess.run(command, check=True, capture_output=True, env=environment)

        times = in_turn({"one": lambda: ran_by(1), "two": lambda: ran_by(2)}, runs, warm=False)
        note = f"whole commands: {times['one']:.3g} s and {times['two']:.3g} s"
        yield at_least("two workers", times["one"] / times["two"], 1.6, unit="x", n=count, note=note)


GROUPS = {"folder": folder, "loop": loop_itself, "blocks": blocks, "workers": workers}


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    found = data_folder()
    if found is None:
        sys.exit("no data: set BACKLIGHT_DATA")
    count, runs = (20, 1) if options.quick else (2000, 3)
    photographs = found / "imagenet_sample"
    show(
        figure
        for name, group in GROUPS.items()
        if options.only in name
        for figure in group(load(), photographs, count, runs)
    )


if __name__ == "__main__":
    main()
