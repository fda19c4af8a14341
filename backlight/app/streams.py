"""What a job says on its way, as server-sent events (HTML Living Standard, section 9.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.responses import StreamingResponse

from backlight.app.jobs import Job, Worker
from backlight.core.escaping import json_text


def event(kind: str, data: Mapping[str, Any]) -> str:
    r"""Write one event; JSON has no line breaks of its own, so data is one line.

    >>> event("done", {"a": 1})
    'event: done\ndata: {"a": 1}\n\n'
    """
    return f"event: {kind}\ndata: {json_text(data, indent=None)}\n\n"


def job_stream(worker: Worker, job: Job) -> StreamingResponse:
    """Answer with the events of a job until its end; whoever leaves before that does not want it any more."""
    return StreamingResponse(_events(worker, job), media_type="text/event-stream")


async def _events(worker: Worker, job: Job) -> AsyncIterator[str]:
    loop, news = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(news.set)

    job.tell(tell)
    sent = 0
    try:
        while True:
            news.clear()
            ended = job.ended
            while sent < len(job.events):
                yield event(*job.events[sent])
                sent += 1
            if ended:
                worker.forget(job)
                return
            await news.wait()
    finally:
        if not job.ended:
            worker.cancel(job)
            worker.forget(job)
