"""A small model behind the app, asked as a browser asks, without one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data
from starlette.testclient import TestClient

from backlight.app.routes import application
from backlight.app.security import TOKEN_HEADER, Door
from backlight.app.session import Loaded, Session
from backlight.tasks.loading import ModelRequest

TOKEN = "a token of the tests"
HOST = "127.0.0.1:8000"
SMALL = ModelRequest("classic_cnn", random=True)


class Asker(TestClient):
    """A client that knows the token, asks a verb and reads its events to the end."""

    def events(self, verb: str, picture: bytes = b"", **words: str) -> list[tuple[str, dict[str, Any]]]:
        asked = self.post(f"/api/{verb}", params=words, content=picture)
        assert asked.status_code == 202, asked.text
        return self.follow(asked.json()["job"])

    def follow(self, job: str) -> list[tuple[str, dict[str, Any]]]:
        blocks = self.get(f"/api/job/{job}").text.strip().split("\n\n")
        pairs = [block.removeprefix("event: ").split("\ndata: ", 1) for block in blocks]
        return [(kind, json.loads(told)) for kind, told in pairs]

    def answer(self, verb: str, picture: bytes = b"", **words: str) -> dict[str, Any]:
        kind, told = self.events(verb, picture, **words)[-1]
        assert kind == "done", told
        return told


def headers(token: str | None = TOKEN) -> Mapping[str, str]:
    return {} if token is None else {TOKEN_HEADER: token}


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    """Give a session with a small random model, at work."""
    session = Session((Loaded(SMALL, SMALL.load(0)),))
    session.begin()
    yield session
    session.worker.stop()


@pytest.fixture
def client(session: Session) -> Iterator[Asker]:
    with Asker(application(session, Door("127.0.0.1", 8000, TOKEN)), f"http://{HOST}", headers=headers()) as asker:
        yield asker


@pytest.fixture(scope="session")
def cat() -> bytes:
    """Give the bytes of a photograph of a cat."""
    buffer = io.BytesIO()
    Image.fromarray(data.chelsea()).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def cat_here(cat: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay the cat into an empty working directory, where commands and Python find it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").write_bytes(cat)
    return tmp_path
