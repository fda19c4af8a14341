"""Finished blocks: read back for the same things only, never half of one, and nothing of a kill stays."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.core.atomic import atomic
from backlight.core.errors import Failure, FileError, UsageError
from backlight.data.dataset import Dataset
from backlight.sweep import Part, Task
from backlight.sweep.parts import FolderParts, forget, holds_parts
from backlight.sweep.task import Block
from backlight.table import Table
from tests.sweep.tasks import pictures


def part() -> Part:
    return Part(Table.of(id=["0", "1"], value=[1.5, 2.5]), {"maps": torch.arange(6.0).view(2, 3)})


def test_a_part_is_read_back_under_its_key_pictures_and_tag_only(tmp_path: Path) -> None:
    data = pictures(3)
    block, folder = Block(0, data.take([0, 1])), FolderParts(tmp_path, "a", "0.1")
    folder.write(block, part())
    assert folder.has(block)
    found = folder.read(block)
    assert found.table.rows() == part().table.rows()
    assert torch.equal(found.tensors["maps"], part().tensors["maps"])
    assert folder.read(block, tensors=False).tensors == {}
    assert not folder.has(Block(0, data.take([0])))
    assert not folder.has(Block(0, data.take([1, 0])))
    assert not folder.has(Block(0, pictures(2, seed=1)))  # the same ids, other pictures
    assert not FolderParts(tmp_path, "a", "0.2").has(block)
    assert not FolderParts(tmp_path, "b", "0.1").has(block)


def test_labels_and_masks_are_part_of_a_block(tmp_path: Path) -> None:
    plain = pictures(2)
    labeled = Dataset(plain.pictures, plain.ids, torch.tensor([0, 1]), ("a", "b"))
    masked = Dataset(plain.pictures, plain.ids, plain.labels, masks={"object": pictures(2, seed=2).pictures})
    assert len({Block(0, one).content for one in (plain, labeled, masked)}) == 3


def test_failures_come_back_with_the_part(tmp_path: Path) -> None:
    block, folder = Block(0, pictures(2)), FolderParts(tmp_path, "a")
    folder.write(block, Part(Table.of(id=[]), failed=(Failure("0", "empty"), Failure("1", "ünlesbar"))))
    found = folder.read(block)
    assert found.failed == (Failure("0", "empty"), Failure("1", "ünlesbar"))
    assert len(found.table) == 0


def test_the_key_is_a_hash_of_weights_and_options() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = nn.Linear(2, 2), nn.Linear(2, 2)

    def key(*depends: object) -> str:
        return Task("", pictures(), lambda data, advance: part(), depends).key

    assert key(first, "pgd") == key(first, "pgd")
    assert key(first, "pgd") != key(second, "pgd")
    assert key(first, "pgd") != key(first, "fgsm")


def test_tensors_without_their_table_are_no_part_and_a_broken_file_is_told(tmp_path: Path) -> None:
    block, folder = Block(0, pictures(2)), FolderParts(tmp_path, "a")
    folder.write(block, part())
    (table,) = tmp_path.glob("*.parquet")
    (tensors,) = tmp_path.glob("*.safetensors")
    kept = table.read_bytes()
    table.unlink()
    assert not folder.has(block)
    table.write_bytes(kept)
    tensors.write_bytes(b"nonsense")
    with pytest.raises(FileError, match="no finished block"):
        folder.read(block)
    tensors.unlink()
    with pytest.raises(FileError, match="no finished block"):
        folder.read(block)


def test_what_a_killed_writer_left_goes_with_the_next_one(tmp_path: Path) -> None:
    block, folder = Block(0, pictures(2)), FolderParts(tmp_path, "a")
    for path in (folder.path(block), folder.path(block).with_suffix(".safetensors")):
        with atomic(path) as temporary:
            pass
        path.unlink()
        temporary.write_text("half of it")
    with folder.claim(block) as mine:
        assert mine
        folder.write(block, part())
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".parquet", ".safetensors"]
    assert not any(one.name.startswith(".") for one in tmp_path.iterdir())


def test_a_claim_that_was_left_at_a_finished_block_goes(tmp_path: Path) -> None:
    block, folder = Block(0, pictures(2)), FolderParts(tmp_path, "a")
    folder.write(block, part())
    folder.settle("plan", lambda: {"size": 2})
    claims = [path.with_suffix(".claim") for path in tmp_path.iterdir() if path.suffix in (".parquet", ".json")]
    for path in claims:
        path.write_text(json.dumps({"host": socket.gethostname(), "process": 2**30, "began": "", "since": 0.0}))
    folder.settle("plan", lambda: {"size": 2})
    assert folder.has(block)
    assert not any(path.exists() for path in claims)
    with folder.claim(block):
        assert folder.has(block)
        assert folder.path(block).with_suffix(".claim").exists()


def test_forgetting_deletes_parts_and_nothing_else(tmp_path: Path) -> None:
    block, folder = Block(0, pictures(2)), FolderParts(tmp_path, "a")
    folder.write(block, part())
    folder.settle("plan", lambda: {"size": 2})
    (tmp_path / "pass-features.npy").write_bytes(b"mapped")
    (tmp_path / "notes.txt").write_text("mine")
    forget(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["notes.txt"]


def test_nobody_forgets_what_another_is_working_on(tmp_path: Path) -> None:
    block, folder = Block(0, pictures(2)), FolderParts(tmp_path, "a")
    folder.write(block, part())
    with folder.claim(block), pytest.raises(UsageError, match=f"process {os.getpid()} on .* is at work in"):
        forget(tmp_path)
    assert folder.has(block)
    forget(tmp_path)
    assert not holds_parts(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match="cannot be written"):
        FolderParts(tmp_path / "blocks", "a").write(Block(0, pictures(2)), part())
