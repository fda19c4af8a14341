import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from backlight.core.errors import FileError, ModelError, UsageError
from backlight.models.checkpoint import Checkpoint, read_checkpoint
from backlight.models.loader import load
from backlight.models.weights import fitted, head_classes, load_state


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
    checkpoint = fitted(read_checkpoint(path), built)
    assert checkpoint.peeled == peeled
    assert same(load_state(built, checkpoint), given)


def test_a_module_whose_own_names_start_with_a_prefix_is_not_peeled(tmp_path: Path) -> None:
    outer = nn.ModuleDict({"model": net()})
    path = tmp_path / "net.pth"
    torch.save(outer.state_dict(), path)
    checkpoint = fitted(read_checkpoint(path), outer)
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
    (tmp_path / "net.onnx").write_bytes(b"no weights")
    with pytest.raises(FileError, match="not a readable"):
        read_checkpoint(tmp_path / "net.onnx")
    with pytest.raises(FileError, match="is a folder"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "name", ["epoch=4-step=100.ckpt", "best.pth.tar", "net.weights", "net", "a:b.pth", "pytorch_model.bin"]
)
@pytest.mark.parametrize("safe", [False, True])
def test_the_suffix_says_nothing(tmp_path: Path, name: str, safe: bool) -> None:
    given, path = net(), tmp_path / name
    save_file(given.state_dict(), path) if safe else torch.save({"epoch": 1, "state_dict": given.state_dict()}, path)
    assert same(load_state(net(), read_checkpoint(path)), given)


def under(prefix: str, module: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": one for name, one in module.state_dict().items()}


@pytest.mark.parametrize("prefix", ["net.", "backbone.", "module.model.", "a.b.c.", "model._orig_mod.", "ema_model."])
@pytest.mark.parametrize("extra", [{}, {"criterion.weight": torch.ones(3)}, {"step": torch.zeros(())}])
def test_any_prefix_is_found_and_what_lies_outside_is_listed(tmp_path: Path, prefix: str, extra: dict) -> None:
    given = net()
    torch.save({"state_dict": under(prefix, given) | extra}, tmp_path / "net.ckpt")
    checkpoint = fitted(read_checkpoint(tmp_path / "net.ckpt"), net())
    assert checkpoint.peeled[-1] == prefix.replace("_orig_mod.", "")
    assert checkpoint.left_out == tuple(extra)
    assert all(name in checkpoint.describe() for name in extra)
    assert same(load_state(net(), checkpoint), given)


def test_an_extra_tensor_beside_the_parts_is_left_out_and_a_deeper_network_is_refused(tmp_path: Path) -> None:
    given = nn.ModuleDict({"body": net(), "head": nn.Linear(2, 2)})
    built = nn.ModuleDict({"body": net(), "head": nn.Linear(2, 2)})
    few = Checkpoint(Path("a"), given.state_dict() | {"center": torch.zeros(2)})
    assert fitted(few, built).left_out == ("center",)
    for more in ({"body.4.weight": torch.zeros(2)}, {"other": torch.zeros(500)}):
        with pytest.raises(ModelError, match="unexpected 1"):
            load_state(built, fitted(Checkpoint(Path("a"), given.state_dict() | more), built))


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema", "ema", "ema_state_dict"])
def test_averaged_weights_are_offered_and_taken_when_asked_for(tmp_path: Path, key: str) -> None:
    plain, average, path = net(), net(), tmp_path / "last.pth"
    torch.save({key: average.state_dict(), "model": plain.state_dict(), "epoch": 3}, path)
    checkpoint = fitted(read_checkpoint(path), net())
    assert same(load_state(net(), checkpoint), plain)
    assert checkpoint.others == (key,)
    assert f"{path}:{key}" in checkpoint.describe()
    for wanted in ("ema", key):
        assert same(load_state(net(), fitted(read_checkpoint(f"{path}:{wanted}"), net())), average)


def test_averages_under_a_prefix_of_the_same_dictionary(tmp_path: Path) -> None:
    plain, average, path = net(), net(), tmp_path / "last.ckpt"
    torch.save({"state_dict": under("net.", plain) | under("net_ema.module.", average)}, path)
    checkpoint = fitted(read_checkpoint(path), net())
    assert same(load_state(net(), checkpoint), plain)
    assert checkpoint.others == ("net_ema.module",)
    assert checkpoint.left_out == ()
    assert same(load_state(net(), fitted(read_checkpoint(f"{path}:ema"), net())), average)
    with pytest.raises(ModelError, match=r"no weights 'teacher'.*net_ema\.module"):
        fitted(read_checkpoint(f"{path}:teacher"), net())


def test_two_models_in_one_file_are_named_and_one_is_chosen(tmp_path: Path) -> None:
    student, teacher, path = net(), net(), tmp_path / "dino.pth"
    torch.save(under("student.", student) | under("teacher.", teacher), path)
    with pytest.raises(ModelError, match=r"several models: student, teacher.*:student"):
        fitted(read_checkpoint(path), net())
    assert same(load_state(net(), fitted(read_checkpoint(f"{path}:teacher"), net())), teacher)


HOSTILE = {
    "a sparse tensor": lambda: torch.eye(3).to_sparse(),
    "a quantized tensor": lambda: torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
    "without values": lambda: torch.empty(3, 3, device="meta"),
    "an enlarged view": lambda: torch.zeros(1).expand(100_000, 1000),
    "a nested tensor": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", HOSTILE)
def test_tensors_that_no_module_has_are_one_clear_error(tmp_path: Path, kind: str) -> None:
    torch.save({"fc.weight": HOSTILE[kind]()}, tmp_path / "net.pth")
    with pytest.raises(FileError, match=f"{kind}|holds Python objects|not a readable"):
        read_checkpoint(tmp_path / "net.pth")


def test_a_dictionary_that_holds_itself_ends(tmp_path: Path) -> None:
    endless: dict = {"epoch": 3}
    endless["state_dict"] = {"model": endless}
    torch.save(endless, tmp_path / "net.pth")
    with pytest.raises(FileError, match="no tensor"):
        read_checkpoint(tmp_path / "net.pth")
    endless["model"] = endless["more"] = net().state_dict()
    torch.save(endless, tmp_path / "net.pth")
    assert same(load_state(net(), read_checkpoint(tmp_path / "net.pth")), net()) is False


def test_one_tensor_under_many_names_is_bounded(tmp_path: Path) -> None:
    shared = torch.zeros(1000)
    torch.save({f"layer{number}": shared for number in range(1000)}, tmp_path / "net.pth")
    with pytest.raises(FileError, match="has tensors of 4000000 bytes"):
        read_checkpoint(tmp_path / "net.pth")


def test_a_pickled_module_names_both_ways_out(tmp_path: Path) -> None:
    torch.save(net(), tmp_path / "net.pt")
    with pytest.raises(FileError, match=r"--weights FILE.*--model file\.py:factory"):
        read_checkpoint(tmp_path / "net.pt")


@pytest.mark.filterwarnings("ignore")
def test_programs_are_no_weights_and_the_way_out_is_named(tmp_path: Path) -> None:
    torch.jit.trace(net().eval(), torch.zeros(1, 3, 4, 4)).save(tmp_path / "script.pt")
    with pytest.raises(FileError, match="--model torchscript:"):
        read_checkpoint(tmp_path / "script.pt")


class Around(nn.Module):
    """A network kept under a name of its own, with a head beside it or inside."""

    def __init__(self, inner: nn.Module, head: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = inner
        if head is not None:
            self.head = head


@pytest.mark.parametrize("before", ["", "model.", "module.net."])
def test_a_prefix_that_the_module_alone_has_is_put_before_every_name(before: str) -> None:
    given, built = net(), Around(net())
    state = {f"{before}{name}": one for name, one in given.state_dict().items()}
    found = fitted(Checkpoint(Path("bare.pth"), state), built)
    assert found.added == "backbone."
    assert "put backbone. before every name" in found.describe()
    assert same(load_state(built, found).backbone, given)
    twice = nn.Sequential(Around(net()))
    assert fitted(Checkpoint(Path("bare.pth"), state), twice).added == "0.backbone."


def test_no_prefix_is_put_where_names_fit_or_little_would() -> None:
    around = Around(net())
    assert fitted(Checkpoint(Path("a.pth"), around.state_dict()), around).added == ""
    other = {f"layer{place}.weight": torch.zeros(2) for place in range(9)}
    assert fitted(Checkpoint(Path("a.pth"), other), around).added == ""
    # A head that is missing stays missing: it is named, not drawn at random.
    headed = Around(net(), nn.Linear(3, 2))
    found = fitted(Checkpoint(Path("bare.pth"), net().state_dict()), headed)
    with pytest.raises(ModelError, match="missing 2: head.weight, head.bias"):
        load_state(headed, found)


def test_the_channels_of_weights_in_gray_are_those_of_the_model(tmp_path: Path) -> None:
    gray = load("classic_cnn", random=True, size=32, mean=[0.3], std=[0.2])
    path = tmp_path / "gray.pth"
    torch.save(gray.module.state_dict(), path)
    for stated, mean in (({"mean": 0.4, "std": 0.2}, (0.4,)), ({}, None)):
        found = load("classic_cnn", weights=path, size=32, **stated)
        assert found.channels == 1
        assert mean is None or found.mean == mean
        assert same(found.module, gray.module)
    with pytest.raises(UsageError, match="a mean of 3 channels for weights of 1"):
        load("classic_cnn", weights=path, size=32, mean=[0.1, 0.2, 0.3], std=1.0)


@pytest.mark.parametrize("mark", ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."])
@pytest.mark.parametrize("where", [("", "{mark}"), ("3.", "3.{mark}"), ("1.", "{mark}1.{mark}")])
def test_marks_around_a_part_are_taken_off_wherever_they_stand(mark: str, where: tuple[str, str]) -> None:
    given, built = net(), net()
    part, marked = where[0], where[1].format(mark=mark)
    state = {
        (marked + name.removeprefix(part) if name.startswith(part) else name): one
        for name, one in given.state_dict().items()
    }
    found = fitted(Checkpoint(Path("a.pth"), state), built)
    assert mark in found.peeled
    assert same(load_state(built, found), given)


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64])
def test_numbers_of_another_kind_are_never_taken_for_weights(dtype: torch.dtype) -> None:
    state = {
        name: (100 * one).to(dtype) if one.is_floating_point() else one for name, one in net().state_dict().items()
    }
    with pytest.raises(ModelError, match="of another type 8: 0.weight (int8|complex64)"):
        load_state(net(), Checkpoint(Path("a.pth"), state))


def test_two_equal_models_under_keys_of_their_own_have_to_be_named(tmp_path: Path) -> None:
    path, first, second = tmp_path / "both.pth", net(), net()
    torch.save({"student": first.state_dict(), "teacher": second.state_dict(), "epoch": 3}, path)
    with pytest.raises(FileError, match="several models: student, teacher.*both.pth:student"):
        read_checkpoint(path)
    assert same(load_state(net(), read_checkpoint(f"{path}:teacher")), second)
