"""Groups of processes find each other in a store that earlier groups have left keys in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from torch.distributed import HashStore, Store

from backlight.core.errors import BacklightError
from backlight.core.meeting import meet

WORLD = 3


def gather(store: Store, ranks: range = range(WORLD)) -> list[Store]:
    with ThreadPoolExecutor(WORLD) as pool:
        return list(pool.map(lambda rank: meet(store, rank, WORLD, patience=60), ranks))


def test_a_group_shares_a_part_of_the_store_that_is_new_to_it() -> None:
    store, addresses = HashStore(), set()
    for attempt in range(3):
        own = gather(store)
        assert not own[1].check(["address"])
        own[0].set("address", f"of attempt {attempt}")
        addresses.add(own[2].get("address"))
    assert len(addresses) == 3


def test_words_of_dead_processes_mislead_nobody() -> None:
    store = HashStore()
    for rank in (1, 2):  # of a group whose main process died before it answered
        with pytest.raises(BacklightError, match=f"process {rank} of 3 has waited for the others in vain"):
            meet(store, rank, WORLD, patience=0)
    with pytest.raises(BacklightError, match="process 0 of 3"):  # of one that answered to the dead
        meet(store, 0, WORLD, patience=0)
    own = gather(store)
    own[0].set("address", "here")
    assert [one.get("address") for one in own] == [b"here"] * WORLD
