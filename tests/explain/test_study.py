"""Whole data sets: the table, the files, resuming after a kill, several processes, bounded memory."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.errors import DataError
from backlight.core.random import Random
from backlight.data import load_data
from backlight.data.dataset import Dataset
from backlight.explain import explain, study
from backlight.explain.averages import ClassAverages
from backlight.explain.request import Request
from backlight.explain.scores import score
from backlight.explain.study import explain_data, stem_of
from backlight.explain.views import read_views
from backlight.images import write_png
from backlight.table import Table
from backlight.testing import small_net, unchanged
from tests.cli.running import CommandLine
from tests.processes import run_processes

SHAPES = "shapes:n=10,size=16,classes=3,shortcut=1.0"
METHODS = ("gradcam", "saliency", "smoothgrad:samples=2")
METRICS = ("deletion", "insertion")
FACTORY = """
import torch
from torch import nn
from backlight import Classifier

def small():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3),
        ).double()
    return Classifier.from_module(net, size=16, labels=["circle", "square", "triangle"])
"""


def classifier_of() -> Classifier:
    names: dict[str, Any] = {}
    exec(FACTORY, names)  # noqa: S102 - the text above
    return names["small"]()


def whole(**options: Any) -> study.DataExplanations:
    return explain_data(
        classifier_of(),
        load_data(SHAPES, split="all"),
        Request(METHODS),
        metrics=METRICS,
        **{"batch_size": 4, "block": 4, **options},
    )


def close(first: Table, second: Table) -> bool:
    assert first.names == second.names
    assert first.ids == second.ids
    pairs = [(np.asarray(first[name]), np.asarray(second[name])) for name in first.names if name != "id"]
    return all(np.allclose(a.astype(float), b.astype(float), atol=1e-9, equal_nan=True) for a, b in pairs)


def test_the_table_is_what_scoring_all_pictures_at_once_gives() -> None:
    data, found = load_data(SHAPES, split="all"), whole()
    pictures, masks = data[:].images, data.mask("object", slice(None))
    expected = score(
        classifier_of(),
        pictures,
        methods=METHODS,
        metrics=[*METRICS, "border", "mass", "pointing_game"],
        masks=masks,
        ids=list(data.ids),
    ).table
    assert found.table.ids == list(data.ids)
    assert found.table["label"].tolist() == data.labels.tolist()
    assert close(found.table.select(*expected.names), expected)
    assert sorted(found.summary()) == sorted(METHODS)
    document = json.loads(json.dumps(found.to_json()))
    assert {"n", "methods", "skipped", "seconds"} <= set(document)
    assert {"mean", "standard_error", "random", "edges"} <= set(document["methods"]["gradcam"]["deletion"])


@pytest.mark.promises
@pytest.mark.parametrize("size", [1, 3, 10])
def test_neither_the_size_of_blocks_nor_of_batches_changes_anything(size: int) -> None:
    assert close(whole(block=size).table, whole().table)
    assert close(whole(batch_size=size, block=None).table, whole().table)


def test_overlays_and_raw_maps_are_those_of_a_single_picture(tmp_path: Path) -> None:
    found, data = whole(out=tmp_path), load_data(SHAPES, split="all")
    alone = explain(classifier_of(), data[[7]].images, methods=METHODS, random=Random(0, ["7"]))
    for method in METHODS:
        stem = f"7-{method.replace(':', '-')}"
        with np.load(tmp_path / "maps" / f"{stem}.npz", allow_pickle=False) as raw:
            assert np.allclose(raw["raw"], alone[method].attributions[0], atol=1e-12)
            assert raw["box"].tolist() == [0, 0, 16, 16]
        with Image.open(tmp_path / "maps" / f"{stem}.png") as overlay:
            assert overlay.size == (16, 16)
        assert torch.equal(
            found.heatmap("7", method), torch.from_numpy(np.load(tmp_path / "maps" / f"{stem}.npz")["heat"])
        )
    assert len(list((tmp_path / "maps").iterdir())) == 10 * 3 * 2


def test_class_averages_are_means_of_maps_that_sum_to_one() -> None:
    found, data = whole(), load_data(SHAPES, split="all")
    heat = explain(classifier_of(), data[:].images, methods=["saliency"])["saliency"].heatmap()
    unit = heat / heat.sum((1, 2), keepdim=True)
    for label in range(3):
        assert torch.allclose(found.averages.mean(label)["saliency"], unit[data.labels == label].mean(0))
        assert found.averages.counts[label].tolist()[1] == int((data.labels == label).sum())
    back = ClassAverages.from_tensors(found.methods, found.averages.to_tensors())
    assert all(torch.equal(back.sums[one], found.averages.sums[one]) for one in range(3))


def test_finished_blocks_are_read_back_only_for_the_same_things(tmp_path: Path) -> None:
    first = whole(out=tmp_path)
    assert len(list((tmp_path / "explain-blocks").glob("*.parquet"))) == 3
    calls = 0
    classifier = classifier_of()

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    classifier.module.register_forward_hook(count)
    data = load_data(SHAPES, split="all")
    again = {"metrics": METRICS, "out": tmp_path, "resume": True, "batch_size": 4, "block": 4}
    second = explain_data(classifier, data, Request(METHODS), **again)
    assert calls == 0
    assert second.table.rows() == first.table.rows()
    assert torch.equal(second.averages.sums[1], first.averages.sums[1])
    (tmp_path / "maps" / "0-gradcam.png").unlink()  # a block whose files are gone is not finished
    explain_data(classifier, data, Request(METHODS), **again)
    assert (tmp_path / "maps" / "0-gradcam.png").is_file()
    changed = Dataset.of(255 - data.read(slice(None)), data.labels, data.label_names)
    calls = 0
    explain_data(classifier, changed, Request(METHODS), **again)  # same ids, other pictures
    assert calls > 0
    calls = 0
    explain_data(classifier, data, Request(METHODS, seed=1), **again)
    assert calls > 0


@pytest.mark.slow
def test_memory_is_that_of_a_block_whatever_the_number_of_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[Tensor]] = []
    most = 0
    read = study.read_views

    def watching(*arguments: Any) -> Any:
        nonlocal most
        gc.collect()
        most = max(most, sum(one() is not None for one in alive))
        views = read(*arguments)
        alive.extend(weakref.ref(picture.image) for picture in views.pictures)
        return views

    monkeypatch.setattr(study, "read_views", watching)
    data = load_data("shapes:n=24,size=8,classes=3", split="all")
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    explain_data(Classifier.from_module(net, size=8), data, Request(("saliency",)), metrics=(), batch_size=2)
    assert len(alive) == 24
    assert most <= 2  # those of the block before, which the loop still names


def test_broken_pictures_are_skipped_and_named_and_large_ones_cropped(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write_png(tmp_path / "a" / "wide.png", torch.rand(3, 20, 40, generator=torch.Generator().manual_seed(0)))
    write_png(tmp_path / "b" / "high.png", torch.rand(3, 30, 16, generator=torch.Generator().manual_seed(1)))
    (tmp_path / "b" / "broken.png").write_bytes(b"nonsense")
    found = explain_data(
        classifier_of(), load_data(tmp_path, split="all"), Request(("gradcam",)), metrics=(), out=tmp_path / "out"
    )
    assert [Path(one.path).name for one in found.failed] == ["broken.png"]
    assert found.to_json()["skipped"][0]["path"].endswith("broken.png")
    assert len(found.table) == 2
    boxes = [
        np.load(path, allow_pickle=False)["box"].tolist() for path in sorted((tmp_path / "out/maps").glob("*.npz"))
    ]
    assert sorted(boxes) == [[0.0, 7.0, 16.0, 23.0], [10.0, 0.0, 30.0, 20.0]]


def test_a_mask_is_cropped_as_its_picture_is() -> None:
    views = read_views(classifier_of(), load_data("shapes:n=2,size=32,classes=3", split="all"), torch.tensor([0, 1]))
    assert views.masks is not None
    small = views.masks.double()
    large = load_data("shapes:n=2,size=32,classes=3", split="all").mask("object", [0, 1]).double()
    assert torch.allclose(small.mean((1, 2)), large.mean((1, 2)), atol=0.03)
    grid = torch.arange(16.0)
    for axis in (1, 2):
        center = (small.sum(3 - axis) * grid).sum(1) / small.sum((1, 2))
        wide = (large.sum(3 - axis) * torch.arange(32.0)).sum(1) / large.sum((1, 2))
        assert torch.allclose(center, (wide - 0.5) / 2, atol=0.3)


def test_no_readable_picture_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="no picture that can be read"):
        explain_data(classifier_of(), load_data(tmp_path, split="all"), Request(("saliency",)))


def test_file_names_never_leave_the_folder_and_never_meet() -> None:
    names = ["../../etc/passwd", "a/b", "a-b", "a b", "17", "ä", "x" * 300, "", ".", "con/..//x"]
    stems = [stem_of(name) for name in names]
    assert len(set(stems)) == len(names)
    assert all("/" not in stem and not stem.startswith(".") and 0 < len(stem) <= 90 for stem in stems)


def test_the_model_is_left_as_it_was() -> None:
    net = small_net(3)
    with unchanged(net):
        explain_data(Classifier.from_module(net, size=16), load_data(SHAPES, split="all"), Request(("saliency",)))


_SMALL = "from backlight.sweep import cost; cost.SECONDS, cost._FEWEST_VALUES = 1e-9, 1\n"  # blocks of one picture
_RUN = "from backlight.cli import main; main()"
MANY, SOME = (SHAPES.replace("n=10", f"n={count}") for count in (16, 8))


def command(folder: Path, data: str, *more: str) -> list[str]:
    (folder / "factory.py").write_text(FACTORY)
    words = ["explain", "--model", f"{folder / 'factory.py'}:small", "--data", data, "--split", "all", "--quiet"]
    return [*words, "--json", "--methods", "gradcam,smoothgrad:samples=2", "--batch-size", "1", *more]


def at_once(data: str, **options: Any) -> Table:
    request = Request(("gradcam", "smoothgrad:samples=2"), "top")
    return explain_data(classifier_of(), load_data(data, split="all"), request, batch_size=4, **options).table


@pytest.fixture
def backlight(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


def without_names(written: Table) -> Table:
    """Leave out what the verb adds for people to a table of the library."""
    return written.drop("label_name", "target_name")


@pytest.mark.slow
def test_killed_and_resumed_it_gives_the_same_table(backlight: CommandLine, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = tmp_path / "out"
    words = [sys.executable, "-c", _SMALL + _RUN, *command(tmp_path, MANY, "--out", str(out))]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not list((out / "explain-blocks").glob("[!.]*.parquet")):
            try:
                process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(process.communicate()[1].decode())
        process.kill()
    assert process.returncode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in (out / "explain-blocks").glob("[!.]*.parquet")}
    assert 0 < len(kept) < 16
    refused = backlight(*words[3:])
    assert refused.status == 2
    assert "--resume" in refused.err
    resumed = backlight(*words[3:], "--resume")
    assert resumed.status == 0
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    document = resumed.json
    assert document["n"] == 16
    assert close(without_names(Table.read(document["table"])), at_once(MANY, metrics=()))


_TOGETHER = (
    _SMALL
    + """
import sys
from backlight.cli import main
sys.argv = {words!r}
try:
    main()
except SystemExit as end:
    assert not end.code, end
"""
)


@pytest.mark.slow
def test_two_processes_write_the_table_that_one_does(tmp_path: Path) -> None:
    words = ["backlight", *command(tmp_path, SOME, "--score", "--out", str(tmp_path / "two"))]
    document = json.loads(run_processes(_TOGETHER.format(words=words)))
    assert document["n"] == 8
    assert close(without_names(Table.read(document["table"])), at_once(SOME))
    assert len(list((tmp_path / "two" / "maps").glob("*.png"))) == 16
