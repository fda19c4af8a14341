"""Corruptions that others stored, as published: read as data, matched with clean pictures, or refused in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backlight import tasks
from backlight.classifier import Classifier
from backlight.core.errors import DataError, FileError, UsageError
from backlight.core.random import Random
from backlight.corrupt import corrupt
from backlight.corrupt.alexnet import ALEXNET_ACCURACY
from backlight.corrupt.evaluating import evaluate_corruptions
from backlight.corrupt.layouts import find_kinds, is_stored
from backlight.corrupt.published import read_stored
from backlight.corrupt.registry import PUBLISHED_NAMES
from backlight.data.dataset import Dataset
from backlight.models.labels import imagenet_aliases, imagenet_labels
from tests.corrupt.test_evaluating import brightness_classifier, pictures

COUNT, KINDS = 6, ("brightness", "jpeg")


def stored_levels(data: Dataset, kind: str, severity: int) -> torch.Tensor:
    """Return what is stored for a kind and a severity, uint8 [N,C,H,W]."""
    random = Random("stored", list(range(len(data))))
    return (corrupt(data[:].images, kind, severity, random=random) * 255).round().byte()


def write_arrays(root: Path, data: Dataset, kinds: tuple[str, ...] = KINDS) -> Path:
    """Store corruptions as CIFAR-10-C: an array per kind, severities one behind the other, and labels of all rows."""
    root.mkdir()
    for kind in kinds:
        rows = torch.cat([stored_levels(data, kind, severity) for severity in range(1, 6)])
        np.save(root / f"{PUBLISHED_NAMES.get(kind, kind)}.npy", rows.permute(0, 2, 3, 1).numpy())
    np.save(root / "labels.npy", data.labels.repeat(5).numpy())
    return root


def write_folders(root: Path, data: Dataset, kinds: tuple[str, ...] = KINDS, classes: tuple[str, ...] = ()) -> Path:
    """Store corruptions as ImageNet-C: KIND/SEVERITY/class/picture."""
    for kind in kinds:
        for severity in range(1, 6):
            levels = stored_levels(data, kind, severity)
            write_pictures(root / PUBLISHED_NAMES.get(kind, kind) / str(severity), data, levels, classes)
    return root


def write_pictures(root: Path, data: Dataset, levels: torch.Tensor, classes: tuple[str, ...] = ()) -> None:
    for one, label, pixels in zip(data.ids, data.labels.tolist(), levels):
        path = root / (classes or data.label_names)[label] / f"{one}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)


def expected_accuracy(classifier: Classifier, data: Dataset, kind: str) -> list[float]:
    images = [stored_levels(data, kind, severity).float() / 255 for severity in range(1, 6)]
    found = [classifier.logits(one).detach().argmax(1) == data.labels for one in images]
    return [float(one.double().mean()) for one in found]


@pytest.mark.parametrize("write", [write_arrays, write_folders])
@pytest.mark.parametrize("with_clean", [True, False])
def test_stored_corruptions_are_looked_at(write, with_clean: bool, tmp_path: Path) -> None:  # noqa: ANN001
    classifier, clean = brightness_classifier(), pictures(COUNT)
    root = write(tmp_path / "set", clean)
    if write is write_arrays and not with_clean:
        classifier = classifier.replace(labels=("0", "1"))  # nothing tells the names
    data, request = read_stored(root, "all", clean=clean if with_clean else None)
    found = evaluate_corruptions(classifier, data, request)
    for kind in KINDS:
        assert found.kinds[kind].accuracy == pytest.approx(expected_accuracy(classifier, clean, kind)), kind
    assert found.clean_accuracy == (1 if with_clean else None)
    assert found.kinds["brightness"].accuracy[-1] < 1
    assert found.constants == "stored"
    assert found.to_json()["clean_accuracy"] == found.clean_accuracy
    if with_clean:
        assert found.table.ids == list(clean.ids)


def test_layouts_are_recognized_by_published_names(tmp_path: Path) -> None:
    arrays = write_arrays(tmp_path / "arrays", pictures(COUNT))
    folders = write_folders(tmp_path / "folders", pictures(COUNT))
    grouped = tmp_path / "grouped"
    write_folders(grouped / "digital", pictures(COUNT), ("jpeg",))
    write_folders(grouped / "weather", pictures(COUNT), ("brightness", "frost_like"))
    assert set(find_kinds(arrays)) == set(find_kinds(folders)) == set(KINDS)
    assert set(find_kinds(grouped)) == {*KINDS, "frost_like"}
    assert all(map(is_stored, (arrays, folders, grouped)))
    for digit in range(3):  # classes that are called as severities are no kinds
        write_pictures(tmp_path / "digits" / "train" / str(digit), pictures(2), pictures(2).read([0, 1]))
    assert not is_stored(tmp_path / "digits")
    assert not is_stored(tmp_path / "nowhere")


def test_own_kinds_are_looked_at_and_not_counted(tmp_path: Path) -> None:
    root = write_folders(tmp_path / "set", pictures(COUNT), ("brightness",))
    write_pictures(root / "rain" / "1", pictures(COUNT), pictures(COUNT).read(range(COUNT)))
    data, request = read_stored(root, "all", "1", clean=pictures(COUNT))
    found = evaluate_corruptions(brightness_classifier(), data, request)
    assert found.kinds["rain"].accuracy == (1.0,)
    assert [one.name for one in found.counted] == ["brightness"]
    assert read_stored(root, "published", "1")[1].names == ("brightness",)


def test_names_match_whatever_folder_and_suffix(tmp_path: Path) -> None:
    clean = pictures(COUNT)
    root = write_folders(tmp_path / "set", clean, classes=("n0", "n1"))
    moved = Dataset(
        clean.pictures, tuple(f"val/{one}.JPEG" for one in clean.ids), clean.labels, clean.label_names
    ).take([5, 0, 3])
    data, request = read_stored(root, "all", "5", clean=moved)
    assert data.ids == moved.ids
    assert "left out 3 stored pictures of 6" in data.notes[-1]
    assert torch.equal(data.view("brightness/5").read([1]), stored_levels(clean, "brightness", 5)[:1])
    found = evaluate_corruptions(brightness_classifier(), data, request)
    assert found.table.ids == list(moved.ids)


def test_pictures_with_one_name_in_several_classes_are_told_apart(tmp_path: Path) -> None:
    clean, root = pictures(COUNT), tmp_path / "set"
    same = Dataset(clean.pictures, ("a", "b", "c", "a2", "b2", "c2"), clean.labels, clean.label_names)
    for severity in range(1, 6):
        write_pictures(root / "fog" / str(severity), same, stored_levels(clean, "fog", severity))
        for name in ("a", "b", "c"):
            (root / "fog" / str(severity) / "light" / f"{name}2.png").rename(
                root / "fog" / str(severity) / "light" / f"{name}.png"
            )
    ids = ("dark/a.jpg", "dark/b.jpg", "dark/c.jpg", "light/a.jpg", "light/b.jpg", "light/c.jpg")
    data, _ = read_stored(root, clean=Dataset(clean.pictures, ids, clean.labels, clean.label_names))
    assert torch.equal(data.view("fog/2").read(range(6)), stored_levels(clean, "fog", 2))


def test_the_verb_reads_a_published_folder(tmp_path: Path) -> None:
    clean = pictures(20)
    root = write_arrays(tmp_path / "CIFAR-10-C", clean)
    request = tasks.CorruptionsRequest(
        tasks.DataRequest(str(root), limit=10),
        brightness_classifier(),
        second=brightness_classifier(),
        clean=clean,
        out=tmp_path / "out",
    )
    outcome = tasks.corruptions(request)
    assert outcome.document["n"] == 10
    assert outcome.document["clean_accuracy"] == 1
    assert set(outcome.document["kinds"]) == set(KINDS)
    assert outcome.document["comparison"]["jpeg"]["difference"] == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "as stored" in page
    assert page.count("<img") >= 2 * 5
    without = tasks.CorruptionsRequest(
        tasks.DataRequest(str(root)), brightness_classifier().replace(labels=("0", "1")), out=tmp_path / "second"
    )
    outcome = tasks.corruptions(without)
    assert outcome.document["clean_accuracy"] is None
    assert not any("clean" in line for line in outcome.lines)


def test_imagenet_is_weighed_by_alexnet_and_matched_by_wordnet_ids(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 1000))
    with torch.no_grad():
        net[2].weight.zero_()
        net[2].bias.zero_()[0] = 1
    classifier = Classifier.from_module(net, size=32, labels=imagenet_labels())
    classifier.aliases = imagenet_aliases()
    two = Dataset.of(torch.full((2, 3, 32, 32), 99, dtype=torch.uint8), [0, 1], ["n01440764", "n01443537"])
    data, request = read_stored(write_folders(tmp_path / "ImageNet-C", two, ("fog", "elastic")))
    found = evaluate_corruptions(classifier, data, request)
    assert found.kinds["fog"].accuracy == (0.5,) * 5  # everything is a tench
    weighed = [100 * 2.5 / sum(1 - one for one in ALEXNET_ACCURACY[kind]) for kind in ("fog", "elastic")]
    assert found.mce == pytest.approx(sum(weighed) / 2)


def test_a_broken_stored_picture_is_named_and_left_out(tmp_path: Path) -> None:
    clean = pictures(COUNT)
    root = write_folders(tmp_path / "set", clean)
    (root / "brightness" / "4" / "dark" / "p1.png").write_bytes(b"no picture")
    data, request = read_stored(root, "all", clean=clean)
    found = evaluate_corruptions(brightness_classifier(), data, request)
    assert found.table.ids == [one for one in clean.ids if one != "p1"]
    assert [(one.path, one.error[:14]) for one in found.failed] == [("p1", "brightness/4: ")]


def test_a_changed_stored_picture_is_looked_at_again(tmp_path: Path) -> None:
    clean = pictures(COUNT)
    root = write_folders(tmp_path / "set", clean)
    data, request = read_stored(root, "brightness", "1", clean=clean)
    first = evaluate_corruptions(brightness_classifier(), data, request, cache=tmp_path / "blocks")
    Image.new("RGB", (32, 32), "white").save(root / "brightness" / "1" / "dark" / "p1.png")
    again = evaluate_corruptions(brightness_classifier(), data, request, cache=tmp_path / "blocks")
    assert again.kinds["brightness"].accuracy[0] == pytest.approx(first.kinds["brightness"].accuracy[0] - 1 / COUNT)


def test_what_is_not_stored_is_told(tmp_path: Path) -> None:
    clean = pictures(COUNT)
    root = write_folders(tmp_path / "set", clean)
    with pytest.raises(UsageError, match=r"no kind 'fog' is stored; expected one of brightness, jpeg"):
        read_stored(root, "fog")
    for severity in (2, 4):
        (root / "brightness" / str(severity)).rename(root / f"kept{severity}")
    with pytest.raises(DataError, match=r"no severity 2.*--severities 1,3,5"):
        read_stored(root, "brightness")
    assert read_stored(root, "jpeg_compression", "3")[1].names == ("jpeg",)
    with pytest.raises(UsageError, match="--clean DATA"):
        read_stored(root, "jpeg", stability=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no stored corruptions"):
        read_stored(tmp_path / "empty")


def test_other_clean_pictures_are_refused(tmp_path: Path) -> None:
    clean = pictures(COUNT)
    arrays, folders = write_arrays(tmp_path / "arrays", clean), write_folders(tmp_path / "folders", clean)
    with pytest.raises(DataError, match="5 clean pictures for 6 stored ones"):
        read_stored(arrays, clean=clean.take(range(5)))
    for root in (arrays, folders):
        turned = Dataset(clean.pictures, clean.ids, clean.labels.roll(1), clean.label_names)
        with pytest.raises(DataError, match="is '.*' and '.*' in"):
            read_stored(root, clean=turned)
    strange = Dataset(clean.pictures, tuple("uvwxyz"), clean.labels, clean.label_names)
    with pytest.raises(DataError, match="no clean picture is named"):
        read_stored(folders, clean=strange)
    bare = Dataset(clean.pictures, clean.ids, torch.full((COUNT,), -1), clean.label_names)
    with pytest.raises(DataError, match="without labels"):
        read_stored(folders, clean=bare)
    with pytest.raises(UsageError, match="holds no stored corruptions"):
        tasks.CorruptionsRequest(tasks.DataRequest("shapes:n=4"), clean="shapes:n=4").load()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("fog.npy", np.zeros((11, 4, 4, 3), np.uint8), r"uint8 \[11, 4, 4, 3\]"),
        ("fog.npy", np.zeros((10, 4, 4, 3), np.float32), "float32"),
        ("fog.npy", np.zeros((10, 4, 4), np.uint8), r"\[10, 4, 4\]"),
        ("fog.npy", b"\x93NUMPY no array", "not a usable .npy file"),
        ("labels.npy", np.zeros(7, np.int64), "7 labels for 10 pictures"),
        ("labels.npy", np.arange(10), "other labels at other severities"),
        ("labels.npy", np.array([{}] * 10, dtype=object), "not a usable .npy file"),
    ],
)
def test_arrays_that_are_none_are_told(name: str, content: np.ndarray | bytes, words: str, tmp_path: Path) -> None:
    root = write_arrays(tmp_path / "set", pictures(2), ("fog",))
    if isinstance(content, bytes):
        (root / name).write_bytes(content)
    else:
        np.save(root / name, content)
    with pytest.raises(FileError, match=words):
        read_stored(root)


def test_a_cut_array_and_a_pipe_are_told(tmp_path: Path) -> None:
    root = write_arrays(tmp_path / "set", pictures(2), ("fog",))
    whole = (root / "fog.npy").read_bytes()
    (root / "fog.npy").write_bytes(whole[:-100])
    with pytest.raises(FileError, match="not a usable .npy file"):
        read_stored(root)
    (root / "fog.npy").unlink()
    os.mkfifo(root / "fog.npy")
    with pytest.raises(FileError, match="not a regular file"):
        read_stored(root)


@pytest.mark.parametrize("write", [write_arrays, write_folders])
def test_links_that_lead_out_are_followed_where_asked(write, tmp_path: Path) -> None:  # noqa: ANN001
    write(tmp_path / "elsewhere", pictures(COUNT), ("fog",))
    root = write(tmp_path / "set", pictures(COUNT), ("brightness",))
    name = "fog.npy" if write is write_arrays else "fog"
    (root / name).symlink_to(tmp_path / "elsewhere" / name)
    with pytest.raises(DataError, match="a link that leads out of the folder.*--follow-links"):
        read_stored(root, "all")
    assert set(read_stored(root, "all", follow_links=True)[1].names) == {"brightness", "fog"}
