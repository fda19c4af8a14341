import io
import sys
from types import SimpleNamespace

import pytest

from backlight.core.progress import TerminalProgress, progress_bar, reporting


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
    assert progress_bar() is None
    bar = TerminalProgress()
    bar.start(3, "work")
    bar.advance(3)
    bar.done()
    assert pipe.getvalue() == ""


def test_draws_on_a_terminal_without_reading_markup(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    bar = progress_bar()
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


def test_draws_below_the_cell_of_a_notebook(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    bar = progress_bar()
    bar.start(3, "look\x1b[31m")
    bar.start(2, "inner")
    bar.advance(2)
    bar.done()
    bar.announce("halfway")
    bar.advance(3, "cat.png")
    bar.done()
    text = pipe.getvalue()
    assert "look\\x1b[31m" in text
    assert "0/3" in text
    assert "halfway" in text
    assert "inner" not in text


def test_a_terminal_of_ipython_is_no_notebook(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))
    assert progress_bar() is None
