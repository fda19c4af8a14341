"""What every test shares, the examples in docstrings too."""

from __future__ import annotations

import gc
import os

import pytest
import torch


def pytest_collection_finish() -> None:
    """Keep what was imported to collect the tests out of the garbage that is looked through a thousand times later."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Draw the weights that a test leaves to chance the same way in every run.

    BACKLIGHT_TEST_SEED chooses another way: a test that holds for one seed alone says little.
    """
    torch.manual_seed(int(os.environ.get("BACKLIGHT_TEST_SEED", "0")))
