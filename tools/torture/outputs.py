"""What a run left in its folder, in a form in which two runs of the same command are equal.

Everything is compared byte by byte, but for what is inherently a clock or the command itself:

- seconds, pictures per second and peak memory in JSON, and the same where a page or a line shows them;
- the options `--resume` and `--force` of the command that a page shows or a document holds;
- the state of a run, which is compared value by value, as its zip file names no order of its own, without its seconds;
- TensorBoard's files, one for each process that wrote, which are compared as the numbers that TensorBoard shows.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CLOCKS = (
    *("seconds", "step_seconds", "pass_seconds", "check_seconds", "checks"),
    *("images_per_second", "mean_images_per_second", "peak_memory"),
)
_GOES_ON = re.compile(r" --(?:resume|force)\b")
_ON_PAGES = (
    (re.compile(r"(?:less than a|\d[\d,.]*) (?:second|minute|hour)s?\b"), "N seconds"),
    (re.compile(r"\d[\d,.]*(?= (?:s|pictures a second|images a second)\b)"), "N"),
    (re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?"), "DATE"),
    (_GOES_ON, ""),
)
_HIDDEN = re.compile(r"\..*|.*\.claim|lock\.json")


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, without clocks."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    kept: dict[str, bytes] = {}
    boards: dict[str, dict[Any, float]] = {}
    for name, path in found.items():
        if path.name.startswith("events.out.tfevents"):
            boards.setdefault(path.parent.relative_to(folder).as_posix(), _board(path.parent))
        else:
            kept[name] = without_clocks(name, path.read_bytes())
    return kept | {f"{name}/": repr(sorted(board.items())).encode() for name, board in boards.items()}


def without_clocks(name: str, content: bytes) -> bytes:
    """Return a file's content without what is inherently a clock."""
    if name.endswith((".json", ".jsonl")):
        lines = content.decode().splitlines() if name.endswith(".jsonl") else [content.decode()]
        return "\n".join(json.dumps(_plain(json.loads(line))) for line in lines).encode()
    if name.endswith(".html"):
        text = content.decode()
        for pattern, instead in _ON_PAGES:
            text = pattern.sub(instead, text)
        return text.encode()
    if name.endswith("state.pt"):
        import torch

        return repr(_plain(torch.load(io.BytesIO(content), weights_only=True))).encode()
    return content


def differences(alone: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Name the files in which two runs differ."""
    missing = [f"{name} is missing" for name in alone if name not in other]
    more = [f"{name} is there" for name in other if name not in alone]
    return missing + more + [f"{name} differs" for name in alone if name in other and alone[name] != other[name]]


def leftovers(folder: Path) -> list[str]:
    """Name what nobody wants to find after a run: hidden files, claims and locks."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if _HIDDEN.fullmatch(path.name))


def _plain(value: Any) -> Any:
    """Leave the clocks out of a document or state, and make tensors lists, which print in full."""
    if isinstance(value, Mapping):
        plain = {key: _plain(one) for key, one in value.items() if key not in CLOCKS}
        given = plain.get("command")
        return plain | {"command": _GOES_ON.sub("", given)} if isinstance(given, str) else plain
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _board(folder: Path) -> dict[tuple[str, int], float]:
    """Read the numbers that TensorBoard shows of a folder: of a step that was written twice, the last."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    seen: dict[tuple[str, int], float] = {}
    board = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    board.Reload()
    for tag in board.Tags()["scalars"]:
        if tag.rsplit("/", 1)[-1] not in CLOCKS:
            seen |= {(tag, event.step): event.value for event in board.Scalars(tag)}
    return seen
