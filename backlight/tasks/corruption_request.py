"""What the verb `corruptions` is asked: which pictures, made or stored corruptions of them, which models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backlight.core.errors import UsageError
from backlight.core.files import expanded
from backlight.corrupt.layouts import is_stored
from backlight.corrupt.published import read_stored
from backlight.corrupt.registry import CorruptionCard, frost_card
from backlight.corrupt.request import CorruptionRequest
from backlight.corrupt.weather import frost_of
from backlight.data import Dataset
from backlight.images import find_pictures, open_picture, to_tensor
from backlight.tasks.loading import DEFAULT_MODEL, DataRequest, Model, model_name
from backlight.tasks.outcome import plain_json


@dataclass(frozen=True)
class CorruptionsRequest:
    """Which data set is corrupted and how: kinds and severities as `CorruptionRequest.of` reads them.

    Where `data` is a folder of stored corruptions, such as CIFAR-10-C or ImageNet-C, nothing is corrupted: they are
    looked at, and the pictures before corruption are `clean` where they are known; part and number are of those.
    A `second` model is compared with the first, picture by picture.

    `frost` is a folder of photographs of frost, without which a drawn likeness stands in. `resume` goes on from the
    blocks that are finished in `out`.

    >>> CorruptionsRequest(DataRequest("shapes:n=8"), kinds="fog").load()[1].names
    ('fog',)
    """

    data: DataRequest
    model: Model = DEFAULT_MODEL
    second: Model | None = None
    kinds: str = "published"
    severities: str = "1-5"
    stability: bool = False
    frost: Path | None = None
    pictures: bool = True
    resume: bool = False
    out: Path = Path("backlight-out")
    force: bool = False
    seed: int = 0
    command: str = ""
    clean: str | Dataset | None = None

    @property
    def models(self) -> tuple[Model, ...]:
        """Return the models that look."""
        return (self.model,) if self.second is None else (self.model, self.second)

    def load(self) -> tuple[Dataset, CorruptionRequest]:
        """Load the pictures and read what is asked for.

        Raises UsageError for what there is not, FileError for broken photographs of frost, and as the data's loader.
        """
        stored = _stored_folder(self.data)
        if stored is None:
            if self.clean is not None:
                found = f"--clean beside {self.data.name}, which holds no stored corruptions"
                raise UsageError(found, expected="KIND/SEVERITY/class/picture, or KIND.npy beside labels.npy")
            frost = _frost(self.frost)
            asked = CorruptionRequest.of(self.kinds, severities=self.severities, stability=self.stability, frost=frost)
            return self.data.load(*self.models, seed=self.seed), asked
        whole = replace(self.data, data=self.clean or "", limit=None, sample=None)
        pictures, asked = read_stored(
            stored,
            self.kinds,
            self.severities,
            clean=None if self.clean is None else whole.load(*self.models, seed=self.seed),
            stability=self.stability,
            follow_links=self.data.follow_links,
        )
        return pictures.sampled(self.data.sample, self.seed).limited(self.data.limit), asked

    def described(self, asked: CorruptionRequest) -> dict[str, Any]:
        """Describe what the evaluation is of, to tell one from another."""
        where = {
            "second": None if self.second is None else model_name(self.second),
            **self.data.described,
            "before": self.clean.name if isinstance(self.clean, Dataset) else self.clean,
            "seed": self.seed,
        }
        described: dict[str, Any] = plain_json({**asked.describe(), "model": model_name(self.model), **where})
        return described


def _stored_folder(data: DataRequest) -> Path | None:
    """Return the folder of stored corruptions that the data are, None where they are something else."""
    folder = None if isinstance(data.data, Dataset) else expanded(data.data)
    return folder if folder is not None and is_stored(folder) else None


def _frost(folder: Path | None) -> CorruptionCard | None:
    if folder is None:
        return None
    return frost_card(frost_of([to_tensor(open_picture(path)) for path in find_pictures([folder])]))
