import sys

import pytest
import torch
from PIL import Image

from backlight.core.errors import DataError, UsageError
from backlight.data import load_data
from backlight.data.splits import make_splits
from tests.data.samples import pixels

X = pixels(8)


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    pytest.importorskip("datasets")
    # The library reads its settings once, when it is imported.
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return datasets


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"backlight\[hub\]"):
        load_data("hf:nobody/nothing")


@pytest.mark.filterwarnings("ignore")
def test_parts_labels_and_pixels(datasets):
    from backlight.data.hub import from_hub

    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["dog", "cat"])})
    rows = {"img": [Image.fromarray(image) for image in X], "label": [0, 1] * 4}
    whole = datasets.Dataset.from_dict(rows, features=features)
    loaded = datasets.DatasetDict({"train": whole.select(range(5)), "validation": whole.select([5, 6, 7])})
    splits = make_splits(from_hub(loaded, "hf:test"))
    assert splits.marked == ("train", "val")
    data = splits.pick("val")
    assert data.label_names == ("dog", "cat")
    assert data.labels.tolist() == [1, 0, 1]
    assert data.ids == ("val/0", "val/1", "val/2")
    assert torch.equal(data.read(slice(None)), torch.from_numpy(X[5:]).permute(0, 3, 1, 2))
    with pytest.raises(DataError, match="one image"):
        from_hub(datasets.DatasetDict({"train": whole.remove_columns("img")}), "hf:test")
    with pytest.raises(DataError, match="train, validation or test"):
        from_hub(datasets.DatasetDict({"extra": whole}), "hf:test")


@pytest.mark.filterwarnings("ignore")
def test_offline_is_one_clear_error(datasets):
    with pytest.raises(DataError, match=r"hf:nobody/nothing cannot be loaded.*when offline"):
        load_data("hf:nobody/nothing")
