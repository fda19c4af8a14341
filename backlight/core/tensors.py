"""Files of tensors, by whatever name they have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def read_tensors(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read the tensors of a safetensors file; no code is run.

    Raises OSError, or SafetensorError where it is no such file.

    >>> import tempfile, torch
    >>> from safetensors.torch import save_file
    >>> path = Path(tempfile.mkdtemp()) / "net.safetensors"
    >>> save_file({"weight": torch.ones(2)}, path)
    >>> read_tensors(path)["weight"].tolist()
    [1.0, 1.0]
    """
    from safetensors.torch import load, load_file

    try:
        str(path).encode()
    except UnicodeEncodeError:  # the library opens no such file by itself
        return {name: one.to(device) for name, one in load(path.read_bytes()).items()}
    return load_file(path, str(device))
