import os

import numpy as np
import pytest
import torch

from backlight.core.errors import FileError
from backlight.data import load_data, load_splits
from backlight.images import write_png
from tests.data.samples import write_folder


@pytest.mark.parametrize("kind", ["txt", "tsv", "csv"])
@pytest.mark.parametrize("base", [".", "pictures", "list"])
def test_list_files(tmp_path, kind, base):
    write_folder(tmp_path / base, {"x y": 3})
    separator = {"txt": " ", "tsv": "\t", "csv": ","}[kind]
    lines = [f"x y/{number}.png{separator}{label}" for number, label in enumerate(["dog", "cat", "dog"])]
    (tmp_path / f"list.{kind}").write_text("# path label\n\n" + "\n".join(lines) + "\n")
    data = load_data(tmp_path / f"list.{kind}", split="all")
    assert data.ids == ("x y/0.png", "x y/1.png", "x y/2.png")
    assert data.labels.tolist() == [1, 0, 1]
    assert torch.equal(data.read([0]), load_data(tmp_path / base / "x y", split="all").read([0]))


@pytest.mark.parametrize("header", ["path,label", "Filename,Label", "# by me\n\npath,label"])
def test_a_list_may_begin_with_the_names_of_its_columns(tmp_path, header):
    write_folder(tmp_path / "pictures", {".": 2})
    (tmp_path / "list.csv").write_text(f"{header}\n0.png,a\n1.png,b\n")
    assert load_data(tmp_path / "list.csv", split="all").ids == ("0.png", "1.png")
    (tmp_path / "list.txt").write_text("path label\n0.png a\n1.png b\n")
    data = load_data(tmp_path / "list.txt", split="all")
    assert (data.ids, data.label_names) == (("0.png", "1.png"), ("a", "b"))


def test_a_picture_that_is_called_as_a_column_is_a_picture(tmp_path):
    write_folder(tmp_path / "pictures", {".": 2})
    (tmp_path / "pictures" / "0.png").rename(tmp_path / "pictures" / "path")
    (tmp_path / "list.txt").write_text("path label\n1.png b\n")
    assert load_data(tmp_path / "list.txt", split="all").ids == ("path", "1.png")
    (tmp_path / "list.txt").write_text("path label\n")
    (tmp_path / "pictures" / "path").unlink()
    with pytest.raises(FileError, match="no entries"):
        load_data(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [("0.png", "line 1"), ("0.png a\n1.png", "line 2"), ("8.png a\n9.png b", "all 2 listed files are missing: 8.png")]
    + [("", "no entries"), ("path\n0.png", "columns"), (b"\xff\xfe\x00\x01", "not a text file")]
    + [("path,label,split\n0.png,a,later", "line 2: the part 'later'"), ("path,light,noise\n0.png,a,b", "of labels")]
    + [("path,label\n0.png,", "line 2"), ("a\x00.png a", "missing"), ("a" * 300 + " b", "missing")],
)
def test_broken_list_files(tmp_path, text, message):
    write_folder(tmp_path, {"list": 2})
    write_folder(tmp_path.parent, {".": 1})
    (tmp_path / "list.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileError, match=message):
        load_data(tmp_path / "list.txt")


NAMES = ("path", "file", "filename", "image", "image_id", "id", "Image ID", "file-name")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("label", ["label", "class", "Target", "category", "breed"])
def test_columns_are_found_by_name(tmp_path, separator, name, label):
    write_folder(tmp_path / "pictures", {".": 3})
    rows = [(label, name), ("cat", "0.png"), ("dog", "1.png"), ("a, b", "2.png")]
    text = "\n".join(separator.join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows)
    (tmp_path / "list.csv").write_text(text)
    data = load_data(tmp_path / "list.csv")
    assert data.ids == ("0.png", "1.png", "2.png")
    assert [data.label_names[number] for number in data.labels.tolist()] == ["cat", "dog", "a, b"]


def test_further_columns_and_a_byte_order_mark(tmp_path):
    write_folder(tmp_path, {"x": 2})
    (tmp_path / "list.csv").write_text("camera,image,label,site\nA,x/0.png,cat,\nB,x/1.png,dog,7\n", "utf-8-sig")
    assert load_data(tmp_path / "list.csv").counts == {"cat": 1, "dog": 1}


@pytest.mark.parametrize("suffix", ["png", "JPG", "jpeg", "webp"])
def test_suffixes_are_tried(tmp_path, suffix):
    write_folder(tmp_path, {"x": 2})
    for number in range(2):
        (tmp_path / "x" / f"{number}.png").rename(tmp_path / "x" / f"{number}.{suffix}")
    (tmp_path / "list.csv").write_text("id,label\n0,cat\n1,dog\n")
    data = load_data(tmp_path / "list.csv", split="all")
    assert (data.ids, len(data.checked())) == (("0", "1"), 2)


def test_missing_files_are_named_and_the_others_read(tmp_path):
    write_folder(tmp_path, {"x": 3})
    (tmp_path / "list.csv").write_text("x/0.png,cat\nx/gone.png,cat\nx/2.png,dog\n")
    data = load_data(tmp_path / "list.csv", split="all")
    assert (data.ids, data.failed) == (("x/0.png", "x/2.png"), (("x/gone.png", "the file is missing"),))
    assert load_data(tmp_path / "list.csv").checked().failed == data.failed


def test_paths_that_the_user_names_may_lead_anywhere(tmp_path):
    write_folder(tmp_path, {"lists": 1, "store": 2})
    away = tmp_path / "store" / "1.png"
    (tmp_path / "lists" / "list.csv").write_text(f"0.png,a\n../store/0.png,b\n{away},a\n")
    data = load_data(tmp_path / "lists" / "list.csv", split="all")
    assert data.ids == ("0.png", "../store/0.png", str(away))
    assert torch.equal(data.read([2]), load_data(away).read([0]))


def test_the_folder_that_holds_most_of_the_pictures(tmp_path):
    write_folder(tmp_path, {"other": 1, "images": 4, "zoo": 2})
    (tmp_path / "labels.csv").write_text("".join(f"{number}.png,c{number % 2}\n" for number in range(4)))
    data = load_data(tmp_path / "labels.csv", split="all")
    assert torch.equal(data.read([0, 3]), load_data(tmp_path / "images").read([0, 3]))


@pytest.mark.parametrize("header", ["image,label,split\n", ""])
def test_a_column_of_parts(tmp_path, header):
    write_folder(tmp_path, {"x": 6})
    parts = ["Train", "train", "validation", "TEST", "test", "training"]
    rows = [f"x/{number}.png,{'ab'[number % 2]},{part}\n" for number, part in enumerate(parts)]
    (tmp_path / "list.csv").write_text(header + "".join(rows))
    splits = load_splits(tmp_path / "list.csv")
    assert {name: part.ids for name, part in splits.parts.items()} == {
        "train": ("x/0.png", "x/1.png", "x/5.png"),
        "val": ("x/2.png",),
        "test": ("x/3.png", "x/4.png"),
    }


SEVERAL = {
    "semicolons": "path,label\nx/0.png,cat;dog\nx/1.png,dog\nx/2.png,owl; cat\n",
    "bars": "path,tags\nx/0.png,cat|dog\nx/1.png,dog\nx/2.png,owl|cat\n",
    "quoted": 'path,labels\nx/0.png,"cat, dog"\nx/1.png,dog\nx/2.png,"owl,cat"\n',
    "columns": "path,label_1,label_2\nx/0.png,cat,dog\nx/1.png,dog,\nx/2.png,cat,owl\n",
    "equal columns": "path,label,label\nx/0.png,cat,dog\nx/1.png,,dog\nx/2.png,cat,owl\n",
    "rows": "x/0.png,cat\nx/1.png,dog\nx/0.png,dog\nx/2.png,owl\nx/2.png,cat\n",
    "marks": "path,cat,dog,owl\nx/0.png,1,1,0\nx/1.png,0,1,0\nx/2.png,1,0,1\n",
}


@pytest.mark.parametrize("form", SEVERAL)
def test_pictures_with_several_labels(tmp_path, form):
    write_folder(tmp_path, {"x": 3})
    (tmp_path / "list.csv").write_text(SEVERAL[form])
    data = load_data(tmp_path / "list.csv")
    assert (data.ids, data.label_names, data.labeled) == (
        ("x/0.png", "x/1.png", "x/2.png"),
        ("cat", "dog", "owl"),
        False,
    )
    assert data.targets is not None
    assert data.targets.int().tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert data.counts == {"cat": 2, "dog": 2, "owl": 1}
    assert data.take([2, 0]).targets.int().tolist() == [[1, 0, 1], [1, 1, 0]]
    assert data.relabeled(["owl", "elk", "dog", "cat"]).targets.int().tolist() == [
        [0, 0, 1, 1],
        [0, 0, 1, 0],
        [1, 0, 0, 1],
    ]


def test_marks_of_one_class_each_are_plain_labels(tmp_path):
    write_folder(tmp_path, {"x": 3})
    (tmp_path / "list.csv").write_text("image,MEL,NV\nx/0,1.0,0.0\nx/1,0.0,1.0\nx/2,0.0,1.0\n")
    data = load_data(tmp_path / "list.csv")
    assert (data.targets, data.labels.tolist(), data.label_names) == (None, [0, 1, 1], ("MEL", "NV"))


def test_rows_that_repeat_are_one_picture(tmp_path):
    write_folder(tmp_path, {"x": 2})
    (tmp_path / "list.csv").write_text("x/0.png,cat\nx/1.png,dog\nx/0.png,cat\n")
    data = load_data(tmp_path / "list.csv")
    assert (len(data), data.labeled, data.notes) == (2, True, ("1 row of list.csv name a picture again",))


def test_labels_of_several_parts_have_one_numbering(tmp_path):
    write_folder(tmp_path, {"x": 4})
    rows = "x/0,cat;dog,train\nx/1,dog,train\nx/2,owl,test\nx/3,cat;owl,test\n"
    (tmp_path / "list.csv").write_text("id,label,split\n" + rows)
    data = load_data(tmp_path / "list.csv")
    assert (data.split, data.label_names) == ("test", ("cat", "dog", "owl"))
    assert np.array_equal(data.targets.int().numpy(), [[0, 0, 1], [1, 0, 1]])


@pytest.mark.parametrize("written", ["photos\\0.png", "photos/0.PNG", ".\\photos\\0.PNG", "photos\\0"])
def test_paths_as_windows_writes_them(tmp_path, written):
    write_folder(tmp_path, {"photos": 2})
    (tmp_path / "list.csv").write_text(f"path,label\n{written},a\nphotos/1.png,b\n")
    data = load_data(tmp_path / "list.csv", split="all")
    assert data.ids[0] == written
    assert (len(data), data.failed) == (2, ())
    assert torch.equal(data.read([0]), load_data(tmp_path / "photos", split="all").read([0]))


def test_a_list_names_files_that_are_no_text_and_of_several_lines(tmp_path):
    names = [b"caf\xe9.png", b"two\nlines.png"]
    for name in names:
        write_png(tmp_path / os.fsdecode(name), torch.zeros(3, 4, 4))
    (tmp_path / "list.csv").write_bytes(b'path,label\ncaf\xe9.png,\xe9\n"two\nlines.png",b\n')
    found = load_data(str(tmp_path / "list.csv"), split="all")
    assert found.ids == ("caf\\xe9.png", "two\nlines.png")
    assert found.label_names == ("\\xe9", "b")
    assert found.failed == ()
