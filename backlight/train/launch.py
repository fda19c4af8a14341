"""Who started a run's processes: torchrun starts them again when one fails, or when a node comes or goes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from backlight.core.errors import FileError
from backlight.core.identity import identify
from backlight.core.processes import Engine
from backlight.runs.folder import RunFolder, is_run

_KEY = "launch"


@dataclass(frozen=True)
class Launch:
    """The agents of torchrun that started a group of processes, one per node, and the group's main process.

    A run keeps it. A later group goes on with that run, unasked, where one of the agents is the same and the main
    process another one. Neither `TORCHELASTIC_RESTART_COUNT` says so much (it counts an agent's own failures: on all
    other nodes it is 0, and where a node comes or goes on all) nor the run's id ("none" unless somebody gives one, and
    the same for whoever gives the same).

    >>> first, again = Launch(["a/1/0", "b/1/0"], "a/2/0"), Launch(["b/1/0", "c/1/0"], "b/7/9")
    >>> again.continues(first.to_json()), first.continues(first.to_json())
    (True, False)
    """

    agents: list[str]
    main: str

    @classmethod
    def of(cls, engine: Engine) -> Launch:
        """Find out who started this process and the others of its group; without torchrun there are no agents."""
        agent = identify(os.getppid()) if "TORCHELASTIC_RUN_ID" in os.environ else ""
        found = engine.gather_objects((agent, identify(os.getpid())))
        return cls(sorted({one for one, _ in found} - {""}), found[0][1])

    def to_json(self) -> dict[str, Any]:
        """Return what a run keeps of it: nothing where nobody would start its processes again."""
        return {_KEY: asdict(self)} if self.agents else {}

    def continues(self, info: Mapping[str, Any]) -> bool:
        """Whether these processes were started again by those who had started the processes of a run."""
        kept = info.get(_KEY)
        agents = kept.get("agents") if isinstance(kept, Mapping) else None
        if not isinstance(kept, Mapping) or not isinstance(agents, list):
            return False
        return any(one in agents for one in self.agents) and kept.get("main") != self.main

    def restarts(self, folder: RunFolder) -> bool:
        """Whether the run in a folder is to be gone on with; one that cannot be read is not."""
        if not self.agents or not is_run(str(folder.path)):
            return False
        try:
            return self.continues(folder.info)
        except FileError:
            return False  # whoever begins anew, or resumes by hand, is told of it
