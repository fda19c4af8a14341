"""Every loader and grammar that takes what others made: one line adds one to `TARGETS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from itertools import islice
from pathlib import Path
from random import Random

from tools.fuzz import (
    bombs,
    browsing,
    grammars,
    model_bombs,
    model_seeds,
    passes,
    program_seeds,
    readers,
    seeds,
    work_seeds,
)
from tools.fuzz.archives import add_extended, edit_safetensors, edit_tar, edit_zip, edit_zip_flags
from tools.fuzz.columns import edit_parquet
from tools.fuzz.documents import edit_json, edit_lines
from tools.fuzz.edits import BYTES, TEXT, Edit, splice
from tools.fuzz.inputs import STANDS, Content, Files, Stand
from tools.fuzz.pickles import edit_pickle
from tools.fuzz.pictures import edit_jpeg, edit_png

_OWN = {
    "*.png": (edit_png,),
    "*.jpg": (edit_jpeg,),
    "*.json": (edit_json, edit_json, *TEXT),
    "*.jsonl": (edit_lines, edit_lines, *TEXT),
    "*.csv": TEXT,
    "*.txt": TEXT,
    "*.toml": TEXT,
    "*.npz": (edit_zip, edit_zip_flags),
    "*.pt": (edit_zip, edit_zip, edit_zip_flags),
    "*.pt2": (edit_zip, edit_zip_flags),
    "*.parquet": (edit_parquet, edit_parquet, *BYTES),
    "*.http": TEXT,
    "*.safetensors": (edit_safetensors,),
    "*.tar": (edit_tar, edit_tar, add_extended),
    "*batch*": (edit_pickle,),
    "train": (edit_pickle,),
    "*meta": (edit_pickle,),
}
_EVERY = 8  # one of so many inputs is made by hand


@dataclass(frozen=True)
class Target:
    """A loader: how it is called on a folder of files, valid ones, and which of them are made hostile.

    `bombs` yields contents made by hand with the name of the file that they take the place of.
    """

    name: str
    read: Callable[[Path], object]
    make: Callable[[], Sequence[Files]]
    files: str = "*"
    bombs: Callable[[], Iterable[tuple[str, Content]]] = tuple
    whole: Callable[[], Iterable[Files]] = tuple

    @cached_property
    def valid(self) -> tuple[Files, ...]:
        """The valid inputs."""
        return tuple(self.make())

    @cached_property
    def fixed(self) -> tuple[Files, ...]:
        """The inputs that are made by hand: no files in place of files, and bombs."""
        first = self.valid[0]
        stands = [(self._names(first)[-1], Stand(kind)) for kind in STANDS]
        made = [self._with(name, content) for name, content in (*stands, *self.bombs())]
        return (*made, *self.whole())

    def input(self, seed: int, number: int) -> Files:
        """Return an input, which follows from the seed and its number alone."""
        turn, place = divmod(number, _EVERY)
        random = Random(f"{seed} {self.name} {number}")
        if place == _EVERY - 1:
            return self.fixed[(turn + seed) % len(self.fixed)]
        files = random.choice(self.valid)
        name = random.choice(self._names(files))
        data = files[name]
        assert isinstance(data, bytes)
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            data = self._edited(name, data, random)
        return {**files, name: data}

    def _edited(self, name: str, data: bytes, random: Random) -> bytes:
        own: tuple[Edit, ...] = next((edits for form, edits in _OWN.items() if fnmatch(Path(name).name, form)), ())
        if own and random.random() < 0.6:
            with suppress(Exception):  # what was edited before may be of no format any more
                return random.choice(own)(data, random)
        if random.random() < 0.1:
            other = random.choice(self.valid).get(name, b"")
            return splice(data, other if isinstance(other, bytes) else b"", random)
        return random.choice(BYTES)(data, random)

    def _names(self, files: Files) -> list[str]:
        return sorted(name for name in files if fnmatch(name, self.files))

    def _with(self, name: str, content: Content) -> Files:
        """Put a content in the place of the file of a valid input that has its name, or beside the others."""
        files = next((one for one in self.valid if name in one), self.valid[0])
        mine = [one for one in self._names(files) if one.rpartition("/")[2] == name or one == name]
        kept = files if mine else {one: data for one, data in files.items() if not fnmatch(one, self.files)}
        return {**kept, (mine[0] if mine else name): content}


def _picture(kind: str, suffix: str) -> Target:
    def large() -> Iterator[tuple[str, Content]]:
        return bombs.picture_bombs(kind, suffix)

    return Target(f"picture {kind.lower()}", readers.picture, lambda: seeds.pictures(kind, suffix), bombs=large)


def _grammar(name: str, read: Callable[[str], object], *texts: str) -> Target:
    def valid() -> Sequence[Files]:
        return [{"text.txt": text.encode()} for text in texts]

    def odd() -> Iterator[tuple[str, Content]]:
        return islice(bombs.text_bombs("text.txt"), 3, None)

    return Target(f"grammar {name}", lambda folder: readers.text(folder, read), valid, bombs=odd)


def _odd_names() -> Iterator[Files]:
    png = seeds.encoded("PNG")
    for name in bombs.names():
        yield {f"a/{name}.png": png, "b/0.png": png}
        yield {f"{name}/0.png": png, "b/0.png": png}
    yield bombs.many_large_pictures()


TARGETS = {
    one.name: one
    for one in (
        _picture("PNG", ".png"),
        _picture("JPEG", ".jpg"),
        _picture("WEBP", ".webp"),
        _picture("GIF", ".gif"),
        _picture("BMP", ".bmp"),
        _picture("TIFF", ".tif"),
        _picture("PPM", ".ppm"),
        _picture("AVIF", ".avif"),
        Target("folders", readers.data, seeds.folders, whole=_odd_names),
        Target("npz", readers.data_file, seeds.arrays, bombs=bombs.array_bombs),
        Target("parquet", readers.data_file, seeds.parquets, bombs=bombs.parquet_bombs),
        Target("tar", readers.data_file, seeds.tars, bombs=bombs.tar_bombs),
        Target("CIFAR", readers.data, seeds.cifar, bombs=lambda: bombs.pickle_bombs("data_batch_1")),
        Target("list", readers.list_file, seeds.lists, "list.csv", lambda: bombs.text_bombs("list.csv")),
        Target("slices", readers.slices, seeds.slices, bombs=lambda: bombs.text_bombs("slices.csv")),
        Target("labels", readers.labels, seeds.labels, bombs=lambda: bombs.json_bombs("labels.json")),
        Target("recipe", readers.recipe, work_seeds.recipes, bombs=lambda: bombs.json_bombs("recipe.json")),
        Target("safetensors", readers.weights, model_seeds.tensors, bombs=model_bombs.safetensors_bombs),
        Target("checkpoint", readers.weights, model_seeds.checkpoints, bombs=model_bombs.checkpoint_bombs),
        Target("passport", readers.passport, model_seeds.passports, "model.json",
               lambda: bombs.json_bombs("model.json")),
        Target("run.json", readers.run, work_seeds.runs, "run/run.json", lambda: bombs.json_bombs("run.json")),
        Target("log.jsonl", readers.history, work_seeds.runs, "run/log.jsonl", lambda: bombs.json_bombs("log.jsonl")),
        Target("calibration.json", readers.temperature, lambda: work_seeds.runs()[:1], "run/calibration.json",
               lambda: bombs.json_bombs("calibration.json")),
        Target("resumed run", readers.resumed, work_seeds.runs, "run/[srl]*",
               lambda: bombs.pickle_bombs("state.pt")),
        Target("finished block", readers.part, work_seeds.parts, "part.*"),
        Target("plan of a sweep", readers.plan, work_seeds.parts, "*plan.json",
               lambda: bombs.json_bombs(work_seeds.PLAN)),
        Target("claim of a sweep", readers.claim, work_seeds.claims, bombs=lambda: bombs.json_bombs("block.json")),
        Target("result of a verb", readers.result, work_seeds.results,
               bombs=lambda: bombs.json_bombs("robustness.json")),
        Target("raw map", readers.raw_map, work_seeds.maps, bombs=bombs.array_bombs),
        Target("saved loop", readers.saved_loop, work_seeds.loops, bombs=lambda: bombs.pickle_bombs("loop.pt")),
        Target("gate file", readers.gates, work_seeds.gates, "gate.toml", lambda: bombs.text_bombs("gate.toml")),
        Target("judged result", readers.gates, work_seeds.gates, "[be]*", lambda: bombs.json_bombs("evaluate.json")),
        Target("transformers folder", readers.transformers_folder, model_seeds.transformers_folder, "*.json",
               lambda: bombs.json_bombs("config.json")),
        Target("open_clip architecture", readers.architecture, model_seeds.architectures,
               bombs=lambda: bombs.json_bombs("small.json")),
        Target("torchscript", readers.torchscript, program_seeds.scripts, bombs=program_seeds.script_bombs),
        Target("torch.export", readers.exported, program_seeds.exported, bombs=program_seeds.exported_bombs),
        Target("kept pass of an audit", passes.go_on, passes.passes, bombs=passes.pass_bombs),
        Target("request to the app", readers.request, browsing.requests, bombs=browsing.request_bombs),
        Target("onnx", readers.onnx, model_seeds.networks, bombs=model_bombs.network_bombs),
        *(_grammar(name, read, *texts) for name, (read, texts) in grammars.GRAMMARS.items()),
    )
}  # fmt: skip
