"""SIGTERM ends a verb as Ctrl-C does; the command that goes on is printed where there is something to go on with."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path

import pytest
import torch

from backlight.core.interrupt import as_interrupts, held_interrupt
from backlight.images import write_png
from backlight.sweep.parts import FolderParts
from backlight.tasks import training
from backlight.tasks.result_folder import ResultFolder
from backlight.train.journal import Journal
from tests.cli.running import CommandLine

DATA = "shapes:n=60,size=16,classes=3"


def resume_command(err: str) -> list[str]:
    line = next(line for line in err.splitlines() if line.startswith("resume with: "))
    words = shlex.split(line.removeprefix("resume with: "))
    assert words[0] == "backlight"
    return words[1:]


def interrupt_after(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, number: int) -> None:
    """Send this process a signal when a function or method has been called once."""
    real = getattr(owner, name)

    def called(*arguments: object, **options: object) -> object:
        result = real(*arguments, **options)
        monkeypatch.setattr(owner, name, real)
        signal.raise_signal(number)
        return result

    monkeypatch.setattr(owner, name, called)


@pytest.mark.parametrize(("owner", "name"), [(Journal, "end_epoch"), (training, "read_history")])
def test_an_interrupt_of_which_a_native_import_made_an_error_is_one(
    backlight: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    def interrupted(*arguments: object, **options: object) -> object:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    words = ("train", "--data", DATA, "--out", tmp_path / "run", "--epochs", 2, "--precision", "float32")
    with monkeypatch.context() as changed:
        changed.setattr(owner, name, interrupted)
        ran = backlight(*words)
    assert ran.status == 130
    assert "initialization failed" not in ran.err
    assert backlight(*resume_command(ran.err)).status == 0


def test_errors_of_other_causes_stay_what_they_are() -> None:
    with pytest.raises(ImportError, match="broken"), as_interrupts():
        raise ImportError("broken") from ValueError()


@pytest.mark.parametrize(
    ("number", "owner", "name"),
    [
        (signal.SIGINT, Journal, "end_epoch"),
        (signal.SIGTERM, training, "read_history"),
        pytest.param(signal.SIGTERM, Journal, "end_epoch", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, training, "read_history", marks=pytest.mark.slow),
    ],
)
def test_training_stops_and_goes_on(
    backlight: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, owner: object, name: str
) -> None:
    words = ("train", "--data", DATA, "--out", tmp_path / "run", "--epochs", 2, "--precision", "float32", "--force")
    interrupt_after(monkeypatch, owner, name, number)  # in the last case while its page is written
    ran = backlight(*words)
    assert ran.status == 130
    command = resume_command(ran.err)
    assert "--force" not in command
    assert backlight(*command).status == 0


SWEEPS = {
    "evaluate": (),
    "predict": (),
    "explain": ("--methods", "saliency"),
    "robustness": ("--attack", "fgsm"),
    "corruptions": ("--kinds", "fog", "--severities", "1"),
    "transfer": ("--attack", "mi:steps=1"),
    "universal": ("--epochs", "1"),
    "certify": ("--method", "smoothing:n=20,n0=5", "--no-attack"),
    "audit": ("--depth", "quick"),
}


def places() -> list[object]:
    """Cross the verbs with where they are stopped; all go through one runner, so most are slow."""
    quick = {("evaluate", "settle"), ("audit", "read"), *((verb, "write") for verb in SWEEPS)}
    return [
        pytest.param(verb, after, marks=[] if (verb, after) in quick else [pytest.mark.slow])
        for verb in SWEEPS
        for after in ("settle", "write", "read")
    ]


@pytest.mark.parametrize(("verb", "after"), places())
def test_the_command_that_goes_on_is_told_where_a_block_is_finished(
    backlight: CommandLine, shapes_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, after: str
) -> None:
    models = ("--model", shapes_model) * (2 if verb == "transfer" else 1)
    write_png(tmp_path / "pictures" / "a.png", torch.zeros(3, 16, 16))
    data = (tmp_path / "pictures",) if verb == "predict" else ("--data", DATA)
    words = (verb, *data, *models, *SWEEPS[verb], "--out", tmp_path)
    # Before the first block, after it, and when all that is left is to write the page.
    interrupt_after(monkeypatch, FolderParts, after, signal.SIGTERM)
    ran = backlight(*words)
    assert ran.status == 130
    assert ("resume with: " in ran.err) is (after != "settle")
    again = words if after == "settle" else resume_command(ran.err)
    assert backlight(*again).status == 0
    assert [path.name for path in tmp_path.rglob(".*")] == []


def test_an_audit_whose_page_was_interrupted_goes_on(
    backlight: CommandLine, shapes_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_after(monkeypatch, ResultFolder, "write_table", signal.SIGINT)
    ran = backlight("audit", "--data", DATA, "--model", shapes_model, "--depth", "quick", "--out", tmp_path)
    assert ran.status == 130
    assert backlight(*resume_command(ran.err)).status == 0
    assert (tmp_path / "audit.json").is_file()


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
