"""Failures on disk: reduced to what still fails in the same way, one folder each, which a test replays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from tools.fuzz.inputs import Content, Files
from tools.fuzz.sandbox import Sandbox
from tools.fuzz.targets import Target
from tools.fuzz.verdict import Verdict

FOUND = Path(__file__).parents[2] / "tests" / "fuzz" / "found"
LARGEST = 64 * 2**10
_TRIES = 100


def save(sandbox: Sandbox, target: Target, files: Files, verdict: Verdict) -> str:
    """Reduce an input that fails and save it; return where, or why not."""
    reduced = reduce(files, lambda tried: _fails_alike(sandbox, target, tried, verdict))
    plain = {name: content for name, content in reduced.items() if isinstance(content, bytes)}
    if len(plain) < len(reduced):
        return "(no regular file: made by hand)"
    if sum(map(len, plain.values())) > LARGEST:
        return "(too large to be kept)"
    digest = hashlib.blake2b(repr(sorted(plain.items())).encode(), digest_size=4).hexdigest()
    folder = FOUND / target.name.replace(" ", "-").replace(":", "-").replace("=", "-") / digest
    for number, content in enumerate(content for _, content in sorted(plain.items())):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.bin").write_bytes(content)
    names = {f"{number}.bin": name for number, name in enumerate(sorted(plain))}
    told = {"target": target.name, "failed": f"{verdict.kind} {verdict.where}".strip(), "files": names}
    (folder / "input.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return str(folder)


def saved() -> Iterator[tuple[str, str, dict[str, Content]]]:
    """Yield what was saved: where, the name of its target, and its files."""
    for path in sorted(FOUND.rglob("input.json")):
        told = json.loads(path.read_text("utf-8"))
        files: dict[str, Content] = {name: (path.parent / kept).read_bytes() for kept, name in told["files"].items()}
        yield path.parent.relative_to(FOUND).as_posix(), told["target"], files


def reduce(files: Files, fails: Callable[[Files], bool]) -> Files:
    """Leave out files, then pieces of files, as long as what is left still fails."""
    left = _TRIES
    for name in list(files):
        rest = {one: content for one, content in files.items() if one != name}
        if rest and fails(rest):
            files = rest
    for name, content in list(files.items()):
        size = len(content) // 2 if isinstance(content, bytes) else 0
        while size and left > 0:
            files, shorter, tried = _without_pieces(files, name, size, fails, left)
            left -= tried
            size = size if shorter else size // 2
    return files


def _without_pieces(
    files: Files, name: str, size: int, fails: Callable[[Files], bool], most: int
) -> tuple[Files, bool, int]:
    start, shorter, tried = 0, False, 0
    while tried < most:
        content = files[name]
        assert isinstance(content, bytes)
        if start >= len(content):
            break
        rest = {**files, name: content[:start] + content[start + size :]}
        tried += 1
        if fails(rest):
            files, shorter = rest, True
        else:
            start += size
    return files, shorter, tried


def _fails_alike(sandbox: Sandbox, target: Target, files: Files, verdict: Verdict) -> bool:
    (found,) = sandbox.run(target.read, [files])
    return (found.kind, found.where) == (verdict.kind, verdict.where)
