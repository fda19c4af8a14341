"""What a browser sends to the app, as bytes, and the app asked with it: any answer but one of its own is an error."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

from backlight.app.jobs import Job, Work, Worker
from backlight.app.routes import application
from backlight.app.security import Door, Guarded
from backlight.app.session import Loaded, Session
from backlight.tasks.loading import ModelRequest
from tools.fuzz import seeds
from tools.fuzz.inputs import Content, Files

_TOKEN = "token"
_END = b"\r\n"


class AtOnce(Worker):
    """Do each job when it is asked for, so that what it raises is seen."""

    def submit(self, work: Work) -> Job:
        """Do it."""
        job = Job(work)
        work(job)
        return job


def requests() -> list[Files]:
    """Return one request of every kind."""
    asked = (
        ("GET", "/", {}),
        ("GET", "/api/state", {}),
        ("GET", "/api/sample/0", {}),
        ("GET", "/static/dom.js", {}),
        ("DELETE", "/api/job/abc", {}),
        ("POST", "/api/predict?name=cat.png&model=0&cover=0.5,0.5,0.25&top=3", {}),
        ("POST", "/api/explain?methods=saliency&target=index:1&quantity=logit", {}),
        ("POST", "/api/attack?method=pgd:steps=2&eps=2/255&norm=linf&steps=2", {}),
        ("POST", "/api/visualize?what=class&subjects=index:1&steps=1", {}),
        ("POST", "/api/denoise?alpha=1&data_norm=l1&smooth_norm=l2", {}),
    )
    return [{"request.http": spoken(*one)} for one in asked]


def request_bombs() -> Iterable[tuple[str, Content]]:
    """Yield requests with numbers and words without end, and with names that are paths."""
    long = "9" * 5000
    for address in (
        f"/api/predict?model={long}", f"/api/sample/{long}", f"/api/predict?top={long}", f"/static/{long}",
        "/api/predict?name=../../escaped", "/api/predict?name=%00", "/static/..%2f..%2fescaped", f"/api/{long}",
        "/api/explain?methods=evil.py:f", "/api/predict?cover=nan,inf,1e400", f"/api/denoise?alpha={long}",
        f"/api/attack?eps={long}/255", "/api/visualize?what=class&subjects=\u202e", "/api/predict?model=%C2%B2",
    ):  # fmt: skip
        yield "request.http", spoken("GET" if "sample" in address or "static" in address else "POST", address, {})
    yield "request.http", spoken("POST", "/api/predict", {"content-length": long})
    yield "request.http", spoken("POST", "/api/predict", {"content-length": "\u00b2"})


def spoken(method: str, address: str, more: dict[str, str]) -> bytes:
    """Write a request as it goes over the wire."""
    fields = {"host": "127.0.0.1:8000", "x-backlight-token": _TOKEN, **more}
    lines = [f"{method} {address} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return _END.join(line.encode("utf-8", "surrogateescape") for line in lines) + 2 * _END + seeds.encoded("PNG")


def ask(data: bytes, folder: Path) -> None:
    """Ask the app; raises what it raises, and AssertionError for an answer that says that it is broken."""
    head, _, body = data.partition(2 * _END)
    first, *lines = head.split(_END)
    method, target = (first.split(b" ") + [b"", b""])[:2]
    path, _, query = target.partition(b"?")
    fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
        "method": method.decode("latin-1").upper(), "path": unquote(path.decode("latin-1")), "raw_path": path,
        "query_string": query, "headers": fields, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    with mock.patch.object(tempfile, "tempdir", str(folder)):
        asyncio.run(_app()(scope, receive, send))
    assert told[0]["status"] < 500 or told[0]["status"] == 503


@cache
def _app() -> Guarded:
    asked = ModelRequest("classic_cnn", random=True)
    return application(Session((Loaded(asked, asked.load(0)),), AtOnce()), Door("127.0.0.1", 8000, _TOKEN))
