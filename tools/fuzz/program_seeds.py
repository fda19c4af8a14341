"""Small programs of torch in files, and such as would run something when they are read."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import nn

from tools.fuzz.inputs import Content, Files, written
from tools.fuzz.pickles import MARKER, calling, doubling, remembering

_CODE = f"__import__('os').system({MARKER!r})"
_WEIGHTS, _MODEL, _INPUTS = "data/weights/model_weights_config.json", "models/model.json", "data/sample_inputs/model.pt"


def scripts() -> list[Files]:
    """Return TorchScript programs, traced and scripted."""
    net, images = _net(), torch.zeros(1, 3, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.jit.trace(net, images), torch.jit.script(net)
    return [{"net.pt": written(lambda file, one=one: torch.jit.save(one, file))} for one in made]


def exported() -> list[Files]:
    """Return programs of torch.export, with a batch that is fixed and one that is not."""
    return [{"net.pt2": one} for one in _exported()]


def script_bombs() -> Iterator[tuple[str, Content]]:
    """Yield TorchScript files that would run code, or unpack to far more than they hold."""
    whole = scripts()[0]["net.pt"]
    assert isinstance(whole, bytes)
    for made in (calling(), doubling(), remembering(), pickle.dumps(3)):
        for name in ("data.pkl", "constants.pkl"):
            yield "net.pt", _with(whole, name, made)
    yield "net.pt", _packed({"net/data.pkl": bytes(2**28), "net/constants.pkl": b""}, zipfile.ZIP_DEFLATED)


def exported_bombs() -> Iterator[tuple[str, Content]]:
    """Yield programs of torch.export that would run code by each of the ways in which torch reads them."""
    whole = _exported()[-1]
    for made in (calling(), doubling(), remembering(), written(lambda file: torch.save({"a": nn.ReLU()}, file))):
        yield "net.pt2", _with(whole, _INPUTS, made)
        yield "net.pt2", _with(whole, "data/weights/model.pt", made)
        yield "net.pt2", _with(whole, "data/constants/opaque_obj_0", made)
    yield "net.pt2", _with(whole, "data/aotinductor/model/net.so", b"\x7fELF")
    for change in (_operator, _guards, _expression, _power, _pickled, _endless):
        yield "net.pt2", _changed(whole, change)
    yield "net.pt2", _packed({"net/data/weights/weight_0": bytes(2**28)}, zipfile.ZIP_DEFLATED)


def _operator(entries: dict[str, Any]) -> None:
    node = entries[_MODEL]["graph_module"]["graph"]["nodes"][0]
    node |= {"target": "torch.os.system", "inputs": [{"name": "", "arg": {"as_string": MARKER}, "kind": 1}]}


def _guards(entries: dict[str, Any]) -> None:
    entries[_MODEL]["guards_code"] = [_CODE]


def _expression(entries: dict[str, Any], text: str = _CODE) -> None:
    for value in entries[_MODEL]["graph_module"]["graph"]["tensor_values"].values():
        value["sizes"][0] = {"as_expr": {"expr_str": text, "hint": None}}


def _power(entries: dict[str, Any]) -> None:
    _expression(entries, "Pow(Integer(9), Pow(Integer(9), Pow(Integer(9), Integer(9))))")


def _pickled(entries: dict[str, Any]) -> None:
    for one in entries[_WEIGHTS]["config"].values():
        one["use_pickle"] = True


def _endless(entries: dict[str, Any]) -> None:
    for one in entries[_WEIGHTS]["config"].values():
        one["tensor_meta"]["sizes"] = [{"as_int": 2**40}]
        one["tensor_meta"]["strides"] = [{"as_int": 0}]


def _net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)
        return nn.Sequential(*layers).eval()


@cache
def _exported() -> tuple[bytes, ...]:
    images, batch = torch.zeros(2, 3, 8, 8), torch.export.Dim("batch")
    made = (torch.export.export(_net(), (images,), dynamic_shapes=shapes) for shapes in (None, ({0: batch},)))
    return tuple(written(lambda file, one=one: torch.export.save(one, file)) for one in made)


def _with(data: bytes, ending: str, content: bytes) -> bytes:
    """Put a content in the place of an entry, or beside the others."""
    entries = _unpacked(data)
    root = next(iter(entries)).partition("/")[0]
    return _packed({**entries, f"{root}/{ending}": content})


def _changed(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    entries = _unpacked(data)
    names = {name: next(one for one in entries if one.endswith(name)) for name in (_WEIGHTS, _MODEL)}
    documents = {name: json.loads(entries[inner]) for name, inner in names.items()}
    change(documents)
    return _packed({**entries, **{names[name]: json.dumps(one).encode() for name, one in documents.items()}})


def _unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {one.filename: archive.read(one) for one in archive.infolist()}


def _packed(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()
