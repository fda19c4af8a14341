"""Sources of data from elsewhere: by name with options or an argument, by what a path looks like, and wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from backlight.core.errors import DataError, FileError, UsageError
from backlight.core.plugins import Registry
from backlight.data import Dataset, load_data, load_splits, sources
from backlight.data.sources import DATA_SOURCES, DataSource


def stripes(*, n: int = 8, wide: bool = False) -> Dataset:
    """Draw upright and lying stripes in turn."""
    row = torch.arange(8) // (2 if wide else 1) % 2 * 255
    kinds = torch.stack([row.expand(8, 8), row.expand(8, 8).T]).to(torch.uint8)
    labels = torch.arange(n) % 2
    return Dataset.of(kinds[labels][:, None].expand(-1, 3, -1, -1), labels, ["upright", "lying"])


def numbered(path: str, *, follow_links: bool) -> dict[str, Dataset]:
    count, whole = int(path), stripes(n=int(path) + 4)
    return {"train": whole.take(slice(0, count)), "test": whole.take(slice(count, count + (4 if follow_links else 2)))}


def looked_at(path: Path) -> Dataset:
    return stripes(n=len(path.read_text()))


@pytest.fixture(autouse=True)
def more(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = (
        *DATA_SOURCES.built_in.values(),
        DataSource("stripes", stripes),
        DataSource("numbered", numbered),
        DataSource("lengths", looked_at, recognize=lambda path: path.suffix == ".length"),
        DataSource("nothing", lambda text: text),
        DataSource("odd-parts", lambda text: {"upper": stripes()}),
    )
    monkeypatch.setattr(sources, "DATA_SOURCES", Registry("data_sources", "source of data", cards, DataSource))


def test_options_arguments_and_links_reach_the_source() -> None:
    assert len(load_data("stripes", split="all")) == 8
    assert load_data("stripes:n=20,wide=yes", split="all").name == "stripes:n=20,wide=yes"
    assert torch.equal(
        load_data("stripes:wide=yes", split="all")[[0]].images[0, 0, 0, :4], torch.tensor([0, 0, 1, 1.0])
    )
    parts = load_splits("numbered:6", follow_links=True)
    assert len(parts.pick("test")) == 4
    assert load_data("stripes:n=10@train=0:6,test=6:", split="test").ids == ("6", "7", "8", "9")


def test_a_source_may_recognize_a_path(tmp_path: Path) -> None:
    (tmp_path / "some.length").write_text("12345")
    assert len(load_data(tmp_path / "some.length", split="all")) == 5


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("stripes:m=3", UsageError, "stripes has no option 'm'; expected n, wide"),
        ("stripes:n=few", UsageError, "stripes:n=few; expected a whole number, such as 8"),
        ("nothing:x", DataError, "the source nothing made str"),
        ("odd-parts:x", DataError, r"made parts \['upper'\]"),
        ("strips:n=3", FileError, "no such file or folder"),
    ],
)
def test_what_does_not_fit_is_told(spec: str, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        load_data(spec)
