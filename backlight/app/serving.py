"""The socket, the start and the stop."""

from __future__ import annotations

import secrets
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn

from backlight.app.routes import application
from backlight.app.security import Door, Guarded, is_loopback
from backlight.app.session import Loaded, Session
from backlight.app.shelf import Shelf
from backlight.core.errors import UsageError
from backlight.tasks.loading import DataRequest, ModelRequest, named

_PATIENCE = 2


@dataclass(frozen=True)
class AppRequest:
    """Which models the page shows, one or two, and where it listens; port 0 is any free one.

    `token` is drawn where it is left out, which only addresses of this machine may leave out. `data` is looked through.

    >>> AppRequest().host
    '127.0.0.1'
    """

    models: tuple[ModelRequest, ...] = (ModelRequest(),)
    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None
    seed: int = 0
    data: DataRequest | None = None


def serve(request: AppRequest, tell: Callable[[str], None]) -> None:
    """Show the page until it is interrupted; `tell` is given the lines that a person needs.

    Raises UsageError for an address that is not this machine's own without a token, and for one that is taken, and as
    `load` does.

    >>> serve(AppRequest(host="0.0.0.0"), print)
    Traceback (most recent call last):
    ...
    backlight.core.errors.UsageError: --host 0.0.0.0 can be reached from other machines; ...
    """
    if not is_loopback(request.host) and not request.token:
        found = f"--host {request.host} can be reached from other machines"
        raise UsageError(found, expected="a --token that only you know", hint="leave --host out")
    with listening(request.host, request.port) as opened:
        port = opened.getsockname()[1]
        token = request.token or secrets.token_urlsafe(24)
        session = opened_session(request)
        session.begin()
        server = Server(_config(application(session, Door(request.host, port, token))))
        server.ready = lambda: tell(f"Backlight is at {address(request.host, port)}?token={token}  (Ctrl-C ends it)")
        server.stopping = session.worker.stop
        try:
            server.run(sockets=[opened])
        except KeyboardInterrupt:  # uvicorn has stopped by then, and raises what it was stopped by once more
            pass
        finally:
            session.worker.stop()


def opened_session(request: AppRequest) -> Session:
    """Load the models and the data; models without names for their classes take those of the data.

    >>> len(opened_session(AppRequest((ModelRequest("classic_cnn", random=True),))).models)
    1
    """
    models = [one.load(request.seed) for one in request.models]
    shelf = None
    if request.data is not None:
        pictures = request.data.load(*request.models, seed=request.seed)
        models = [named(one, pictures) for one in models]
        shelf = Shelf(request.data, DataRequest(pictures), request.seed)
    return Session(tuple(map(Loaded, request.models, models)), shelf=shelf)


def _config(app: Guarded) -> uvicorn.Config:
    return uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=_PATIENCE, lifespan="off"
    )


class Server(uvicorn.Server):
    """A server that says when it is ready, and ends what its streams wait for when it is to stop."""

    ready: Callable[[], None]
    stopping: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started:
            self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End every job, so that no open stream waits for one, and stop."""
        self.stopping()
        await super().shutdown(sockets)


def listening(host: str, port: int) -> socket.socket:
    """Open a socket that listens on an address; raises UsageError where that cannot be.

    >>> with listening("127.0.0.1", 0) as opened:
    ...     opened.getsockname()[0]
    '127.0.0.1'
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family)
    try:
        if sys.platform != "win32":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
    except (OSError, OverflowError) as error:
        opened.close()
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"--host {host} --port {port}: {reason}", hint="leave --port out for a free one") from error
    return opened


def address(host: str, port: int) -> str:
    """Write the address of a page.

    >>> address("::1", 80)
    'http://[::1]:80/'
    """
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
