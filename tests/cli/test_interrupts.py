"""SIGTERM ends a verb as Ctrl-C does; the command that goes on is printed where there is something to go on with."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path

import pytest

from backlight.core.interrupt import held_interrupt
from backlight.explain import study
from backlight.train.journal import Journal
from tests.cli.running import CommandLine

DATA = "shapes:n=60,size=16,classes=3"


def resume_command(err: str) -> list[str]:
    line = next(line for line in err.splitlines() if line.startswith("resume with: "))
    words = shlex.split(line.removeprefix("resume with: "))
    assert words[0] == "backlight"
    return words[1:]


def interrupt_after(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, number: int) -> None:
    """Send this process a signal when a method has been called once."""
    real = getattr(owner, name)

    def called(*arguments: object, **options: object) -> object:
        result = real(*arguments, **options)
        monkeypatch.setattr(owner, name, real)
        signal.raise_signal(number)
        return result

    monkeypatch.setattr(owner, name, called)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_stops_and_goes_on(
    backlight: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    words = ("train", "--data", DATA, "--out", tmp_path / "run", "--epochs", 2, "--precision", "float32", "--force")
    interrupt_after(monkeypatch, Journal, "end_epoch", number)
    ran = backlight(*words)
    assert ran.status == 130
    command = resume_command(ran.err)
    assert "--force" not in command
    assert backlight(*command).status == 0


@pytest.mark.parametrize("blocks", [True, False])
def test_a_data_sets_explanations_can_go_on_where_blocks_are(
    backlight: CommandLine, small_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: bool
) -> None:
    def stopped(*arguments: object, **options: object) -> None:
        if blocks:
            (tmp_path / study.BLOCKS).mkdir()
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr("backlight.tasks.explaining_data.explain_pictures", stopped)
        words = ("explain", "--data", DATA, "--model", small_model, "--methods", "saliency", "--out", tmp_path)
        ran = backlight(*words)
    assert ran.status == 130
    assert ("resume with: " in ran.err) is blocks
    if blocks:
        assert backlight(*resume_command(ran.err)).status == 0


def test_the_handlers_of_a_program_are_put_back(backlight: CommandLine) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert backlight("models", "--search", "vit", "--json").status == 0
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_held_interrupt_comes_after_the_block(number: int) -> None:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    finished = []

    def step() -> None:
        with held_interrupt():
            signal.raise_signal(number)
            finished.append("the whole step")

    try:
        with pytest.raises(KeyboardInterrupt):
            step()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert finished
