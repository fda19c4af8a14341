import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from backlight.sweep import cost
from tests.cli.running import CommandLine


@pytest.fixture(autouse=True)
def _heeds_interrupts() -> Iterator[None]:
    # Shells start what runs in the background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def backlight(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with two photographs."""
    folder = tmp_path_factory.mktemp("photographs")
    Image.fromarray(data.chelsea()).save(folder / "chelsea.png")
    Image.fromarray(data.coffee()).save(folder / "coffee.jpg")
    return folder


@pytest.fixture(autouse=True)
def block_sizes_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back how large blocks are, which some models' files change when a verb loads them in this process."""
    for name in ("SECONDS", "_FEWEST_VALUES"):
        monkeypatch.setattr(cost, name, getattr(cost, name))


FACTORY = """
import torch
from torch import nn
from backlight import Classifier

def small():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 3),
        )
    return Classifier.from_module(net, size=32, labels=["<script>alert(1)</script>", "dog", "cat"])
"""


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a `file.py:factory` specification of a tiny model, so that verbs run in milliseconds."""
    path = tmp_path_factory.mktemp("model") / "factory.py"
    path.write_text(FACTORY)
    return f"{path}:small"


@pytest.fixture
def shapes_model(small_model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the small model with the classes of the shapes."""
    source = Path(small_model.removesuffix(":small")).read_text()
    path = tmp_path_factory.mktemp("shapes") / "factory.py"
    path.write_text(source.replace('"<script>alert(1)</script>", "dog", "cat"', '"circle", "square", "triangle"'))
    return f"{path}:small"
