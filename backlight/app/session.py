"""The models, the worker, and how each verb is done for one picture: a task, and its answer for the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from backlight import tasks
from backlight.app import answers
from backlight.app.asking import ABOUT_DATA, Asked
from backlight.app.jobs import Job, Work, Worker, stoppable
from backlight.app.repeating import Repeat
from backlight.app.shelf import Shelf
from backlight.app.uploads import own_folder
from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.images import read_size
from backlight.report import sample_pictures
from backlight.tasks.loading import ModelRequest
from backlight.visualize import Frame

FRAME_EVERY = 6
MOST_DENOISED = 1_500_000


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model, and what was asked for to have it."""

    request: ModelRequest
    classifier: Classifier

    @cached_property
    def search(self) -> Classifier:
        """Its fast copy, made once: nothing here changes a model."""
        return self.classifier.fast()


@dataclass(frozen=True, eq=False)
class Given:
    """One thing to do: what was asked of which model about which picture, and a folder for what is made."""

    asked: Asked
    model: Loaded
    picture: Path
    out: Path
    job: Job
    place: int = 0
    shelf: Shelf | None = None

    @property
    def data(self) -> Shelf:
        """The data set that the page looks through; raises UsageError where it was given none."""
        if self.shelf is None:
            raise UsageError("there is no data set here", hint="backlight app --data DATA")
        return self.shelf

    def count(self, done: int, total: int) -> None:
        """Say how many pictures of all are done, and end the work where it is no longer wanted."""
        self.job.check()
        self.job.say("frame", {"step": done, "steps": total})

    def request(self, **more: Any) -> Any:
        """Build the task's request; the folder for what is made is none of what a person would repeat."""
        pictures = (self.picture,) if self.asked.needs_picture else None
        return self.asked.request(pictures=pictures, model=self.model.classifier, **more)

    def predict(self, picture: Path, cover: str | None = None) -> Any:
        """Ask what the model says of a picture."""
        return tasks.predict(tasks.PredictRequest((picture,), self.model.classifier, cover=cover))

    def show(self, frame: Frame) -> None:
        """Say how far the work is, and end it where it is no longer wanted."""
        self.job.check()
        if frame.total > 1:  # the one step of an attack is the answer itself
            self.job.say("frame", answers.frame(self.model.classifier, frame.t, frame.total, frame.images[0]))


@dataclass(frozen=True, eq=False)
class Session:
    """What the app answers from."""

    models: tuple[Loaded, ...]
    worker: Worker = field(default_factory=Worker)
    shelf: Shelf | None = None

    def begin(self) -> None:
        """Start the worker, and let it ask once for everything that should be quick: first times are slow."""
        for one in self.models:
            stoppable(one.classifier.module, self.worker)
        self.worker.start()
        picture = sample_pictures()[0]
        for verb, words in (("predict", {}), ("explain", {"methods": "gradcam"}), ("attack", {"method": "fgsm"})):
            self.worker.submit(self.work(Asked.read(verb, words), picture.read_bytes(), picture.name))

    def work(self, asked: Asked, data: bytes | None, name: str, model: int = 0) -> Work:
        """Return what a job has to do; raises UsageError for a model that there is not."""
        if not 0 <= model < len(self.models):
            raise UsageError(f"model {model}", expected=f"0 to {len(self.models) - 1}")
        loaded = self.models[model]

        def work(job: Job) -> Mapping[str, Any]:
            # Held once: to take and to leave it for each look costs as much as a small pass.
            with own_folder(data, name) as (picture, out), loaded.classifier.guard():
                answer = _DONE[asked.verb](Given(asked, loaded, picture, out, job, model, self.shelf))
            if asked.verb in ABOUT_DATA:
                return {"verb": asked.verb, **answer}
            repeat = Repeat(asked.verb, loaded.request, name if asked.needs_picture else None, asked.given)
            return {"verb": asked.verb, "picture": name, **answer, "repeat": repeat.to_json()}

        return work


def _predict(given: Given) -> dict[str, Any]:
    return answers.predicted(tasks.predict(given.request())) | answers.seen(given.model.classifier, given.picture)


def _explain(given: Given) -> dict[str, Any]:
    return answers.explained(tasks.explain(given.request(out=given.out)))


def _attack(given: Given) -> dict[str, Any]:
    request = given.request(out=given.out, with_page=False)
    outcome = answers.done_or_raise(tasks.attack(request, watch=given.show, search=given.model.search))
    (found,) = outcome.result
    return answers.attacked(outcome, given.predict(given.picture), given.predict(Path(found.png)))


def _visualize(given: Given) -> dict[str, Any]:
    outcome = tasks.visualize(given.request(out=given.out, frames=FRAME_EVERY), watch=given.show)
    return answers.made(outcome, given.predict(Path(outcome.result[0].png)))


def _denoise(given: Given) -> dict[str, Any]:
    width, height = read_size(given.picture.read_bytes(), given.picture.name)
    if width * height > MOST_DENOISED:
        found = f"{given.picture.name} has {width} x {height} pixels, which takes minutes"
        raise UsageError(found, expected=f"at most {MOST_DENOISED:,} here", hint="the command below")
    return answers.denoised(tasks.denoise(given.request(out=given.out)))


def _report(given: Given) -> dict[str, Any]:
    page = given.out / "report.html"
    command = Repeat("report", given.model.request, given.picture.name, given.asked.given).command()
    tasks.report(given.request(out=page, command=command))
    return {"html": page.read_text("utf-8")}


def _browse(given: Given) -> dict[str, Any]:
    if "report" in given.asked.given:
        return {"html": given.data.report(given.place)}
    return given.data.look(given.place, given.model.request, given.model.classifier, given.out, given.count)


def _show(given: Given) -> dict[str, Any]:
    return given.data.show(given.place, given.model.request, given.asked.chosen)


def _open(given: Given) -> dict[str, Any]:
    return given.data.open(given.place, given.asked.given.get("row", 0))


_DONE: Mapping[str, Callable[[Given], dict[str, Any]]] = {
    "predict": _predict,
    "explain": _explain,
    "attack": _attack,
    "visualize": _visualize,
    "denoise": _denoise,
    "report": _report,
    "browse": _browse,
    "show": _show,
    "open": _open,
}
