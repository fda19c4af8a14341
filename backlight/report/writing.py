"""The one call that makes a report: it is written anew after every batch, so what was finished is never lost."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import Failure, ModelError
from backlight.core.files import require_new, write_text
from backlight.core.progress import Progress
from backlight.images.intake import read_batches
from backlight.images.picture import Photograph
from backlight.page.page import Page
from backlight.page.sections import Section
from backlight.report.about import about
from backlight.report.exports import write_exports
from backlight.report.fill import fill
from backlight.report.looking import PhotographReader
from backlight.report.model import model_section
from backlight.report.picture import Summary, picture_section
from backlight.report.study import METHODS, study_pictures
from backlight.table import Table

_ENCODING = 2  # threads


@dataclass(frozen=True)
class Options:
    """What goes into a report; `pictures` false makes a page of numbers only, `command` is shown on the page.

    `title` stands above it all; left out, it is that of a page of pictures. `data` says what was looked at.
    `leads` puts the first of the sections right below the title: the answer, for a page that has one. `headline` stands
    for the page in an index of many; left out, it says how many of its pictures are fooled. `tables` are written beside
    the page, into the folder `exports`, and so are its charts; nothing is where `exports` is None. A page without
    pictures that tells of no attack is not `attacked`: it makes no copy of the model that attacks would search on.

    >>> Options().methods
    ('saliency', 'gradcam', 'guided_backprop', 'guided_gradcam')
    """

    methods: tuple[str, ...] = METHODS
    seed: int = 0
    batch_size: int = 4
    pictures: bool = True
    memory_format: str = "auto"
    command: str = ""
    title: str = ""
    data: str = ""
    leads: bool = False
    headline: str = ""
    tables: Mapping[str, Table] = field(default_factory=dict)
    exports: Path | None = None
    attacked: bool = True


@dataclass(frozen=True)
class Report:
    """A finished report: the file, how many pictures it shows, the seconds it took, and the files left out.

    `exports` are the tables and charts beside it.

    >>> Report(Path("report.html"), 4, 31.5).to_json()
    {'html': 'report.html', 'pictures': 4, 'seconds': 31.5, 'failed': []}
    """

    html: Path
    pictures: int
    seconds: float
    failed: tuple[Failure, ...] = ()
    exports: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return `{"html","pictures","seconds","failed": [{"path","error"}]}`."""
        failed = [one.to_json() for one in self.failed]
        return {"html": str(self.html), "pictures": self.pictures, "seconds": round(self.seconds, 3), "failed": failed}


def write_report(
    classifier: Classifier,
    paths: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    sections: Sequence[Section] = (),
    failed: Sequence[Failure] = (),
    options: Options | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Study picture files and write one self-contained HTML page to `out`.

    A file that cannot be read is named on the page and the others go on. The page is replaced as a whole after
    every batch: interrupted at any moment, it shows the pictures that were finished. `sections` are more of them, as
    `tables.table_sections` makes them of a table, and `failed` what failed before. The classifier is left as it was.

    Raises UsageError where `out` exists and `force` is not given, ModelError for a model with fewer than two
    classes or of unknown input size, and as `explain` does for methods.

    >>> import tempfile
    >>> import torch
    >>> from torch import nn
    >>> from backlight.images import write_png
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_png(folder / "gray.png", torch.full((3, 8, 8), 0.5))
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> classifier = Classifier.from_module(net, size=8, labels=["cat", "dog"])
    >>> write_report(classifier, [folder / "gray.png"], folder / "report.html").pictures
    1
    """
    target, options = require_new(out, force), options or Options()
    if classifier.classes < 2:
        raise ModelError(f"{classifier.name} has {classifier.classes} class", expected="at least two to tell apart")
    draft = _Draft(classifier, target, options, list(sections), list(failed), names_of(paths), len(paths))
    reader, size = PhotographReader(classifier), options.batch_size
    for photographs in read_batches(reader, paths, size, draft.failed, progress=progress, description="report"):
        draft.add(photographs)
        draft.write()
    draft.write(finished=True)
    exported = () if options.exports is None else write_exports(options.tables, draft.sections, options.exports)
    return Report(target, len(draft.pictures), draft.seconds, tuple(draft.failed), exported)


def names_of(paths: Sequence[str | os.PathLike[str]]) -> dict[Path, str]:
    """Name pictures by what tells them apart: the path below the folder that all share.

    Whole paths would tell whoever the page is sent to about the sender's disk.

    >>> list(names_of(["/home/me/cats/a.jpg", "/home/me/dogs/a.jpg"]).values())
    ['cats/a.jpg', 'dogs/a.jpg']
    """
    folders = {os.path.dirname(os.path.abspath(path)) for path in paths}
    shared = os.path.commonpath(folders) if folders else ""
    return {Path(path): os.path.relpath(os.path.abspath(path), shared) for path in paths}


@dataclass
class _Draft:
    """A page in the making."""

    classifier: Classifier
    target: Path
    options: Options
    sections: list[Section]
    failed: list[Failure]
    names: Mapping[Path, str]
    wanted: int
    pictures: list[Section] = field(default_factory=list)
    summaries: list[Summary] = field(default_factory=list)
    model: Section | None = None
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.before = len(self.failed)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @cached_property
    def about(self) -> tuple[tuple[str, str], ...]:
        facts = about(self.classifier, data=self.options.data, command=self.options.command)
        folder = self.options.exports
        kinds = "CSV, Markdown, LaTeX; SVG, PDF"
        return facts if folder is None else (*facts, ("tables and figures", f"{folder.name}/ ({kinds})"))

    @cached_property
    def search(self) -> Classifier:
        return self.classifier.fast(memory_format=self.options.memory_format)

    def add(self, photographs: Sequence[Photograph]) -> None:
        options, place = self.options, len(self.pictures) + 1
        # Held once: to take and to leave it costs as much as a small pass, and each look would.
        with self.classifier.guard(), self.search.guard(), ThreadPoolExecutor(_ENCODING) as pool:
            studies = study_pictures(
                self.classifier, self.search, photographs, methods=options.methods, seed=options.seed
            )
            write = partial(picture_section, pictures=options.pictures)
            names = [self.names[study.picture.path] for study in studies]
            # To encode pictures takes as long as to describe the model, and neither needs the other.
            written = pool.map(write, studies, range(place, place + len(studies)), names)
            self._describe_model(studies[0].image)
            for section, summary in written:
                self.pictures.append(section)
                self.summaries.append(summary)

    def _describe_model(self, image: Tensor | None) -> None:
        if self.model is None:
            options = self.options
            search = self.search if self.wanted or options.attacked else None
            self.model = model_section(self.classifier, search, image, seed=options.seed, command=options.command)

    def _glance(self) -> Section | None:
        if not self.summaries:
            return None
        return Section("glance", "At a glance", fill("glance.html", {"summaries": self.summaries}))

    def write(self, finished: bool = False) -> None:
        self._describe_model(None)
        assert self.model is not None
        left = 0 if finished else self.wanted - len(self.pictures) - len(self.failed) + self.before
        page = Page(
            self.classifier.title,
            self._glance(),
            tuple(self.pictures),
            (*self.sections[1 if self.options.leads else 0 :], self.model),
            tuple(Failure(self.names.get(Path(one.path), one.path), one.error) for one in self.failed),
            left,
            self.seconds,
            self.options.title,
            self.about,
            self.sections[0] if self.options.leads else None,
            self.options.headline or _headline(self.summaries),
        )
        write_text(self.target, page.html())


def _headline(summaries: Sequence[Summary]) -> str:
    if not summaries:
        return ""
    fooled = sum(one.fooled is not None for one in summaries)
    return f"{fooled} of {len(summaries)} fooled by a change that people cannot see"
