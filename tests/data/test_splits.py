import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backlight.data import Dataset
from backlight.data.splits import draw_rows, join, make_splits, number_labels
from backlight.errors import DataError, UsageError


def dataset(labels, classes=None, prefix=""):
    count = len(labels)
    names = [f"c{i}" for i in range(classes or max(labels, default=0) + 1)]
    ids = [f"{prefix}{i}" for i in range(count)]
    return Dataset.of(torch.zeros(count, 3, 1, 1, dtype=torch.uint8), labels, names, ids)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(0, 5))
def test_parts_cover_every_picture_once_and_are_stratified(labels, seed):
    data = dataset(labels, 4)
    rows = draw_rows(data, {"test": 0.1, "val": 0.1}, seed)
    assert sorted(torch.cat(list(rows.values())).tolist()) == list(range(len(labels)))
    for label in set(labels):
        count = labels.count(label)
        for part in ("test", "val"):
            share = int((data.labels[rows[part]] == label).sum())
            assert share == (max(1, round(count * 0.1)) if count >= 3 else 0)


def test_the_split_of_an_image_depends_on_its_id_not_on_the_order():
    data = dataset([i % 5 for i in range(100)])
    order = torch.randperm(100, generator=torch.Generator().manual_seed(3))
    for part, rows in draw_rows(data, {"test": 0.1, "val": 0.1}, 0).items():
        shuffled = data.take(order)
        again = draw_rows(shuffled, {"test": 0.1, "val": 0.1}, 0)[part]
        assert {data.ids[row] for row in rows} == {shuffled.ids[row] for row in again}
    assert make_splits({"all": data}, 0).pick("test").ids != make_splits({"all": data}, 1).pick("test").ids


def test_marked_parts_stay_and_train_gives_to_val():
    train, test = dataset([0, 1] * 50, prefix="train/"), dataset([0, 1] * 5, prefix="test/")
    splits = make_splits({"train": train, "test": test})
    assert splits.marked == ("train", "test")
    assert {name: len(part) for name, part in splits.parts.items()} == {"train": 90, "val": 10, "test": 10}
    assert splits.pick("test").ids == test.ids
    assert set(splits.pick("train").ids) | set(splits.pick("val").ids) == set(train.ids)
    assert len(splits.pick("all")) == 110
    with_val = make_splits({"train": train, "val": dataset([0, 1], prefix="val/"), "test": test})
    assert {name: len(part) for name, part in with_val.parts.items()} == {"train": 100, "val": 2, "test": 10}


def test_default_is_test_else_all():
    train = dataset([0, 1] * 50)
    assert make_splits({"all": train}).pick().split == "test"
    assert make_splits({"train": train}).pick().split == "all"
    assert make_splits({"all": dataset([0, 1])}).pick().split == "all"
    unlabeled = Dataset.of(torch.zeros(50, 3, 1, 1, dtype=torch.uint8))
    assert len(make_splits({"all": unlabeled}).pick()) == 50
    with pytest.raises(DataError, match="no val"):
        make_splits({"all": unlabeled}).pick("val")
    with pytest.raises(UsageError):
        make_splits({"train": train}).pick("valid")
    with pytest.raises(DataError):
        make_splits({"train": dataset([])})


def test_labels_are_names_and_a_new_name_is_an_error():
    assert number_labels({"train": ["b", "a"], "val": ["b"]}, "x")[1]["val"].tolist() == [1]
    assert number_labels({"all": ["10", "9"]}, "x")[0] == ("9", "10")
    with pytest.raises(DataError, match=r"pets: test holds classes that train lacks: 'owl'"):
        number_labels({"train": ["cat"], "test": ["cat", "owl"]}, "pets")


def test_parts_with_other_classes_do_not_join():
    with pytest.raises(DataError):
        join([dataset([0]), dataset([0, 1])])


def test_the_parts_share_no_picture_and_are_the_whole_together():
    whole = Dataset.of(torch.zeros(90, 3, 2, 2, dtype=torch.uint8), [row % 3 for row in range(90)], ["a", "b", "c"])
    for found in ({"all": whole}, {"train": whole.take(range(60)), "test": whole.take(range(60, 90))}):
        parts = make_splits(found).parts
        assert set(parts) == {"train", "val", "test"}
        ids = [name for part in parts.values() for name in part.ids]
        assert sorted(ids) == sorted(whole.ids)
        for name, part in parts.items():
            assert part.split == name
            assert part.labels.tolist() == [int(key) % 3 for key in part.ids]
