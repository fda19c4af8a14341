"""Files of models made by hand: tensors that no file holds, headers without end, weights that lie elsewhere."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import torch

from tools.fuzz.bombs import DEEP, packed, pickle_bombs
from tools.fuzz.inputs import Content
from tools.fuzz.pickles import calling


def checkpoint_bombs() -> Iterator[tuple[str, Content]]:
    """Yield checkpoints with tensors that no file holds: enlarged, sparse, quantized, nested, on no device."""
    whole: dict[str, Any] = {}
    whole["state_dict"] = whole
    wide = torch.zeros(1).expand(100_000, 10_000)
    odd: tuple[Any, ...] = (
        *(whole, {"fc.weight": wide, "fc.bias": torch.zeros(1).expand(100_000)}, {"w": torch.eye(3).to_sparse()}),
        *(
            {"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)},
            {"w": torch.empty(2**40, device="meta")},
        ),
        *({"w": torch.zeros(2, dtype=torch.complex64)}, {}, [], 3, {1: torch.zeros(1)}, {"": torch.zeros(0)}),
    )
    for one in odd:
        yield "weights.pt", _saved(one)
    yield "weights.pt", packed({"archive/data.pkl": calling(), "archive/version": b"3\n"}, stored=True)
    yield "weights.pt", packed({"archive/data.pkl": bytes(2**28)})
    yield from pickle_bombs("weights.pt")


def safetensors_bombs() -> Iterator[tuple[str, Content]]:
    """Yield safetensors files whose header is endless, or names more than there is."""
    for header in (DEEP, b"{}", b'{"w": {"dtype": "F32", "shape": [18446744073709551615], "data_offsets": [0, 4]}}'):
        yield "weights.safetensors", len(header).to_bytes(8, "little") + header + bytes(4)
    yield "weights.safetensors", b"\xff" * 8 + b"{"
    shape = {"dtype": "F32", "shape": [0, 2**40], "data_offsets": [0, 0]}
    text = json.dumps({f"{row}.weight": shape for row in range(3)}).encode()
    yield "weights.safetensors", len(text).to_bytes(8, "little") + text


def network_bombs() -> Iterator[tuple[str, Content]]:
    """Yield networks whose constants are endless, and whose weights lie in other files."""
    from onnx import TensorProto, helper

    shape = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 4, 4])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])
    for size in (2**31, 2**40):
        dims = helper.make_tensor("dims", TensorProto.INT64, [2], [2, size])
        nodes = [
            helper.make_node("ConstantOfShape", ["dims"], ["big"]),
            helper.make_node("MatMul", ["big", "big"], ["logits"]),
        ]
        yield "net.onnx", helper.make_model(helper.make_graph(nodes, "net", [shape], [out], [dims])).SerializeToString()
    for place in ("../../../../etc/passwd", "/dev/zero", "missing.bin"):
        weight = helper.make_tensor("w", TensorProto.FLOAT, [48, 2], bytes(384), raw=True)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=place)
        nodes = [helper.make_node("Flatten", ["images"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["logits"])]
        yield "net.onnx", helper.make_model(helper.make_graph(nodes, "n", [shape], [out], [weight])).SerializeToString()


def _saved(thing: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()
