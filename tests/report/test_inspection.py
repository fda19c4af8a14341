"""The page of a data set, written twice, over a folder with mess in it."""

import re

import numpy as np
from PIL import Image

from backlight.data import load_splits
from backlight.data.inspect import inspect_data
from backlight.report.inspection import inspection_sections
from backlight.tasks import InspectDataRequest
from backlight.tasks import inspect_data as task
from tests.data.samples import write_folder


def folder(root):
    write_folder(root, {"train/<b>cat": 12, "train/dog": 3, "test/dog": 2, "test/<b>cat": 1}, size=16)
    (root / "train" / "dog" / "0.png").write_bytes(b"junk")
    (root / "train" / "dog" / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (root / "test" / "dog" / "leak.png").write_bytes((root / "train" / "<b>cat" / "3.png").read_bytes())
    (root / "__MACOSX").mkdir()
    return root


def sections_of(root):
    splits = load_splits(root)
    return {one.anchor: str(one.html) for one in inspection_sections(inspect_data(splits), splits)}


def test_the_page_holds_counts_broken_files_duplicates_and_a_sheet_per_class(tmp_path):
    sections = sections_of(folder(tmp_path / "data"))
    assert list(sections) == ["counts", "broken", "duplicates", "classes"]
    rows = re.findall(
        r"<tr><th scope=\"row\">(.*?)</th><td class=\"value\">(.*?)</td><td class=\"value\">(.*?)</td>",
        sections["counts"],
    )
    assert rows == [("&lt;b&gt;cat", "12", "1"), ("dog", "2", "3")]
    assert "18 readable pictures: train 14, test 4" in sections["counts"]
    assert "train/dog/0.png" in sections["broken"]
    assert "pillow-heif" in sections["broken"]
    assert "2 equal, with different labels: at most one can be right, in several parts" in sections["duplicates"]
    for words in ("&lt;b&gt;cat, train", "dog, test"):
        assert words in sections["duplicates"]
    assert sections["duplicates"].count("<figure") == 2
    assert sections["classes"].count("<h3>") == 2
    assert sections["classes"].count("<figure") == 7 + 5
    assert all("<b>" not in html for html in sections.values())


def test_pictures_without_labels_have_a_sheet_too(tmp_path):
    write_folder(tmp_path, {".": 3})
    assert "without a label" in sections_of(tmp_path)["classes"]


def test_many_pictures_stay_a_page_that_can_be_sent(tmp_path):
    for number in range(70):
        (tmp_path / f"c{number:02}").mkdir()
        for place in range(3):
            pixels = np.random.default_rng([number, place]).integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"c{number:02}" / f"{place}.png")
    sections = sections_of(tmp_path)
    assert sections["classes"].count("<h3>") == 60
    assert "And 10 more classes" in sections["classes"]
    assert sum(map(len, sections.values())) < 6_000_000


def test_looking_twice_tells_the_numbers_twice(tmp_path):
    data = folder(tmp_path / "data")
    first = task(InspectDataRequest(str(data), tmp_path / "out"))
    page = (tmp_path / "out" / "inspection.html").read_bytes()
    again = task(InspectDataRequest(str(data), tmp_path / "out"))
    assert again.document == first.document
    assert again.files == ()
    assert sum("exists already and stays as it is" in line for line in again.warnings) == 2
    assert (tmp_path / "out" / "inspection.html").read_bytes() == page
    assert len(task(InspectDataRequest(str(data), tmp_path / "out", force=True)).files) == 2


def test_what_it_writes_into_the_folder_of_the_data_is_no_data(tmp_path):
    write_folder(tmp_path, {"cat": 2, "dog": 2})
    for _ in range(2):
        outcome = task(InspectDataRequest(str(tmp_path), tmp_path / "backlight-out"))
        assert outcome.document["counts"] == {"all": {"cat": 2, "dog": 2}}


def test_nothing_readable_is_told_as_well(tmp_path):
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "cat" / "0.png").write_bytes(b"junk")
    outcome = task(InspectDataRequest(str(tmp_path / "data"), tmp_path / "out"))
    assert (outcome.document["n"], outcome.status) == (0, 1)
    assert [path.name for path in outcome.files] == ["inspection.html"]
