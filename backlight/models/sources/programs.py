"""Networks that are files of their own: `onnx:FILE`, `torchscript:FILE`, `exported:FILE`.

ONNX is computed by onnxruntime and has no gradients; the two others are programs of torch and are run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from backlight.core.errors import FileError, ModelError
from backlight.core.reading import digest, open_regular, parse_json
from backlight.core.tensors import check_tensors
from backlight.images import Resize
from backlight.models.blueprint import Blueprint, ModelShape, from_one_source
from backlight.models.extras import require_package
from backlight.models.sidecar import ONNX_KEY, parse_passport
from backlight.models.sources.program_files import exported_stream, script_stream


class OnnxNetwork(nn.Module):
    """Compute a network by onnxruntime: images `[B,C,H,W]` to its first output `[B,K]`, without gradients.

    A batch that is fixed in the file is filled up; a file that wants the channels last gets them last.
    """

    batch: int | None

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._session: Any = None
        with _described(path):
            taken = [(one.name, one.type, one.shape) for one in self.session.get_inputs()]
        if len(taken) != 1 or len(taken[0][2]) != 4 or taken[0][1] not in ("tensor(float)", "tensor(float16)"):
            shapes = ", ".join(f"{name} {kind} {shape}" for name, kind, shape in taken)
            raise ModelError(f"{path} takes {shapes}", expected="one input of floats [B,C,H,W]")
        ((self.input, kind, shape),) = taken
        self.float16 = kind == "tensor(float16)"
        sides = [side if isinstance(side, int) and side > 0 else None for side in shape]
        self.channels_last = sides[1] not in (1, 3) and sides[3] in (1, 3)
        self.batch = sides[0]
        self.channels = (sides[3] if self.channels_last else sides[1]) or 3
        height, width = sides[1:3] if self.channels_last else sides[2:]
        self.size = (height, width) if height and width else None

    @property
    def session(self) -> Any:
        """Return the session, opened when it is first needed: it can neither be copied nor sent to a process."""
        if self._session is None:
            import onnxruntime

            try:
                self._session = onnxruntime.InferenceSession(str(self.path), providers=["CPUExecutionProvider"])
            except Exception as error:  # a broken file decides which one it is
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise FileError(self.path, f"is no network that onnxruntime reads ({reason})") from error
        return self._session

    @property
    def passport(self) -> str | None:
        """Return the text of the passport in the file, None without one."""
        with _described(self.path):
            found: str | None = self.session.get_modelmeta().custom_metadata_map.get(ONNX_KEY)
            return found

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_session": None}

    def fingerprint_parts(self) -> tuple[object, ...]:
        """Return what decides about the outputs: the file's contents."""
        return (digest(self.path, "sha256", expected="a network in a file"),)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the first output for images; a batch of another size than the file's is cut and filled up."""
        count = self.batch or max(len(images), 1)
        parts = [self._run(part, count) for part in images.detach().split(count)]
        return torch.cat(parts).to(images.device) if parts else images.new_zeros(0, 1)

    def _run(self, images: Tensor, count: int) -> Tensor:
        filled = torch.cat([images, images[-1:].expand(count - len(images), -1, -1, -1)])
        values = filled.permute(0, 2, 3, 1) if self.channels_last else filled
        numbers = values.to("cpu", torch.float16 if self.float16 else torch.float32).contiguous().numpy()
        try:
            found = self.session.run(None, {self.input: numbers})
        except Exception as error:  # onnxruntime's own kinds
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{self.path} does not take {list(filled.shape)}: {reason}", hint="--size") from error
        return torch.from_numpy(found[0])[: len(images)].float()


@contextmanager
def _described(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise FileError(path, f"has names that are no text ({error.reason})", expected="UTF-8") from None


class ExportedProgram(nn.Module):
    """Run a program of `torch.export`, which refuses to be switched between training and evaluation itself."""

    def __init__(self, program: nn.Module, batch: int | None) -> None:
        super().__init__()
        self.program, self.batch = program, batch

    def train(self, mode: bool = True) -> ExportedProgram:
        """Set the flag alone: the program is what it was exported as."""
        self.training = mode
        return self

    def forward(self, images: Tensor) -> Any:
        """Run the program; a batch that was fixed at export is cut and filled up."""
        if self.batch is None:
            return self.program(images)
        parts = []
        for part in images.split(self.batch):
            filled = torch.cat([part, part[-1:].expand(self.batch - len(part), -1, -1, -1)])
            found = self.program(filled)
            parts.append((found[0] if isinstance(found, tuple | list) else found)[: len(part)])
        return torch.cat(parts)


def find_onnx(path: str, seed: int) -> Blueprint:
    """Return the blueprint of an ONNX file, with the passport that `export` left in it.

    Raises FileError for what onnxruntime does not read, and for a passport that is none.
    """
    require_package("onnxruntime", "export")
    network = OnnxNetwork(_file(path))
    bare = _blueprint(f"onnx:{path}", path, lambda: OnnxNetwork(Path(path)), network.size, network.channels)
    inside = network.passport
    return bare if inside is None else parse_passport(parse_json(inside, path), path).apply(bare, "passport")


def find_torchscript(path: str, seed: int) -> Blueprint:
    """Return the blueprint of a TorchScript file, whose program is run; raises FileError for anything else."""
    file = _file(path)

    def build() -> nn.Module:
        stream = script_stream(file)
        return _loaded(file, "TorchScript", lambda: torch.jit.load(stream, map_location="cpu"))

    return _blueprint(f"torchscript:{path}", path, build, None, 3)


def find_exported(path: str, seed: int) -> Blueprint:
    """Return the blueprint of a file of `torch.export.save`, whose program is run; raises FileError for others."""
    file = _file(path)
    stream = exported_stream(file)
    program = _loaded(file, "torch.export", lambda: torch.export.load(stream))
    check_tensors(file, {**program.state_dict, **_tensors(program.constants)}, stream.getbuffer().nbytes)
    shape = _taken(program, file)
    size = (shape[2], shape[3]) if all(isinstance(side, int) for side in shape[2:]) else None
    batch = shape[0] if isinstance(shape[0], int) else None

    def build() -> nn.Module:
        return ExportedProgram(program.module(), batch)

    return _blueprint(f"exported:{path}", path, build, size, shape[1] if isinstance(shape[1], int) else 3)


def _tensors(values: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: one for name, one in values.items() if isinstance(one, Tensor)}


def _taken(program: Any, file: Path) -> list[Any]:
    names = program.graph_signature.user_inputs
    found = [node.meta["val"] for node in program.graph.nodes if node.name in names and "val" in node.meta]
    if len(found) != 1 or not isinstance(found[0], Tensor) or found[0].ndim != 4:
        raise ModelError(f"{file} takes {len(names)} inputs", expected="one, images [B,C,H,W]")
    return [side if type(side) is int else None for side in found[0].shape]


def _file(path: str) -> Path:
    with open_regular(path, expected="a network in a file"):
        return Path(path)


def _loaded(file: Path, kind: str, load: Callable[[], Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what was exported by an older version, or is on its way out, still runs
            return load()
    except Exception as error:  # a broken file decides which one it is
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileError(file, f"is no program of {kind} ({reason[:200]})") from error


def _blueprint(
    spec: str, path: str, build: Callable[[], nn.Module], size: tuple[int, int] | None, channels: int
) -> Blueprint:
    def made(shape: ModelShape) -> nn.Module:
        return build()

    return Blueprint(
        spec,
        made,
        made,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        resize=Resize(min(size), size) if size else None,
        no_random=f"{spec} holds its weights",
        place=path,
        sources={**from_one_source("assumed"), **({"size": "library"} if size else {})},
    )
