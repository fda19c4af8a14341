"""The data set that the page looks through: asked about once for each model, then shown, ordered and opened."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backlight import tasks
from backlight.app.repeating import RepeatData
from backlight.app.uploads import MOST_BYTES, file_name
from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.tasks.browsing import Chosen, Looked, look_through
from backlight.tasks.loading import DataRequest, ModelRequest, data_title


@dataclass(frozen=True, eq=False)
class Shelf:
    """A data set, as it was asked for and loaded; what each model says of it is found when first asked for, and kept.

    >>> request = DataRequest("shapes:n=20,size=32,classes=2")
    >>> Shelf(request, DataRequest(request.load())).describe()
    {'name': 'shapes:n=20,size=32,classes=2 (all)', 'n': 20}
    """

    request: DataRequest
    loaded: DataRequest
    seed: int = 0
    looked: dict[int, Looked] = field(default_factory=dict)
    pages: dict[int, str] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Name the data and count its pictures."""
        pictures = self.loaded.load()
        return {"name": data_title(pictures), "n": len(pictures)}

    def look(
        self, place: int, model: ModelRequest, classifier: Classifier, out: Path, watch: Callable[[int, int], None]
    ) -> dict[str, Any]:
        """Ask the model at `place` about every picture where that was not done; `watch` is told how many are done."""
        repeat = RepeatData(model, self.request, self.seed)
        if place not in self.looked:
            request = tasks.EvaluateRequest(
                self.loaded, (classifier,), out=out, seed=self.seed, command=repeat.command()
            )
            looked = look_through(request, progress=_Watched(watch))
            self.looked[place] = looked
            self.pages[place] = "" if looked.html is None else looked.html.read_text("utf-8")
        return {**self.looked[place].told, "data": self.describe(), "repeat": repeat.to_json()}

    def show(self, place: int, model: ModelRequest, chosen: Chosen) -> dict[str, Any]:
        """Show one page of the pictures that were chosen."""
        repeat = RepeatData(model, self.request, self.seed, chosen.python())
        return {**self._known(place).page(chosen), "repeat": repeat.to_json()}

    def open(self, place: int, row: int) -> dict[str, Any]:
        """Give the picture in a row of the table as PNG; raises UsageError for one too large to be taken here."""
        told, picture = self._known(place).picture(row)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", compress_level=1)
        if buffer.tell() > MOST_BYTES:
            found = f"{told['id']} takes {buffer.tell() // 10**6} MB as PNG"
            raise UsageError(found, expected=f"at most {MOST_BYTES // 10**6}", hint="choose the file itself")
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        return {**told, "name": opened_name(told["id"]), "png": f"data:image/png;base64,{data}"}

    def report(self, place: int) -> str:
        """Return the page of the evaluation."""
        self._known(place)
        return self.pages[place]

    def _known(self, place: int) -> Looked:
        if place not in self.looked:
            raise UsageError("nothing was looked at yet", hint="open the data first")
        return self.looked[place]


@dataclass(frozen=True)
class _Watched:
    """Progress that is told to the page; whole percents only, since every event is kept until it is read."""

    watch: Callable[[int, int], None]
    state: dict[str, int] = field(default_factory=dict)

    def start(self, total: int, description: str) -> None:
        self.state.update(total=total, done=0, told=-1)

    def advance(self, count: int = 1, note: str = "") -> None:
        done, total = self.state["done"] + count, max(1, self.state["total"])
        self.state["done"] = done
        if 100 * done // total > self.state["told"]:
            self.state["told"] = 100 * done // total
            self.watch(done, total)

    def announce(self, text: str) -> None:
        """Estimates are for a terminal."""

    def done(self) -> None:
        """What follows says so."""


def opened_name(name: str) -> str:
    """Return the name of a file for a picture of a data set, which has the form PNG whatever it was.

    >>> opened_name("cats/one.jpg"), opened_name("17"), opened_name("a\\u202eb.png")
    ('cats-one.png', '17.png', 'picture.png')
    """
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", name)
    return file_name(re.sub(r"[/\\]+", "-", stem) + ".png")
