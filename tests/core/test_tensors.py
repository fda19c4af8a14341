import io
import os
import pickle
import pickletools
import zipfile

import pytest
import torch

from backlight.core.errors import FileError
from backlight.core.pickles import check_pickle, values_of
from backlight.core.tensors import check_tensors, read_pickled, read_safetensors


def doubling(levels=60):
    """A pickle of tuples that hold the one before twice, as the key of a dictionary."""
    return b"\x80\x02K\x01q\x00" + b"h\x00h\x00\x86q\x00" * levels + b"}h\x00K\x01s."


def zipped(data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", b"3\n")
    return buffer.getvalue()


LEGACY = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)


@pytest.mark.parametrize("data", [zipped(doubling()), LEGACY + doubling(), doubling()], ids=["zip", "old", "bare"])
def test_tuples_that_double_are_refused_before_they_are_hashed(tmp_path, data):
    (tmp_path / "net.pt").write_bytes(data)
    with pytest.raises(FileError, match="tuples unfold to more than"):
        read_pickled(tmp_path / "net.pt")


@pytest.mark.parametrize("new", [True, False])
def test_what_torch_writes_is_read(tmp_path, new):
    shared = ("a", 1)
    held = {
        "w": torch.arange(6.0).view(2, 3),
        "s": {"step": 3, "betas": (0.9, 0.99)},
        "t": [shared, shared, (shared,) * 3],
    }
    torch.save(held, tmp_path / "net.pt", _use_new_zipfile_serialization=new)
    found = read_pickled(tmp_path / "net.pt")
    assert torch.equal(found.pop("w"), held.pop("w"))
    assert found == held


def test_the_sizes_that_are_foreseen_are_those_of_the_tuples():
    def leaves(value):
        return 1 + sum(map(leaves, value)) if isinstance(value, tuple) else 1

    value = ((1, 2), ((3,), (1, 2)) * 3, ())
    for protocol in range(2, 6):
        data = pickle.dumps(value, protocol)
        check_pickle(io.BytesIO(data), leaves(value))
        with pytest.raises(ValueError, match="unfold"):
            check_pickle(io.BytesIO(data), leaves(value) // 2)


def test_a_large_state_is_within_what_a_pickle_may_unfold_to():
    state = {f"layer{row}.weight": (0.5, (row, row), [row] * 5) for row in range(2000)}
    data = pickletools.optimize(pickle.dumps(state, 2))
    check_pickle(io.BytesIO(data), values_of(len(data)))


@pytest.mark.parametrize("read", [read_pickled, read_safetensors])
def test_a_pipe_is_never_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "net")
    with pytest.raises(FileError, match="is not a regular file"):
        read(tmp_path / "net")
    with pytest.raises(FileError, match="does not exist"):
        read(tmp_path / "absent")


def test_objects_that_would_run_code_are_named(tmp_path):
    (tmp_path / "net.pt").write_bytes(zipped(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."))
    with pytest.raises(FileError, match=r"holds Python objects \((posix|os)\.system\)"):
        read_pickled(tmp_path / "net.pt")


def test_an_archive_that_unpacks_to_more_than_it_holds(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**20))
    with pytest.raises(FileError, match="unpacks to 1048576 bytes"):
        read_pickled(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("tensor", "found"),
    [
        (torch.zeros(1).expand(100, 100), "an enlarged view of 4 bytes"),
        (torch.eye(3).to_sparse(), "a sparse tensor"),
        (torch.empty(3, device="meta"), "without values"),
        (torch.zeros(100), "tensors of 400 bytes"),
    ],
)
def test_tensors_that_no_module_has(tensor, found):
    with pytest.raises(FileError, match=found):
        check_tensors("net.pt", {"w": tensor}, 40)
