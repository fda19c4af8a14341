"""Addresses and what they do."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from backlight.app.asking import Asked
from backlight.app.choices import Choices
from backlight.app.jobs import Busy
from backlight.app.pages import asset, page_html, state
from backlight.app.security import Door, Guarded
from backlight.app.session import Session
from backlight.app.streams import job_stream
from backlight.app.uploads import Refused, file_name, read_picture
from backlight.core.errors import BacklightError
from backlight.report import sample_pictures

_KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_OURS = ("token", "name", "model")


def application(session: Session, door: Door) -> Guarded:
    """Return the whole app behind its door."""
    routes = Routes(session)
    inner = Starlette(
        routes=[
            Route("/", routes.page),
            Route("/static/{name}", routes.static),
            Route("/api/state", routes.state),
            Route("/api/sample/{number}", routes.sample),
            Route("/api/job/{name}", routes.job, methods=["GET"]),
            Route("/api/job/{name}", routes.cancel, methods=["DELETE"]),
            Route("/api/{verb}", routes.ask, methods=["POST"]),
        ],
        exception_handlers={Refused: _refused, BacklightError: _misused, Busy: _busy},
    )
    return Guarded(inner, door)


class Routes:
    """What each address does."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def page(self, request: Request) -> Response:
        """Give the page."""
        return HTMLResponse(page_html())

    async def static(self, request: Request) -> Response:
        """Give a file that the page is made of."""
        name = request.path_params["name"]
        try:
            return Response(asset(name), media_type=_KINDS.get(name.rpartition(".")[2]))
        except FileNotFoundError:
            raise Refused(404, "there is no such file") from None

    async def state(self, request: Request) -> Response:
        """Tell which models there are and what can be chosen."""
        return JSONResponse(await run_in_threadpool(state, self.session.models, Choices(), self.session.shelf))

    async def sample(self, request: Request) -> Response:
        """Give the bytes of a sample picture."""
        paths = sample_pictures()
        number = _place(request.path_params["number"], len(paths))
        if number is None:
            raise Refused(404, "there is no such sample")
        return Response(paths[number].read_bytes(), media_type="application/octet-stream")

    async def ask(self, request: Request) -> Response:
        """Put what is asked in the queue, and say which job it is."""
        words = {name: value for name, value in request.query_params.items() if name not in _OURS}
        asked = Asked.read(request.path_params["verb"], words)
        data = await read_picture(request) if asked.needs_picture else None
        name = file_name(request.query_params.get("name", ""))
        model = _place(request.query_params.get("model", "0"), len(self.session.models))
        work = self.session.work(asked, data, name, -1 if model is None else model)
        job = self.session.worker.submit(work)
        return JSONResponse({"job": job.name}, 202)

    async def job(self, request: Request) -> Response:
        """Stream the events of a job."""
        return job_stream(self.session.worker, self._found(request))

    async def cancel(self, request: Request) -> Response:
        """End a job."""
        self.session.worker.cancel(self._found(request))
        return Response(status_code=204)

    def _found(self, request: Request) -> Any:
        job = self.session.worker.kept.get(request.path_params["name"])
        if job is None:
            raise Refused(404, "there is no such job, or its answer was fetched")
        return job


def _place(text: str, count: int) -> int | None:
    """Read a place in a list; numbers without end cost a search, no conversion."""
    return next((place for place in range(count) if text == str(place)), None)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse({"error": error.reason}, error.status)


async def _misused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 422)


async def _busy(request: Request, error: Exception) -> Response:
    told = {"error": "too much is waiting already; ask again in a second"}
    return JSONResponse(told, 503, headers={"Retry-After": "1"})
