"""The command and the five lines of Python that do again what the page did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from backlight.core.escaping import shell_command
from backlight.tasks.loading import DEFAULT_MODEL, DataRequest, ModelRequest

REQUESTS = {
    "predict": "PredictRequest",
    "explain": "ExplainRequest",
    "attack": "AttackRequest",
    "visualize": "VisualizeRequest",
    "denoise": "DenoiseRequest",
    "report": "ReportRequest",
}
_POSITIONAL = ("what", "subjects")
_WITHOUT_MODEL = ("denoise",)


@dataclass(frozen=True)
class Repeat:
    """A verb with what it was asked: the fields of its request, but for the picture and the model.

    >>> repeat = Repeat("explain", ModelRequest(), "cat.jpg", {"methods": ("gradcam",)})
    >>> repeat.command()
    'backlight explain cat.jpg --methods gradcam'
    """

    verb: str
    model: ModelRequest
    picture: str | None
    given: Mapping[str, Any]

    def command(self) -> str:
        """Write the command that does the same to a file of that name."""
        words = [str(one) for name in _POSITIONAL for one in _listed(self.given.get(name, ()))]
        if self.picture is not None:
            words.append(f"./{self.picture}" if self.picture.startswith("-") else self.picture)
        options = {name: value for name, value in self.given.items() if name not in _POSITIONAL}
        model = {} if self.verb in _WITHOUT_MODEL else _changed(self.model)
        written = [*_options(options), *_options(model)]
        if any(word.startswith("-") for word in words):  # a class may have any name
            return shell_command(["backlight", self.verb, *written, "--", *words])
        return shell_command(["backlight", self.verb, *words, *written])

    def python(self) -> str:
        """Write the lines of Python that do the same to a file of that name.

        >>> print(Repeat("predict", ModelRequest(), "cat.jpg", {}).python())
        from pathlib import Path
        from backlight import tasks
        request = tasks.PredictRequest((Path('cat.jpg'),), model='efficientnet_lite0')
        outcome = tasks.predict(request)
        print(outcome.document)
        """
        picture = () if self.picture is None else (f"(Path({self.picture!r}),)",)
        given = dict(self.given) if self.verb in _WITHOUT_MODEL else {"model": _PythonModel(self.model), **self.given}
        words = ", ".join((*picture, *(f"{name}={value!r}" for name, value in given.items())))
        return "\n".join(
            (
                "from pathlib import Path",
                "from backlight import tasks",
                f"request = tasks.{REQUESTS[self.verb]}({words})",
                f"outcome = tasks.{self.verb}(request)",
                "print(outcome.document)",
            )
        )

    def to_json(self) -> dict[str, str]:
        """Return both."""
        return {"command": self.command(), "python": self.python()}


@dataclass(frozen=True)
class RepeatData:
    """What a model says of a data set; `chosen` is Python for the rows of its table that are shown.

    >>> print(RepeatData(ModelRequest(), DataRequest("photos/", "test")).command())
    backlight evaluate --data photos/ --split test --table
    """

    model: ModelRequest
    data: DataRequest
    seed: int = 0
    chosen: str = "table.rows()"

    def command(self) -> str:
        """Write the command that writes the table of samples, and the page about it."""
        model = [] if self.model == ModelRequest() else self.model.words
        words = ("--data", self.data.name, *self.data.part_words, *model, *self._seed("--seed {}"), "--table")
        return shell_command(["backlight", "evaluate", *words])

    def python(self) -> str:
        """Write the lines of Python that print the rows.

        >>> print(RepeatData(ModelRequest(), DataRequest("photos/")).python())
        from backlight import tasks
        data = tasks.DataRequest('photos/')
        request = tasks.EvaluateRequest(data, models=('efficientnet_lite0',))
        table = tasks.evaluate(request).result[0].table
        print(table.rows())
        """
        part = {name: getattr(self.data, name) for name in ("split", "limit", "sample", "follow_links")}
        words = ", ".join([repr(self.data.name), *(f"{name}={value!r}" for name, value in part.items() if value)])
        asked = ", ".join(["data", f"models=({_PythonModel(self.model)!r},)", *self._seed("seed={}")])
        return "\n".join(
            (
                f"{'from pathlib import Path; ' if 'Path(' in asked else ''}from backlight import tasks",
                f"data = tasks.DataRequest({words})",
                f"request = tasks.EvaluateRequest({asked})",
                "table = tasks.evaluate(request).result[0].table",
                f"print({self.chosen})",
            )
        )

    def to_json(self) -> dict[str, str]:
        """Return both."""
        return {"command": self.command(), "python": self.python()}

    def _seed(self, form: str) -> list[str]:
        return form.format(self.seed).split() if self.seed else []


@dataclass(frozen=True)
class _PythonModel:
    """A model as Python writes it: its name alone where nothing else was asked for."""

    model: ModelRequest

    def __repr__(self) -> str:
        changed = _changed(self.model)
        rest = [f"{name}={_python(value)}" for name, value in changed.items() if name != "model"]
        if not rest:
            return repr(self.model.model)
        return f"tasks.ModelRequest({', '.join([repr(self.model.model), *rest])})"


def _python(value: Any) -> str:
    return f"Path({str(value)!r})" if isinstance(value, Path) else repr(value)


def _changed(model: ModelRequest) -> dict[str, Any]:
    """Return what a model was asked for beyond the default."""
    values = {field.name: getattr(model, field.name) for field in fields(model)}
    default = vars(ModelRequest(DEFAULT_MODEL))
    return {name: value for name, value in values.items() if value != default[name]}


def _options(given: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            yield option
        elif value is not None and value is not False:
            yield from (option, _separator(name).join(map(str, _listed(value))))


def _separator(name: str) -> str:
    return "x" if name == "size" else ","


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)
