"""Real data where it lies, and no network anywhere."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backlight.core.allocator import keep_memory
from tests.fonts import fonts_cut_once
from tests.kernels import RoundedByShape
from tests.shapes import shapes_drawn_once

SWITCHES = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Give the folder of real data, or skip where there is none."""
    folder = Path(os.environ.get("BACKLIGHT_DATA") or (Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at BACKLIGHT_DATA ({folder})")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _memory() -> None:
    """Keep freed memory as the command line does; tests of memory start processes of their own."""
    keep_memory()


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> Iterator[None]:
    """Round products anew for every batch size where BACKLIGHT_TEST_KERNELS asks for it (`make test-processors`)."""
    if os.environ.get("BACKLIGHT_TEST_KERNELS") != "rounded-by-shape":
        yield
        return
    with RoundedByShape():
        yield


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    with fonts_cut_once(), shapes_drawn_once():
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """Leave out what only a loss of power could tell: no test pulls the plug, and thousands of files are written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> object:
        local = self.family == socket.AF_UNIX or (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1"))
        if not local:
            raise OSError(f"tests use no network; something tried {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start Debian's chromium, or skip where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no browser: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=SWITCHES)
        yield started
        started.close()
