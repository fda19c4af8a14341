import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backlight.core.errors import DataError, UsageError
from backlight.data import Dataset
from backlight.data.splits import draw_rows, join, make_splits, number_labels
from backlight.data.trained import TrainedOn


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


def test_default_is_the_test_part_that_the_data_has_else_all():
    train = dataset([0, 1] * 50)
    told = make_splits({"all": train}).pick()
    assert (told.split, len(told), told.reason) == ("all", 100, "the data has no parts of its own")
    told = make_splits({"train": train}).pick()
    assert (told.split, len(told), told.reason) == ("all", 100, "the data has no test part")
    told = make_splits({"train": train, "test": dataset([0, 1], prefix="t")}).pick()
    assert (told.split, len(told), told.reason) == ("test", 2, "the data has a test part")
    unlabeled = Dataset.of(torch.zeros(50, 3, 1, 1, dtype=torch.uint8))
    assert len(make_splits({"all": unlabeled}).pick()) == 50
    with pytest.raises(DataError, match="no val"):
        make_splits({"all": unlabeled}).pick("val")
    with pytest.raises(UsageError):
        make_splits({"train": train}).pick("valid")
    with pytest.raises(DataError):
        make_splits({"train": dataset([])})


def test_the_drawn_part_is_for_the_run_that_was_trained_on_the_rest(tmp_path):
    splits = make_splits({"all": dataclasses.replace(dataset([0, 1] * 50), name=str(tmp_path / "photos"))})
    own = TrainedOn(str(tmp_path / "photos"), "", 0)
    told = splits.pick(trained_on=own)
    assert (told.split, len(told)) == ("test", 10)
    assert "the run was trained on the rest" in told.reason
    moved = TrainedOn("elsewhere", splits.whole.fingerprint(), 0)
    assert splits.pick(trained_on=moved).ids == told.ids
    assert splits.pick("test").ids == told.ids
    for other in (TrainedOn("elsewhere", "", 0), TrainedOn("elsewhere", "0" * 32, 0), None):
        assert len(splits.pick(trained_on=other)) == 100


def test_what_a_run_says_of_its_data():
    info = {"data": {"name": "photos"}, "split_seed": 3, "whole": "abc"}
    assert TrainedOn.read(info) == TrainedOn("photos", "abc", 3)
    for broken in ({}, {"data": 3}, {"data": {"name": 7}}):
        assert TrainedOn.read(broken) is None


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


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 60), st.integers(0, 3))
def test_a_sample_keeps_the_shares_of_the_classes(labels, count, seed):
    data = dataset(labels, 4)
    sample = data.sampled(count, seed)
    assert len(sample) == min(count, len(labels))
    present = len(set(labels))
    for label in set(labels):
        share = labels.count(label) * len(sample) / len(labels)
        taken = sample.labels.tolist().count(label)
        assert taken <= labels.count(label)
        assert abs(taken - share) <= present
        assert taken >= 1 or count < present
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    assert set(data.take(order).sampled(count, seed).ids) == set(sample.ids)


def test_a_sample_follows_from_its_seed():
    data = dataset([0, 1] * 50)
    assert data.sampled(20, 1).ids == data.sampled(20, 1).ids != data.sampled(20, 2).ids
    assert data.sampled(None) is data
    with pytest.raises(DataError):
        data.sampled(0)


def test_composed_and_decomposed_accents_are_one_class() -> None:
    names, labels = number_labels({"train": ["caf\u00e9", "dog"], "val": ["cafe\u0301"]}, "pets")
    assert names == ("caf\u00e9", "dog")
    assert labels["val"].tolist() == [0]
