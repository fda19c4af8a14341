import io
import sys

import pytest

from backlight.core.progress import TerminalProgress, reporting, terminal_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Recorder:
    def __init__(self):
        self.events = []

    def start(self, total, description):
        self.events.append(("start", total, description))

    def advance(self, count=1, note=""):
        self.events.append(("advance", count, note))

    def done(self):
        self.events.append(("done",))


def test_silent_in_a_pipe(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    assert terminal_progress() is None
    bar = TerminalProgress()
    bar.start(3, "work")
    bar.advance(3)
    bar.done()
    assert pipe.getvalue() == ""


def test_draws_on_a_terminal_without_reading_markup(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    bar = terminal_progress()
    bar.start(3, "[red]work")
    bar.advance(1, "[bold]cat.png")
    bar.start(2, "inner")
    bar.done()
    bar.done()
    assert "[red]work" in screen.getvalue()
    assert "[bold]cat.png" in screen.getvalue()


def test_work_is_ended_also_by_an_error():
    recorder = Recorder()

    def work():
        with reporting(recorder, 5, "work") as advance:
            advance(2, "two")
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert recorder.events == [("start", 5, "work"), ("advance", 2, "two"), ("done",)]
