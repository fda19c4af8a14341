"""One worker: turns, cancelling at any moment, a full queue, and nothing kept."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from backlight.app.jobs import MOST_KEPT, MOST_WAITING, Busy, Job, Worker, stoppable
from backlight.core.errors import InputError
from tests.app.conftest import Asker


@pytest.fixture
def worker():
    worker = Worker()
    worker.start()
    yield worker
    worker.stop()


class Blocked:
    """Work that begins, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()

    def __call__(self, job: Job) -> dict[str, int]:
        self.begun.set()
        while not self.let_go.wait(0.01):
            job.check()
        return {"answer": 1}


def ended(job: Job) -> str:
    end = threading.Event()
    job.tell(lambda: job.ended and end.set())
    assert job.ended or end.wait(60)
    return job.events[-1][0]


def test_jobs_are_done_in_turn_and_are_told_how_many_are_ahead(worker: Worker) -> None:
    first = Blocked()
    jobs = [worker.submit(first)]
    assert first.begun.wait(60)
    jobs += [worker.submit(lambda job, number=number: {"n": number}) for number in range(3)]
    assert [job.events[0] for job in jobs[1:]] == [("waiting", {"ahead": ahead}) for ahead in (1, 2, 3)]
    first.let_go.set()
    assert [ended(job) for job in jobs] == ["done"] * 4
    assert [one["ahead"] for kind, one in jobs[3].events if kind == "waiting"] == [3, 2, 1]


def test_what_runs_and_what_waits_can_be_cancelled(worker: Worker) -> None:
    running, waiting = Blocked(), Blocked()
    first, second = worker.submit(running), worker.submit(waiting)
    assert running.begun.wait(60)
    worker.cancel(second)
    assert second.events[-1][0] == "cancelled"
    worker.cancel(first)
    assert ended(first) == "cancelled"
    assert not waiting.begun.is_set()
    assert ended(worker.submit(lambda job: {})) == "done"


def test_a_pass_of_the_model_ends_a_cancelled_job_even_where_exceptions_are_caught(worker: Worker) -> None:
    net, passes = nn.Identity(), []
    stoppable(net, worker)

    def many_passes(job: Job) -> dict[str, int]:
        for _ in range(1000):
            try:
                passes.append(net(torch.zeros(1)))
            except Exception:
                passes.append(None)
            if len(passes) == 5:
                job.cancel()
        return {}

    assert ended(worker.submit(many_passes)) == "cancelled"
    assert len(passes) == 5
    net(torch.zeros(1))  # in another thread, of no job


def test_a_full_queue_says_so(worker: Worker) -> None:
    first = Blocked()
    worker.submit(first)
    assert first.begun.wait(60)
    jobs = [worker.submit(lambda job: {}) for _ in range(MOST_WAITING)]
    with pytest.raises(Busy):
        worker.submit(lambda job: {})
    first.let_go.set()
    assert {ended(job) for job in jobs} == {"done"}


def test_failures_are_told_and_end_nothing(worker: Worker) -> None:
    def misused(job: Job) -> dict[str, int]:
        raise InputError("no such class")

    def broken(job: Job) -> dict[str, int]:
        return {"n": 1 // 0}

    jobs = [worker.submit(misused), worker.submit(broken), worker.submit(lambda job: {})]
    assert [ended(job) for job in jobs] == ["failed", "failed", "done"]
    assert jobs[0].events[-1][1] == {"error": "no such class"}
    assert "ZeroDivisionError" in jobs[1].events[-1][1]["error"]


def test_answers_that_nobody_reads_are_not_kept_for_ever(worker: Worker) -> None:
    for _ in range(3 * MOST_KEPT):
        ended(worker.submit(lambda job: {}))
    assert len(worker.kept) <= MOST_KEPT + 1


def test_stopping_ends_what_runs_and_what_waits() -> None:
    worker, running = Worker(), Blocked()
    worker.start()
    jobs = [worker.submit(running), worker.submit(lambda job: {})]
    assert running.begun.wait(60)
    worker.stop()
    assert [job.events[-1][0] for job in jobs] == ["cancelled", "cancelled"]
    with pytest.raises(Busy):
        worker.submit(lambda job: {})


def test_twenty_at_once_are_all_answered(client: Asker, cat: bytes) -> None:
    jobs = [client.post("/api/predict", content=cat) for _ in range(20)]
    assert {one.status_code for one in jobs} == {202}
    answers = [client.follow(one.json()["job"])[-1] for one in jobs]
    assert {kind for kind, _ in answers} == {"done"}
    assert len({str(told["predictions"]) for _, told in answers}) == 1


def test_too_many_are_told_to_come_back(client: Asker, cat: bytes, session) -> None:
    first = Blocked()
    held = session.worker.submit(first)
    assert first.begun.wait(60)
    answers = [client.post("/api/predict", content=cat) for _ in range(MOST_WAITING + 2)]
    assert [one.status_code for one in answers] == [202] * MOST_WAITING + [503] * 2
    assert answers[-1].headers["retry-after"] == "1"
    for one in answers[:MOST_WAITING]:
        assert client.delete(f"/api/job/{one.json()['job']}").status_code == 204
    first.let_go.set()
    assert ended(held) == "done"


def test_an_answer_is_given_once(client: Asker, cat: bytes) -> None:
    job = client.post("/api/predict", content=cat).json()["job"]
    assert client.follow(job)[-1][0] == "done"
    assert client.get(f"/api/job/{job}").status_code == 404
