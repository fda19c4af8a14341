"""How far a run has come: counters that are saved with its state, and the lines they leave in the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch

from backlight.core.errors import ModelError
from backlight.core.processes import Engine
from backlight.runs.history import merit
from backlight.runs.log import Log, peak_memory
from backlight.train.adversary import Adversary
from backlight.train.batches import Batches
from backlight.train.collapse import Robustness, collapse_words
from backlight.train.recipe import Recipe
from backlight.train.schedule import rate
from backlight.train.trainer import Outcome


@dataclass
class Sums:
    """What some steps came to together: how many, how long, their losses, and the pictures that were right.

    >>> Sums().loss
    0.0
    """

    steps: int = 0
    seconds: float = 0.0
    loss: float = 0.0
    correct: int = 0
    top5: int = 0


@dataclass
class Counters:
    """What is saved beside the weights: `step`, which decides how a run goes on, and what log and choice need.

    >>> Counters.from_state(Counters(step=3, epoch=Sums(steps=3)).to_state()).epoch.steps
    3
    """

    step: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    best_epoch: int = 0
    best_loss: float = float("inf")
    best_accuracy: float = -1.0
    best_robust: float = -1.0
    last_robust: float = -1.0
    stopped: str = ""
    epoch: Sums = field(default_factory=Sums)
    stretch: Sums = field(default_factory=Sums)

    def to_state(self) -> dict[str, Any]:
        """Return the counters as plain data."""
        return asdict(self)

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Counters:
        """Take plain data back, what is known of it; runs from before the alarm have none of its values."""
        own, sums = ([one.name for one in fields(kind)] for kind in (Counters, Sums))
        epoch, stretch = (Sums(**{name: state[part][name] for name in sums}) for part in ("epoch", "stretch"))
        plain = {name: state[name] for name in own if name not in ("epoch", "stretch") and name in state}
        return Counters(**plain, epoch=epoch, stretch=stretch)


class Journal:
    """Count steps, read their losses when it costs nothing, and describe stretches of steps and epochs.

    `log` is None in all processes but the main one.
    """

    def __init__(
        self,
        recipe: Recipe,
        batches: Batches,
        engine: Engine,
        adversary: Adversary | None,
        *,
        log_every: int,
        log: Log | None,
        counters: Counters,
    ) -> None:
        self.recipe, self.batches, self.engine, self.adversary = recipe, batches, engine, adversary
        self.log_every, self.log, self.counters, self.note = log_every, log, counters, ""
        self.per_epoch = batches.order.steps_per_epoch
        self.total = recipe.epochs * self.per_epoch
        self._pending: list[Outcome] = []
        self._seconds_before, self._started = counters.seconds, time.monotonic()

    @property
    def step(self) -> int:
        """Count the steps that were taken."""
        return self.counters.step

    @property
    def epoch(self) -> int:
        """Count the epochs that were finished."""
        return self.step // self.per_epoch

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step was the last of an epoch."""
        return self.step > 0 and self.step % self.per_epoch == 0

    @property
    def over(self) -> bool:
        """Whether all epochs are done, none was better for as long as the recipe's patience, or training collapsed."""
        waited = self.epoch - self.counters.best_epoch
        ended = self.step >= self.total or bool(self.counters.stopped)
        return ended or (self.at_epoch_end and 0 < self.recipe.patience <= waited)

    def count(self, outcome: Outcome, started: float) -> None:
        """Count a step that was begun when `time.perf_counter()` gave `started`.

        Raises ModelError when a loss is not finite; the state on disk is from before.
        """
        self.counters.step += 1
        self._pending.append(outcome)
        # Reading a loss waits for the device and for the other processes, so it is done once in a while only.
        alone = self.engine.world == 1 and outcome.loss.device.type == "cpu"
        if alone or self.step % self.log_every == 0:
            self.read_losses()
        # Measured after the waiting: a device that works on when the step has returned is not done yet.
        seconds = time.perf_counter() - started
        self.counters.step_seconds += seconds
        for sums in (self.counters.epoch, self.counters.stretch):
            sums.steps += 1
            sums.seconds += seconds
        if self.step % self.log_every == 0:
            self._end_stretch()

    def read_losses(self) -> None:
        """Read the losses of the steps since the last reading."""
        if not self._pending:
            return
        losses, correct, top5 = (
            self.engine.sum(torch.stack(column)).tolist() for column in zip(*self._pending, strict=True)
        )
        self._pending.clear()
        for step, loss in enumerate(losses, self.step - len(losses)):
            if not abs(loss) < float("inf"):
                raise self._not_finite(step, loss)
        for sums in (self.counters.epoch, self.counters.stretch):
            sums.loss += sum(losses)
            sums.correct += sum(correct)
            sums.top5 += sum(top5)

    def end_epoch(self, scores: Mapping[str, float], robustness: Robustness | None = None) -> bool:
        """Write the epoch's line with its validation scores; tell whether it is the best epoch so far.

        Where pictures were attacked too, it may be the one in which training collapsed: the last, and never the best.
        """
        self.read_losses()
        counters, line, note = self.counters, dict[str, Any](scores), ""
        if robustness is not None:
            counters.stopped = self._collapsed(robustness)
            counters.last_robust = robustness.pgd
            line |= {"val_pgd": robustness.pgd, "val_one_step": robustness.one_step}
            line |= {"stopped": counters.stopped} if counters.stopped else {}
            note = f", {robustness.pgd:.3f} under PGD"
        if self._better(line):
            counters.best_epoch, counters.best_loss = self.epoch, line["val_loss"]
            counters.best_accuracy, counters.best_robust = line["val_accuracy"], line.get("val_pgd", -1.0)
        self._write("epoch", counters.epoch, {**line, "growing": True} if self._growing(self.epoch) else line)
        self.note = counters.stopped or f"epoch {self.epoch}: val accuracy {line['val_accuracy']:.3f}{note}"
        counters.epoch = Sums()
        return counters.best_epoch == self.epoch

    def _better(self, line: Mapping[str, Any]) -> bool:
        """Whether the epoch that has just ended is the best so far."""
        best = self.counters
        if not best.best_epoch or best.stopped:
            return not best.best_epoch
        scores = {"val_loss": best.best_loss, "val_accuracy": best.best_accuracy, "val_pgd": best.best_robust}
        # What was best against less than all of the adversary says nothing: until then the last epoch is kept.
        return self._growing(best.best_epoch) or merit(self.recipe.select, line) > merit(self.recipe.select, scores)

    def _growing(self, epoch: int) -> bool:
        """Whether the adversary had not all of its size yet when an epoch ended."""
        return self.adversary is not None and self.adversary.strength(epoch * self.per_epoch / self.total) < 1

    def _collapsed(self, seen: Robustness) -> str:
        """Say that training collapsed; while eps still grows, a network need not hold at its whole size."""
        words = "" if self._growing(self.epoch) else collapse_words(self.counters.last_robust, seen)
        return f"{words}, in epoch {self.epoch}" if words else ""

    @property
    def settled(self) -> bool:
        """Whether all losses are read, so that the counters are true: alike in all processes."""
        return not self._pending

    def state(self) -> dict[str, Any]:
        """Return the counters as plain data, when they are settled."""
        self.counters.seconds = self._seconds_before + time.monotonic() - self._started
        return self.counters.to_state()

    @property
    def images_per_second(self) -> float:
        """Return the mean speed of the steps, validation left out."""
        return round(self.step * self.batches.order.size / max(self.counters.step_seconds, 1e-9), 1)

    def close(self) -> None:
        """End the log."""
        if self.log is not None:
            self.log.close()

    def _end_stretch(self) -> None:
        stretch, self.counters.stretch = self.counters.stretch, Sums()
        self._write("step", stretch, {})
        memory = peak_memory(self.batches.device) / 1024**3
        self.note = f"loss {stretch.loss / stretch.steps:.3f}, memory {memory:.1f} GiB"

    def _write(self, kind: str, sums: Sums, scores: Mapping[str, Any]) -> None:
        if self.log is None:
            return
        images = sums.steps * self.batches.order.size
        self.log.write(
            {
                "kind": kind,
                "step": self.step,
                "epoch": self.batches.order.epoch(self.step - 1) + 1,
                "loss": sums.loss / sums.steps,
                "accuracy": sums.correct / images,
                "top5": sums.top5 / images,
                **scores,
                "lr": rate(self.recipe, self.step - 1, self.total),
                "seconds": round(self.state()["seconds"], 3),
                "images_per_second": round(images / max(sums.seconds, 1e-9), 1),
                "mean_images_per_second": self.images_per_second,
                "peak_memory": peak_memory(self.batches.device),
            }
        )

    def _not_finite(self, step: int, loss: float) -> ModelError:
        ids = [self.batches.data.ids[row] for row in self.batches.order.rows(step).tolist()]
        shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
        return ModelError(
            f"the loss is {loss} at step {step} with the pictures {shown}",
            expected="a finite loss",
            hint="a lower learning rate or clip=1; the last saved state is from before",
        )
