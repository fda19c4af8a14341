"""How one evaluation of robustness goes over data: block by block, each a challenge, with what its parts depend on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from backlight import __version__
from backlight.attack.blocks import Block
from backlight.attack.challenge import Challenge
from backlight.attack.known import Known, eps_tag
from backlight.attack.request import RobustnessRequest
from backlight.attack.stages import PLANS, Stage
from backlight.attack.trail import has_trail
from backlight.classifier import Classifier
from backlight.core.fingerprint import fingerprint
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.core.random import Seed
from backlight.core.user_code import code_of
from backlight.data.batch import Batch
from backlight.data.dataset import Dataset
from backlight.sweep import Cost, Part, Swept, Task, sweep
from backlight.sweep.cost import cost_of, passes_of, shape_of
from backlight.sweep.task import Work

_BLOCK, _BUDGET_BLOCK = 1000, 100  # pictures in a block at most
_HELD = 6  # pictures in memory for each one of a block: originals, points, gradients, what is kept


@dataclass(frozen=True, eq=False, repr=False)
class BlockSweeps:
    """What all sweeps of an evaluation share: model, request and seed, who works on blocks, and where they are kept.

    `block` is the number of pictures in a block, by their cost where None; `memory_format` that of the fast copy.
    """

    classifier: Classifier
    request: RobustnessRequest
    seed: Seed
    engine: Engine
    cache: Path | None = None
    progress: Progress | None = None
    block: int | None = None
    memory_format: str = "auto"

    @cached_property
    def search(self) -> Classifier:
        """Return the faster copy that attacks look at."""
        return self.classifier.fast(memory_format=self.memory_format)

    @property
    def trailed(self) -> bool:
        """Whether the table says of each picture how far it had come after some numbers of queries."""
        return has_trail(self.request.card, self.request.threat)

    def challenge(self, batch: Batch) -> Challenge:
        """Return what is to be attacked: searched on the fast copy, judged on the classifier itself."""
        challenge = Challenge.of(
            self.classifier,
            batch.images.to(self.classifier.device),
            batch.labels,
            threat=self.request.threat,
            target=self.request.chosen.target,
            seed=self.seed,
            ids=batch.ids,
        )
        return challenge.searching(self.search)

    def kept(self, block: Block) -> dict[str, Tensor]:
        """Return what stays of a block beside its table: its pictures, where there is a folder for them."""
        return {} if self.cache is None else {"images": block.images}

    def depends(self, stages: tuple[Stage, ...]) -> tuple[object, ...]:
        """Return all that decides about the part of a block but its pictures and the eps, which is the tag."""
        threat, request = self.request.threat, self.request
        where = (self.classifier, threat.norm, threat.lattice, threat.mask, request.chosen.target, self.seed)
        return (
            *where,
            self.trailed,
            stages,
            sorted(request.checked.items()),
            code_of(request.card.function),
            __version__,
        )

    def known(self, rounds: Sequence[tuple[Stage, ...]]) -> Known | None:
        """Return the adversarial pictures that evaluations at smaller eps left in the folder."""
        if self.cache is None:
            return None
        keys = [fingerprint(self.depends(stages)) for stages in rounds]
        return Known.of(self.cache, keys, self.request.threat.size)

    def passes(self, stages: Sequence[Stage]) -> float:
        """Count the passes a picture, at most, of some stages."""
        planned, request = self.request.card.name in PLANS, self.request
        functions = [stage.function if planned else request.card.function for stage in stages]
        return sum(passes_of(function, request.checked) for function in functions)

    def sweep(
        self,
        name: str,
        data: Dataset,
        work: Work,
        depends: tuple[object, ...],
        passes: float,
        *,
        later: float = 0.0,
        note: Callable[[Part], str] = lambda part: "",
        enough: Callable[[], bool] = lambda: False,
    ) -> Swept:
        """Work on all blocks of the data, of a size that `passes` a picture allow; `later` as a `Task` has it."""

        def cost() -> Cost:
            shape = shape_of(self.classifier, data)
            return cost_of(self.classifier, shape, passes, held=_HELD * math.prod(shape))

        most = _BLOCK if self.request.budget is None else _BUDGET_BLOCK
        task = Task(name, data, work, depends, cost, self.block, most, later=later)
        return sweep(
            task,
            folder=self.cache,
            tag=eps_tag(self.request.threat.size),
            engine=self.engine,
            progress=self.progress,
            note=note,
            enough=enough,
        )
