import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from backlight.errors import FileError, ModelError
from backlight.models.weights import Checkpoint, head_classes, load_state, read_checkpoint


def net(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, classes))


def same(left: nn.Module, right: nn.Module) -> bool:
    pairs = zip(left.state_dict().items(), right.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
def test_reads_what_was_saved(tmp_path: Path, suffix: str) -> None:
    given, path = net(), tmp_path / f"net{suffix}"
    save_file(given.state_dict(), path) if suffix == ".safetensors" else torch.save(given.state_dict(), path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.peeled == ()
    assert same(load_state(net(), checkpoint), given)


@pytest.mark.parametrize(
    ("wrap", "peeled"),
    [
        (lambda state: {"state_dict": state, "epoch": 3}, ("state_dict",)),
        (lambda state: {"model": state, "optimizer": {}}, ("model",)),
        (lambda state: {"model": {"state_dict": state}}, ("model", "state_dict")),
        (lambda state: {f"module.{name}": one for name, one in state.items()}, ("module.",)),
        (lambda state: {f"_orig_mod.{name}": one for name, one in state.items()}, ("_orig_mod.",)),
        (lambda state: {f"module._orig_mod.{name}": one for name, one in state.items()}, ("_orig_mod.", "module.")),
        (
            lambda state: {"state_dict": {f"model.{name}": one for name, one in state.items()}},
            ("state_dict", "model."),
        ),
    ],
)
def test_peels_wrappers_and_names_them(tmp_path: Path, wrap, peeled: tuple[str, ...]) -> None:
    given, path = net(), tmp_path / "net.pth"
    torch.save(wrap(given.state_dict()), path)
    built = net()
    checkpoint = read_checkpoint(path).without_prefixes(built)
    assert checkpoint.peeled == peeled
    assert same(load_state(built, checkpoint), given)


def test_a_module_whose_own_names_start_with_a_prefix_is_not_peeled(tmp_path: Path) -> None:
    outer = nn.ModuleDict({"model": net()})
    path = tmp_path / "net.pth"
    torch.save(outer.state_dict(), path)
    checkpoint = read_checkpoint(path).without_prefixes(outer)
    assert checkpoint.peeled == ()
    assert "model.0.weight" in checkpoint.tensors


def test_lists_missing_unexpected_and_differing_names() -> None:
    tensors = net().state_dict()
    tensors["extra"] = tensors.pop("0.bias")
    tensors["3.bias"] = torch.zeros(7)
    with pytest.raises(ModelError, match=r"missing 1: 0.bias; unexpected 1: extra; .*3.bias \[7\] for \[3\]"):
        load_state(net(), Checkpoint(Path("net.pth"), tensors))


def test_a_long_list_of_names_is_cut() -> None:
    with pytest.raises(ModelError, match=r"unexpected 50: .*, and 44 more"):
        load_state(net(), Checkpoint(Path("net.pth"), {str(i) + "x": torch.zeros(1) for i in range(50)}))


def test_a_failed_fit_leaves_the_module_as_it_was() -> None:
    built = net()
    before = {name: one.clone() for name, one in built.state_dict().items()}
    with pytest.raises(ModelError):
        load_state(built, Checkpoint(Path("net.pth"), {**net().state_dict(), "extra": torch.zeros(1)}))
    assert all(torch.equal(one, before[name]) for name, one in built.state_dict().items())


def test_counters_of_batches_may_be_missing() -> None:
    given = net()
    tensors = {name: one for name, one in given.state_dict().items() if "num_batches" not in name}
    assert same(load_state(net(), Checkpoint(Path("net.pth"), tensors)), given)


def test_class_count_is_read_from_the_head_and_from_nothing_else() -> None:
    own = net(3)
    assert head_classes(own, Checkpoint(Path("a"), net(9).state_dict()), 3) == 9
    assert head_classes(own, Checkpoint(Path("a"), net(3).state_dict()), 3) is None
    wider = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(20, 9))
    assert head_classes(own, Checkpoint(Path("a"), wider.state_dict()), 3) is None


def test_a_new_head_keeps_the_modules_own_values_there() -> None:
    given, built = net(9), net(3)
    head = built[3].weight.detach().clone()
    load_state(built, Checkpoint(Path("a"), given.state_dict()), new_head=3)
    assert torch.equal(built[3].weight, head)
    assert torch.equal(built[0].weight, given[0].weight)
    with pytest.raises(ModelError, match="of another shape"):
        load_state(net(3), Checkpoint(Path("a"), given.state_dict()))


class Hostile:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_code_in_a_checkpoint_is_never_run(tmp_path: Path, legacy: bool, inside: bool) -> None:
    mark, path = tmp_path / "ran", tmp_path / "evil.pth"
    thing = Hostile(f"touch {mark}")
    torch.save({"state_dict": thing} if inside else thing, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(FileError, match=r"evil\.pth: holds Python objects \(posix\.system\).*state_dict\(\)"):
        read_checkpoint(path)
    assert not mark.exists()
    with path.open("wb") as file:  # and a bare pickle, without torch's frame
        pickle.dump(thing, file)
    with pytest.raises(FileError):
        read_checkpoint(path)
    assert not mark.exists()


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(net(), tmp_path / "net.pt")
    with pytest.raises(FileError, match="torch.nn.modules.container.Sequential"):
        read_checkpoint(tmp_path / "net.pt")


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    torch.save({"x": torch.zeros(1_000_000)}, path)
    with zipfile.ZipFile(path) as stored, zipfile.ZipFile(tmp_path / "small.pth", "w", zipfile.ZIP_DEFLATED) as small:
        for entry in stored.namelist():
            small.writestr(entry, stored.read(entry))
    with pytest.raises(FileError, match="unpacks to 4"):
        read_checkpoint(tmp_path / "small.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken", b"\xff" * 64])
def test_broken_files_are_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(FileError, match="broken"):
        read_checkpoint(path)


def test_truncated_files_are_named(tmp_path: Path) -> None:
    for suffix in (".pth", ".safetensors"):
        path = tmp_path / f"cut{suffix}"
        save_file(net().state_dict(), path) if suffix == ".safetensors" else torch.save(net().state_dict(), path)
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(FileError, match="cut"):
            read_checkpoint(path)


def test_what_is_no_state_dict_is_said(tmp_path: Path) -> None:
    for thing, found in (([1, 2], "holds a list"), ({"epoch": 3}, "epoch that is no tensor"), ({}, "holds nothing")):
        torch.save(thing, tmp_path / "net.pth")
        with pytest.raises(FileError, match=found):
            read_checkpoint(tmp_path / "net.pth")
    with pytest.raises(FileError, match="does not exist"):
        read_checkpoint(tmp_path / "missing.pth")
    with pytest.raises(FileError, match="no known kind"):
        read_checkpoint(tmp_path / "net.onnx")
