"""Workers of Ray, with a stand-in for it: how many are asked for, and what is said of those that end."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backlight.core.errors import UsageError
from backlight.sweep import on_ray
from backlight.sweep.crew import ENGINES, attend
from backlight.sweep.on_ray import Actor, NotStarted, Puller, start_actors
from backlight.tasks.pulling import Pulling


@dataclass
class Ray:
    """As much of Ray as is asked: answers are lists, empty until they are there."""

    free: dict[str, float]
    running: bool = False
    asked: list[dict[str, int]] = field(default_factory=list)
    begun: list[list[Any]] = field(default_factory=list)
    answers: list[list[Any]] = field(default_factory=list)
    killed: int = 0

    def is_initialized(self) -> bool:
        return self.running

    def init(self, **options: object) -> None:
        self.running = True

    def shutdown(self) -> None:
        self.running = False

    def available_resources(self) -> dict[str, float]:
        return self.free

    def remote(self, **resources: int) -> Callable[[type], Any]:
        def make() -> Any:
            assert self.running
            self.asked.append(resources)
            begun, answer = list[Any](), list[Any]()
            self.begun.append(begun)
            self.answers.append(answer)
            return SimpleNamespace(
                begin=SimpleNamespace(remote=lambda: begun), run=SimpleNamespace(remote=lambda *given: answer)
            )

        return lambda kind: SimpleNamespace(remote=make)

    def wait(self, answers: list[list[Any]], timeout: float) -> tuple[list[Any], list[Any]]:
        assert self.running
        return [one for one in answers if one], [one for one in answers if not one]

    def get(self, answer: list[Any]) -> Any:
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]

    def kill(self, handle: Any) -> None:
        self.killed += 1


def commands(count: int, *more: str) -> list[list[str]]:
    return [["evaluate", "--worker", f"{number}/{count}", *more] for number in range(1, count + 1)]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ray]:
    def use(**free: float) -> Ray:
        ray = Ray(free)
        monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
        return ray

    return use


def test_a_pool_that_would_take_every_cpu_is_made_smaller(use: Callable[..., Ray]) -> None:
    ray = use(CPU=4)
    workers = start_actors(commands(4))
    assert ray.asked == [{"num_cpus": 1, "num_gpus": 0, "max_restarts": 0, "max_task_retries": 0}] * 3
    assert [one.ended() for one in workers] == [
        *[None] * 3,
        "was not started: Ray has room for 3, with one CPU of 4 left free",
    ]
    for answer in ray.answers:
        answer.append((0, ""))
    assert [one.ended() for one in workers[:3]] == [""] * 3
    assert not ray.running, "what was started for the workers ends with them"
    assert ray.killed == 3


@pytest.mark.parametrize("free", [{}, {"CPU": 1.0}, {"CPU": 1.9, "GPU": 8}])
def test_where_no_cpu_would_stay_free_it_is_refused(use: Callable[..., Ray], free: dict[str, float]) -> None:
    ray = use(**free)
    with pytest.raises(
        UsageError,
        match=r"of Ray's CPUs are free; expected 2 or more.*waits for ever and says nothing; try: --workers N",
    ):
        start_actors(commands(1))
    assert not ray.running
    assert ray.asked == []


def test_each_worker_has_a_gpu_where_there_are_any(use: Callable[..., Ray]) -> None:
    ray = use(CPU=16, GPU=2)
    assert sum(isinstance(one, NotStarted) for one in start_actors(commands(3))) == 1
    assert [one["num_gpus"] for one in ray.asked] == [1, 1]
    ray = use(CPU=16, GPU=2)
    start_actors(commands(3, "--device", "cpu"))
    assert [one["num_gpus"] for one in ray.asked] == [0, 0, 0]


def test_a_connection_of_somebody_else_stays(use: Callable[..., Ray]) -> None:
    ray = use(CPU=8)
    ray.running = True
    (worker,) = start_actors(commands(1))
    ray.answers[0].append((0, ""))
    assert worker.ended() == ""
    assert ray.running


DEAD = "The actor died.\n\tclass_name: Puller\nThe actor is dead because its worker process has died. Exit type: SYSTEM"


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        ((0, "a warning"), ""),
        ((2, "first\nbacklight: no such folder\n"), "ended with status 2: backlight: no such folder"),
        ((1, ""), "ended with status 1"),
        (RuntimeError(DEAD), "was ended: its worker process has died"),
        (RuntimeError("trace\nFileNotFoundError: /shared"), "was ended: FileNotFoundError: /shared"),
        (RuntimeError(), "was ended: RuntimeError"),
    ],
)
def test_what_is_said_of_a_worker_that_ended(use: Callable[..., Ray], answer: Any, how: str) -> None:
    ray = use(CPU=8)
    (worker,) = start_actors(commands(1))
    ray.begun[0].append(("far", 12))
    assert (worker.ended(), worker.name) == (None, "worker 1 (process 12 on far, Ray)")
    ray.answers[0].append(answer)
    said: list[str] = []
    attend([worker], Path("no-such-folder"), None, said.append)
    expected = [f"worker 1 (process 12 on far, Ray) {how}; its blocks are done by this process"] if how else []
    assert said == expected


def test_one_that_ray_never_starts_is_given_up(use: Callable[..., Ray], monkeypatch: pytest.MonkeyPatch) -> None:
    ray = use(CPU=8)
    (worker,) = start_actors(commands(1))
    assert worker.ended() is None
    monkeypatch.setattr(on_ray, "_START", 0.0)
    assert worker.ended() == "was not started by Ray in 0 s"
    assert worker.name == "worker 1 (Ray)"
    assert ray.killed == 1


def test_a_worker_of_this_machine_is_asked_to_end_and_one_of_another_is_ended(
    use: Callable[..., Ray], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray, sent = use(CPU=8), list[tuple[int, int]]()
    monkeypatch.setattr(os, "kill", lambda *given: sent.append(given))
    here, there, nowhere = start_actors(commands(3))
    ray.begun[0].append((socket.gethostname(), 11))
    ray.begun[1].append(("far", 12))
    for worker in (here, there, nowhere):
        worker.stop()
    assert (sent, ray.killed) == ([(11, signal.SIGTERM)], 2)
    for worker in (here, there, nowhere):
        worker.wait()
    assert not ray.running


def test_an_actor_runs_the_command_in_the_folder_and_says_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sys.argv
    status, said = Puller().run(["evaluate", "--data", "nowhere", "--workers", "0"], str(tmp_path))
    assert status == 2
    assert "--workers" in said
    assert sys.argv is before
    with pytest.raises(FileNotFoundError):
        Puller().run(["models"], str(tmp_path / "nowhere"))
    assert Puller().begin() == (socket.gethostname(), os.getpid())


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, use: Callable[..., Ray]) -> None:
    ray = use(CPU=8)
    monkeypatch.setattr(ray, "init", lambda **options: 1 / 0)
    with pytest.raises(UsageError, match=r"Ray cannot be used \(ZeroDivisionError.*; try: --engine local"):
        start_actors(commands(1))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"needs the package ray; try: pip install 'backlight\[ray\]'"):
        ENGINES.find("ray").start(commands(1))
    with pytest.raises(UsageError, match="--engine ray without --workers; try: --engine ray --workers 4"):
        Pulling(engine="ray").check()


def test_workers_satisfy_what_attending_asks() -> None:
    assert {"name", "ended", "stop", "wait"} <= set(dir(Actor)) & set(dir(NotStarted))
