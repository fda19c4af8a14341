import json
from pathlib import Path

import pytest

from backlight.core.errors import FileError
from backlight.models.labels import imagenet_labels, read_labels


def test_imagenet_labels_are_a_thousand_different_words(real_data: Path) -> None:
    labels = imagenet_labels()
    assert len(labels) == len(set(labels)) == 1000
    for path in (real_data / "imagenet_sample").glob("*.jpg"):
        index, _, name = path.stem.split("_", 2)
        assert labels[int(index)].replace(" ", "_").startswith(name)  # "crane bird", "maillot tank suit"


@pytest.mark.parametrize("classes", [11221, 11821, 21841, 21842, 21843])
def test_larger_imagenets_have_a_label_for_each_class(classes: int) -> None:
    labels = imagenet_labels(classes)
    assert len(set(labels)) == classes
    assert all(labels)


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndog\nowl\n\n",
        "cat\r\n dog \r\nowl",
        "\ufeffcat\ndog\nowl",
        '["cat", "dog", "owl"]',
        '{"2": "owl", "0": "cat", "1": "dog"}',
        '{"owl": 2, "cat": 0, "dog": 1}',
        '{"model_type": "vit", "id2label": {"0": "cat", "2": "owl", "1": "dog"}, "depth": 3}',
        '{"0": ["n02121808", "cat"], "1": ["n02084071", "dog"], "2": ["n01621127", "owl"]}',
    ],
)
def test_every_form_gives_the_same_labels(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels"
    path.write_text(text, "utf-8", newline="")
    assert read_labels(path) == ("cat", "dog", "owl")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "holds no labels"),
        (b"cat\n\nowl", "label 1 is empty"),
        (b"\xff\xfe\x00", "is not a text file"),
        (b"[1, 2]", "no text"),
        (b"[" * 100_000, "too deeply nested"),
        (b'{"0": "cat", "2": "owl"}', "no label for class 1"),
        (b'{"0": "cat", "x": "owl"}', "no label for class 1"),
        (json.dumps({"cat": 0, "dog": 0}).encode(), "no label for class 1"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(content)
    with pytest.raises(FileError, match=found):
        read_labels(path)


def test_size_is_bounded_and_a_missing_file_is_named(tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(FileError, match="larger than 16 MiB"):
        read_labels(tmp_path / "huge.txt")
    with pytest.raises(FileError, match="does not exist"):
        read_labels(tmp_path / "missing.txt")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("0 cat\n1 big dog\n2 owl\n", ("cat", "big dog", "owl")),
        ("0: cat\n1: dog", ("cat", "dog")),
        ("1,dog\n0,cat\n", ("cat", "dog")),
        ("0\tcat\n1\tdog", ("cat", "dog")),
        ("1 cat\n2 dog\n", ("1 cat", "2 dog")),
        ("0 cat\ndog\n", ("0 cat", "dog")),
        ("0\n1\n2\n", ("0", "1", "2")),
        ("10 euros\n20 euros\n", ("10 euros", "20 euros")),
        ('{"classes": ["cat", "dog"], "version": 2}', ("cat", "dog")),
        ('{"names": {"0": "cat", "1": "dog"}, "nc": 2}', ("cat", "dog")),
        ('{"class_to_idx": {"dog": 1, "cat": 0}}', ("cat", "dog")),
        ('{"label2id": {"dog": 1, "cat": 0}, "id2label": {"0": "Cat", "1": "Dog"}}', ("Cat", "Dog")),
        ('{"classes": 0, "labels": 1}', ("classes", "labels")),
    ],
)
def test_lists_as_trainers_leave_them(tmp_path: Path, text: str, labels: tuple[str, ...]) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text, encoding="utf-8")
    assert read_labels(path) == labels


def test_yaml_is_refused_and_not_taken_for_lines(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("names:\n  0: cat\n  1: dog\n")
    with pytest.raises(FileError, match="is YAML.*one per line, or JSON"):
        read_labels(path)
