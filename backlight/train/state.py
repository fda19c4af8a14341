"""What a saved state has to look like before a run goes on from it: held against the run that was opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from backlight.core.errors import FileError, UsageError
from backlight.core.schema import (
    Fault,
    Schema,
    array,
    choice,
    finite,
    flag,
    leaf,
    nullable,
    number,
    record,
    require,
    text,
    whole,
)
from backlight.runs.folder import RunFolder
from backlight.train.journal import Counters
from backlight.train.recipe import Recipe
from backlight.train.trainer import Trainer

_MOST_PARTS = 2**20
_PICTURES = record({"name": text(), "train": text(), "val": text()})
_PROBE = record(
    {
        "precision": choice("float32", "bfloat16"),
        "memory_format": choice("contiguous", "channels_last"),
        "compile": flag(),
        "seconds": record({}),
    }
)
INFO = record(
    {
        "model": text(),
        "labels": array(text()),
        "size": array(whole(1), lowest=2),
        "recipe": record({}),
        "seed": whole(-(2**63)),
        "data": _PICTURES,
        "probe": _PROBE,
    }
)


def read_info(folder: RunFolder) -> tuple[dict[str, Any], Recipe]:
    """Read what a run was started with, and its recipe; raises FileError for a value that does not fit.

    >>> import tempfile
    >>> folder = RunFolder(tempfile.mkdtemp())
    >>> folder.create({"model": "classic_cnn"}, {})
    >>> read_info(folder)
    Traceback (most recent call last):
    ...
    backlight.core.errors.FileError: .../run.json: labels is absent; expected a list
    """
    info, path = folder.info, folder.path / "run.json"
    require(path, info, INFO)
    try:
        return info, Recipe.from_json(info["recipe"])
    except UsageError as error:
        raise FileError(path, f"has no usable recipe: {error}") from None


def restore(folder: RunFolder, trainer: Trainer, *, per_epoch: int, total: int, size: int) -> Counters:
    """Take the saved state into a trainer and return its counters.

    Raises FileError, before anything is changed, for a state that is not one of this run: counters that contradict
    each other or the recipe, weights and values of the optimizer of another shape.
    """
    state, path = folder.load_state(trainer.engine.device), folder.path / "state.pt"
    require(path, state, record({"counters": _counters(per_epoch, total)}))
    require(path, state, record({"trainer": _trainer(trainer, begun=state["counters"]["step"] > 0, size=size)}))
    trainer.load_state_dict(state["trainer"])
    return Counters.from_state(state["counters"])


def _counters(per_epoch: int, total: int) -> Schema:
    sums = {"seconds": number(0), "loss": finite(), "correct": whole(), "top5": whole()}
    plain = record(
        {
            "step": whole(0, total),
            "seconds": number(0),
            "step_seconds": number(0),
            "best_epoch": whole(0, total // per_epoch),
            "best_loss": leaf("a number", lambda value: type(value) is float),
            "best_accuracy": leaf("a number", lambda value: type(value) in (int, float)),
            "epoch": record({"steps": whole(0, per_epoch - 1)} | sums),
            "stretch": record({"steps": whole(0, total)} | sums),
        },
        {"best_robust": finite(), "last_robust": finite(), "stopped": text()},
    )

    def check(value: Any) -> Iterator[Fault]:
        found = list(plain(value))
        yield from found
        if found:
            return
        finished, begun = divmod(value["step"], per_epoch)
        if value["epoch"]["steps"] != begun:
            yield Fault("epoch.steps", str(value["epoch"]["steps"]), f"{begun}, after {value['step']} steps")
        if not min(1, finished) <= value["best_epoch"] <= finished:
            yield Fault("best_epoch", str(value["best_epoch"]), f"one of {finished} finished epochs")

    return check


def _trainer(trainer: Trainer, begun: bool, size: int) -> Schema:
    fresh = trainer.state_dict()
    average = fresh["average"]
    return record(
        {
            "module": _like(fresh["module"]),
            "optimizer": record({"parts": _optimizers(trainer, begun)}),
            "average": nullable(record({})) if average is None else _like(average),
            "parts": whole(1, _MOST_PARTS),
        }
        | ({} if trainer.carried is None else {"carried": _carried(trainer, begun, size)})
    )


def _carried(trainer: Trainer, begun: bool, size: int) -> Schema:
    """Expect the changes of a batch's pictures when there was one, and none before."""
    resize = trainer.classifier.resize
    if not begun or resize is None:
        return leaf("nothing, before the first step", lambda value: value is None)
    return _tensor(torch.empty(size, trainer.classifier.channels, *resize.size))


def _like(tensors: Mapping[str, Any]) -> Schema:
    """Expect tensors by the same names, of the same shapes and types."""
    same = record({name: _tensor(value) for name, value in tensors.items()})

    def check(value: Any) -> Iterator[Fault]:
        yield from same(value)
        more = [name for name in value if name not in tensors] if isinstance(value, Mapping) else []
        if more:
            yield Fault(str(more[0])[:80], "there", "the names that the model has, and no others")

    return check


def _tensor(like: Any) -> Schema:
    if not isinstance(like, Tensor):
        return leaf(f"a {type(like).__name__}", lambda value: type(value) is type(like))
    shape, kind = tuple(like.shape), like.dtype

    def fits(value: Any) -> bool:
        plain = isinstance(value, Tensor) and value.layout == torch.strided
        return plain and tuple(value.shape) == shape and value.dtype == kind

    return leaf(f"a tensor {list(shape)} of {str(kind).removeprefix('torch.')}", fits)


def _optimizers(trainer: Trainer, begun: bool) -> Schema:
    """Expect an optimizer's groups as the model has them, and values that fit their parameters."""
    parts = trainer.optimizer.parts

    def check(value: Any) -> Iterator[Fault]:
        if not isinstance(value, list) or len(value) != len(parts):
            yield Fault("", f"{len(value)} parts" if isinstance(value, list) else "no list", f"{len(parts)} parts")
            return
        for place, (part, saved) in enumerate(zip(parts, value)):
            for fault in _optimizer(part, begun)(saved):
                yield fault._replace(place=f"[{place}].{fault.place}")

    return check


def _optimizer(part: torch.optim.Optimizer, begun: bool) -> Schema:
    groups = part.state_dict()["param_groups"]
    parameters = [parameter for group in part.param_groups for parameter in group["params"]]
    plain = record({"state": record({}), "param_groups": array(record({}), lowest=len(groups))})

    def check(value: Any) -> Iterator[Fault]:
        found = list(plain(value))
        yield from found
        if found:
            return
        # All but the rate, which follows from the step.
        fixed = [{key: one for key, one in group.items() if key != "lr"} for group in groups]
        if [{key: one for key, one in group.items() if key != "lr"} for group in value["param_groups"]] != fixed:
            yield Fault("param_groups", "of other parameters or settings", "the groups of this model and recipe")
            return
        if begun and not value["state"] and not _stateless(part):
            yield Fault("state", "empty", "what the steps before have left")
        for key, values in value["state"].items():
            if type(key) is not int or not 0 <= key < len(parameters) or not isinstance(values, Mapping):
                yield Fault(f"state.{str(key)[:40]}", "there", f"values of {len(parameters)} parameters")
                continue
            for name, one in values.items():
                if isinstance(one, Tensor) and one.ndim and one.shape != parameters[key].shape:
                    expected = f"the shape of its parameter, {list(parameters[key].shape)}"
                    yield Fault(f"state.{key}.{str(name)[:40]}", f"a tensor {list(one.shape)}", expected)

    return check


def _stateless(part: torch.optim.Optimizer) -> bool:
    return isinstance(part, torch.optim.SGD) and not any(group["momentum"] for group in part.param_groups)
