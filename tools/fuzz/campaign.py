"""Many inputs, resumable: what came of each is a line in a file, and the table is read from those lines."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.fuzz.sandbox import Sandbox
from tools.fuzz.targets import Target
from tools.fuzz.verdict import Verdict

TOGETHER = 20
"""Inputs that one process takes, one after the other."""

FAILURES = ("raised", "crashed", "hangs", "over memory", "wrote outside", "executed")


@dataclass(frozen=True)
class Campaign:
    """What is tried: some targets, a share of `count` for each, and where the lines are kept."""

    targets: Sequence[Target]
    count: int
    seed: int
    log: Path

    def left(self) -> Iterator[tuple[Target, list[int]]]:
        """Yield what has not been tried yet, a few numbers of a target at a time."""
        done = {(line["target"], line["number"]) for line in self.lines()}
        share = -(-self.count // len(self.targets))
        for target in self.targets:
            numbers = [number for number in range(share) if (target.name, number) not in done]
            for start in range(0, len(numbers), TOGETHER):
                yield target, numbers[start : start + TOGETHER]

    def run(self, sandbox: Sandbox) -> Iterator[tuple[Target, int, Verdict]]:
        """Try what is left; yield the failures."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as log:
            for target, numbers in self.left():
                verdicts = sandbox.run(target.read, [target.input(self.seed, number) for number in numbers])
                for number, verdict in zip(numbers, verdicts, strict=True):
                    line = {"seed": self.seed, "target": target.name, "number": number, **asdict(verdict)}
                    log.write(json.dumps(line) + "\n")
                    if verdict.fails:
                        yield target, number, verdict
                log.flush()

    def lines(self) -> list[dict[str, object]]:
        """Read what came of the inputs so far."""
        if not self.log.exists():
            return []
        found = [json.loads(line) for line in self.log.read_text("utf-8").splitlines() if line.endswith("}")]
        return [line for line in found if line["seed"] == self.seed]

    def table(self) -> str:
        """Return the table by loader, in Markdown."""
        by_target: dict[str, list[dict[str, object]]] = defaultdict(list)
        for line in self.lines():
            by_target[str(line["target"])].append(line)
        head = ["loader", "inputs", "read", "refused", *FAILURES, "slowest, s", "most memory, MB"]
        rows = [_row(name, lines) for name, lines in by_target.items()]
        rows.append(_row("all", [line for lines in by_target.values() for line in lines]))
        marks = ["---", *["---:"] * (len(head) - 1)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, marks, *rows)) + "\n"


def _row(name: str, lines: Sequence[dict[str, object]]) -> list[str]:
    counts = Counter(str(line["kind"]) for line in lines)
    kinds = [str(counts[kind]) for kind in ("read", "refused", *FAILURES)]
    slowest, most = (max((float(str(line[key])) for line in lines), default=0) for key in ("seconds", "megabytes"))
    return [name, str(len(lines)), *kinds, f"{slowest:.1f}", f"{most:.0f}"]
