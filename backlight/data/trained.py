"""Which data a run was trained on: to it alone, unmarked data has parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backlight.runs.folder import RunFolder, is_run

SPLIT_SEED = 0


@dataclass(frozen=True)
class TrainedOn:
    """What a run says about the data that it was trained on: as it was named, its fingerprint, the seed of its parts.

    >>> TrainedOn("photos", "", 0).matches("photos", lambda: "")
    True
    """

    name: str
    fingerprint: str
    split_seed: int

    @staticmethod
    def read(info: Mapping[str, Any]) -> TrainedOn | None:
        """Read it from a run's `run.json`; None where that says nothing of data."""
        data = info.get("data")
        if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
            return None
        seed, whole = info.get("split_seed", SPLIT_SEED), info.get("whole", "")
        return TrainedOn(data["name"], str(whole), seed if isinstance(seed, int) else SPLIT_SEED)

    def matches(self, name: str, fingerprint: Callable[[], str]) -> bool:
        """Whether data is what the run was trained on: it has the same name, or the same fingerprint."""
        if name == self.name or Path(name).absolute() == Path(self.name).absolute():
            return True
        return bool(self.fingerprint) and fingerprint() == self.fingerprint


def trained_on(*specs: str) -> TrainedOn | None:
    """Return what the first run among some models says of the data that it was trained on; None without a run.

    >>> trained_on("efficientnet_lite0")
    """
    return next((TrainedOn.read(RunFolder(spec).info) for spec in specs if is_run(spec)), None)
