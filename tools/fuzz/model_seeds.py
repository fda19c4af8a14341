"""Small valid files of models in every form that is read, from which hostile ones are made."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from backlight.models import load
from backlight.models.sidecar import ONNX_KEY, write_passport
from tools.fuzz.inputs import Files, read_in, written

MODEL, SIZE = "vit:depth=1,dim=8", (16, 16)


def state_dict() -> dict[str, torch.Tensor]:
    """Return the weights of a small network with three classes."""
    return load(MODEL, random=True, size=SIZE, labels=["a", "b", "c"], device="cpu").module.state_dict()


def tensors() -> list[Files]:
    """Return the weights of a small network in safetensors."""
    return [{"weights.safetensors": safetensors.torch.save({k: v.contiguous() for k, v in state_dict().items()})}]


def checkpoints() -> list[Files]:
    """Return checkpoints as torch writes them: plain, wrapped, with averages, and in the old form."""
    plain = state_dict()
    wrapped = {"epoch": 3, "state_dict": {f"module.{name}": one for name, one in plain.items()}, "ema": plain}
    forms: Mapping[str, Callable[[Any], None]] = {
        "plain": lambda file: torch.save(plain, file),
        "wrapped": lambda file: torch.save(wrapped, file),
        "old": lambda file: torch.save(plain, file, _use_new_zipfile_serialization=False),
    }
    return [{"weights.pt": written(save)} for save in forms.values()]


def passports() -> list[Files]:
    """Return a folder with weights and a passport."""
    with tempfile.TemporaryDirectory() as folder:
        write_passport(load(MODEL, random=True, size=SIZE, labels=["a", "b", "c"], device="cpu"), folder)
        return [{**read_in(Path(folder)), **tensors()[0]}]


def transformers_folder() -> list[Files]:
    """Return a folder as `save_pretrained` of transformers leaves it."""
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = ViTConfig(
        **sizes, image_size=16, patch_size=8, id2label={0: "cat", 1: "dog"}, label2id={"cat": 0, "dog": 1}
    )
    processor = {
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "size": {"height": 16, "width": 16},
    }
    with tempfile.TemporaryDirectory() as folder:
        ViTForImageClassification(config).save_pretrained(folder)
        return [{**read_in(Path(folder)), "preprocessor_config.json": json.dumps(processor).encode()}]


def networks() -> list[Files]:
    """Return a network in ONNX, with the passport that `export` leaves in it."""
    import onnx
    from onnx import TensorProto, helper

    shape = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 4, 4])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [48, 2], np.linspace(-1, 1, 96).tolist())
    nodes = [helper.make_node("Flatten", ["images"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["logits"])]
    model = helper.make_model(helper.make_graph(nodes, "net", [shape], [out], [weight]), ir_version=8)
    helper.set_model_props(model, {ONNX_KEY: json.dumps({"mean": [0.5] * 3, "std": [0.5] * 3, "labels": ["a", "b"]})})
    return [{"net.onnx": onnx.load_model_from_string(model.SerializeToString()).SerializeToString()}]


def architectures() -> list[Files]:
    """Return an architecture of open_clip."""
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
    vision = {"image_size": 16, "layers": 1, "width": 16, "head_width": 16, "patch_size": 8}
    return [{"small.json": json.dumps({"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}).encode()}]
