"""Names that repeat among many."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backlight.core.errors import DataError
from backlight.core.repeats import may_repeat
from backlight.data.dataset import Dataset


@given(st.lists(st.text(max_size=2), max_size=20))
def test_names_repeat_where_a_set_of_them_is_smaller(names: list[str]) -> None:
    assert may_repeat(names, len(names)) == (len(set(names)) < len(names))


class Same(str):
    """A name with the hash of all others: what happens to one pair of texts among 2^64."""

    def __hash__(self) -> int:
        return 7


def test_names_of_one_hash_are_no_repeats_of_each_other() -> None:
    images = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    assert may_repeat([Same("a"), Same("b")], 2)
    assert len(Dataset.of(images, ids=[Same("a"), Same("b"), Same("c")])) == 3
    with pytest.raises(DataError, match="'b' occurs twice"):
        Dataset.of(images, ids=[Same("a"), Same("b"), Same("b")])
