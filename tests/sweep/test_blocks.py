"""Finished blocks: read back for the same things only, and never half of one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.errors import FileError
from backlight.sweep.blocks import BlockFolder
from backlight.table import Table


def test_a_block_is_read_back_under_its_key_ids_and_tag_only(tmp_path: Path) -> None:
    folder, table = BlockFolder(tmp_path, "a"), Table.of(id=["x", "y"], value=[1.5, 2.5])
    folder.write(["x", "y"], table, {"maps": torch.arange(6.0).view(2, 3)}, "0.1")
    found = folder.read(["x", "y"], "0.1")
    assert found is not None
    assert found.table.rows() == table.rows()
    assert torch.equal(found.tensors["maps"], torch.arange(6.0).view(2, 3))
    assert folder.tags(["x", "y"]) == ["0.1"]
    assert folder.read(["x"], "0.1") is None
    assert folder.read(["y", "x"], "0.1") is None
    assert folder.read(["x", "y"], "0.2") is None
    assert BlockFolder(tmp_path, "b").read(["x", "y"], "0.1") is None


def test_the_key_is_a_hash_of_weights_and_options(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    key = BlockFolder.of(tmp_path, first, "pgd").key
    assert key == BlockFolder.of(tmp_path, first, "pgd").key
    assert key != BlockFolder.of(tmp_path, second, "pgd").key
    assert key != BlockFolder.of(tmp_path, first, "fgsm").key


def test_tensors_without_their_table_are_no_block_and_a_broken_file_is_told(tmp_path: Path) -> None:
    folder = BlockFolder(tmp_path, "a")
    folder.write(["x"], Table.of(id=["x"]), {"one": torch.ones(1)})
    (table,) = tmp_path.glob("*.parquet")
    (tensors,) = tmp_path.glob("*.safetensors")
    kept = table.read_bytes()
    table.unlink()
    assert folder.read(["x"]) is None
    table.write_bytes(kept)
    tensors.write_bytes(b"nonsense")
    with pytest.raises(FileError, match="no block"):
        folder.read(["x"])
