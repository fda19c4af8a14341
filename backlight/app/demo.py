"""The demonstration: the page as a folder of plain files, with answers about the sample pictures written before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backlight.app.answers import file_uri
from backlight.app.asking import Asked
from backlight.app.choices import DEMONSTRATION, Choices, Question, about_a_picture, about_no_picture
from backlight.app.jobs import Job
from backlight.app.pages import SCRIPTS, asset, page_html, state
from backlight.app.session import Loaded, Session
from backlight.core.errors import FileError
from backlight.core.escaping import json_text
from backlight.core.files import require_new, write_bytes, write_text
from backlight.report import sample_pictures
from backlight.tasks.loading import ModelRequest

_ANSWERS, _SHARED = "answers-{}.js", "answers-classes.js"
_HEAVY = ("view", "box", "size")  # the same for every covered square


def write_demo(
    folder: Path,
    model: ModelRequest | None = None,
    *,
    choices: Choices = DEMONSTRATION,
    force: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write the page with its answers into `folder`, and return the file that is opened in a browser.

    `tell` is given a line for each picture. Raises UsageError where the page is there already, and as `load` does.

    >>> write_demo.__defaults__
    (None,)
    """
    index = require_new(folder / "index.html", force)
    loaded = Loaded(model or ModelRequest(), (model or ModelRequest()).load(0))
    session, paths = Session((loaded,)), sample_pictures()
    for path in paths:
        records = [_record(session, question, path) for question in about_a_picture(choices)]
        write_text(folder / _ANSWERS.format(path.stem), "".join(records))
        tell(f"{path.name}: {len(records)} answers")
    write_text(folder / _SHARED, "".join(_record(session, one, None) for one in about_no_picture(choices)))
    known = {**state((loaded,), choices), "samples": [path.name for path in paths]}
    write_text(folder / "state.js", f"Answers.state = {_json(known)};\nAnswers.samples = {_json(_samples(paths))};\n")
    own = ["dom", "canned", "state", *(Path(_ANSWERS.format(path.stem)).stem for path in paths), Path(_SHARED).stem]
    for name in ("page.css", "app.css", *(f"{one}.js" for one in (*SCRIPTS, "canned") if one != "live")):
        write_bytes(folder / name, asset(name))
    scripts = [*own, *(one for one in SCRIPTS if one not in ("dom", "live"))]
    write_text(index, page_html(scripts, base=""))
    return index


def _record(session: Session, question: Question, path: Path | None) -> str:
    verb, words = question
    data, name = (path.read_bytes(), path.name) if path else (None, "")
    job = Job(session.work(Asked.read(verb, words), data, name))
    job.run()
    kind, answer = job.events[-1]
    if kind != "done":
        raise FileError(path or "the demonstration", f"{verb} {words}: {answer.get('error', kind)}")
    frames = [told for kind, told in job.events if kind == "frame"]
    key = "|".join((verb, name, "0", *sorted(f"{word}={value}" for word, value in words.items())))
    return f"Answers.add({_json(key)}, {_json({'frames': frames, 'answer': dict(_light(answer, words))})});\n"


def _light(answer: Any, words: dict[str, str]) -> Iterator[tuple[str, Any]]:
    for name, value in answer.items():
        if not ("cover" in words and name in _HEAVY):
            yield name, value


def _samples(paths: list[Path]) -> list[str]:
    return [file_uri(path) for path in paths]


def _json(value: Any) -> str:
    return json_text(value, indent=None)
