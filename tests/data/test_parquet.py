import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from backlight.core.errors import DataError, FileError
from backlight.data import load_data, load_splits
from tests.data.samples import pixels

X = pixels(6)


def encoded(kind="PNG"):
    found = []
    for image in X:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, kind)
        found.append(stream.getvalue())
    return found


def hub_style(labels, rows=slice(None)):
    images = [{"bytes": data, "path": None} for data in encoded()[rows]]
    features = {"image": {"_type": "Image"}, "label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}
    table = pa.table({"image": images, "label": labels[rows]})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def expect_pixels(data, rows=slice(None)):
    assert torch.equal(data.read(slice(None)), torch.from_numpy(X[rows]).permute(0, 3, 1, 2))


def test_struct_column_with_names_in_the_features(tmp_path):
    pq.write_table(hub_style([0, 1, 0, 1, 0, 1]), tmp_path / "data.parquet")
    data = load_data(tmp_path / "data.parquet", split="all")
    expect_pixels(data)
    assert data.label_names == ("dog", "cat")
    assert data.ids == tuple("012345")


@pytest.mark.parametrize(
    "names", [("train-00000-of-00001.parquet", "test.parquet"), ("train.parquet", "validation-0.parquet")]
)
def test_parts_by_file_name(tmp_path, names):
    pq.write_table(hub_style([0, 1, 0, 1, 0, 1], slice(0, 4)), tmp_path / names[0])
    pq.write_table(hub_style([0, 1, 0, 1, 0, 1], slice(4, 6)), tmp_path / names[1])
    splits = load_splits(tmp_path)
    second = "test" if "test" in names[1] else "val"
    assert splits.marked == ("train", second)
    expect_pixels(splits.pick(second), slice(4, 6))
    assert splits.pick(second).ids == (f"{second}/0", f"{second}/1")


def test_split_and_id_columns_with_bytes_and_names(tmp_path):
    table = pa.table(
        {
            "id": [f"k{row}" for row in range(6)],
            "split": ["train"] * 4 + ["validation", "test"],
            "picture": encoded(),
            "label": ["owl", "cat", "owl", "cat", "cat", "owl"],
        }
    )
    pq.write_table(table, tmp_path / "data.parquet")
    splits = load_splits(tmp_path / "data.parquet")
    assert splits.pick("test").ids == ("k5",)
    assert splits.pick("val").ids == ("k4",)
    assert splits.pick("train").label_names == ("cat", "owl")
    assert splits.pick("test").labels.tolist() == [1]
    expect_pixels(splits.pick("all"))


def test_broken_pictures_are_named(tmp_path):
    data = encoded()
    data[2] = b"junk"
    pq.write_table(pa.table({"image": [*data[:5], None], "label": [0] * 6}), tmp_path / "data.parquet")
    loaded = load_data(tmp_path / "data.parquet", split="all").in_memory()
    assert loaded.ids == ("0", "1", "3", "4")
    assert [failure.path for failure in loaded.failed] == ["2", "5"]


@pytest.mark.parametrize(
    "columns",
    [{"image": [b"x"]}, {"label": [1]}, {"a": [b"x"], "b": [b"x"], "label": [1]}, {"image": [b"x"], "label": [0.5]}]
    + [{"image": [b"x"], "label": [1], "split": ["later"]}, {"image": [b"x"], "label": [-1]}],
)
def test_columns_that_do_not_fit(tmp_path, columns):
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    with pytest.raises(DataError):
        load_data(tmp_path / "data.parquet")


def test_broken_file_and_mixed_names(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"junk")
    with pytest.raises(FileError, match="train.parquet"):
        load_data(tmp_path)
    for name in ("train.parquet", "more.parquet"):
        pq.write_table(hub_style([0, 1] * 3), tmp_path / name)
    with pytest.raises(DataError, match="with and without"):
        load_data(tmp_path)


def test_labels_are_not_silently_rounded(tmp_path):
    pq.write_table(pa.table({"image": encoded(), "label": np.array([0.0, 1, 0, 1, 0, 1])}), tmp_path / "d.parquet")
    with pytest.raises(DataError, match="float64"):
        load_data(tmp_path / "d.parquet")
