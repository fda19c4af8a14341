"""The alarm of adversarial training: it ends a run that collapsed, keeps what was best before, and rests otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.data.dataset import Dataset
from backlight.page.page import write_page
from backlight.pixels.ascent import Ascent
from backlight.report.training import training_section
from backlight.runs.folder import RunFolder
from backlight.runs.history import read_history
from backlight.runs.log import read_log
from backlight.tasks.training import TrainRequest
from backlight.tasks.training import train as train_task
from backlight.train import Trained, fit
from backlight.train.adversaries import read_adversary
from backlight.train.augment import Augmentation
from backlight.train.collapse import Robustness, collapse_words, measure_robustness
from backlight.train.recipe import Recipe, read_recipe
from tests.train.nets import QUIET, network, pictures, same

ATTACKED = Recipe(epochs=4, batch_size=16, adversary="nfgsm:eps=8/255", ema=0.5)
SOUND = [Robustness(0.30, 0.40, 0.1, 256), Robustness(0.45, 0.50, 0.1, 256)]
COLLAPSED = Robustness(0.05, 0.90, 0.1, 256)


def trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seen: Iterable[Robustness], recipe: Recipe = ATTACKED
) -> Trained:
    found = iter(seen)
    monkeypatch.setattr("backlight.train.setup.measure_robustness", lambda *given, **more: next(found))
    return fit(network(), pictures(), pictures(split="val"), folder, recipe=recipe, runtime=QUIET)


@pytest.mark.parametrize(
    ("before", "seen", "words"),
    [
        (0.40, Robustness(0.24, 0.30, 0.1, 256), "fell from 40% to 24%"),
        (0.40, Robustness(0.26, 0.30, 0.1, 256), ""),
        (0.40, Robustness(0.38, 0.64, 0.1, 256), "64% are right under one step and 38% under ten"),
        (0.40, Robustness(0.38, 0.62, 0.1, 256), ""),
        (-1.0, Robustness(0.02, 0.10, 0.1, 256), ""),  # the first epoch has nothing to fall from
        (-1.0, Robustness(0.02, 0.30, 0.1, 256), "under one step"),
        (0.52, Robustness(0.34, 0.40, 0.5, 256), ""),  # half of the pictures are of one class, which it always named
        (0.40, Robustness(0.00, 0.90, 0.1, 99), ""),  # of so few it may be chance
    ],
)
def test_what_counts_as_a_collapse(before: float, seen: Robustness, words: str) -> None:
    found = collapse_words(before, seen)
    assert words in found
    assert bool(found) == bool(words)


def test_robustness_by_plain_lines() -> None:
    net = network()
    data = pictures(120)
    found = measure_robustness(net, data, Ascent("linf", 0.02), seed=3)
    images, labels, eps = data[:].images, data.labels, 0.02
    with net.guard():

        def stepped(at: torch.Tensor, size: float) -> torch.Tensor:
            leaf = at.clone().requires_grad_()
            grad = torch.autograd.grad(F.cross_entropy(net.logits(leaf), labels, reduction="sum"), leaf)[0]
            return (at + size * grad.sign()).clamp(images - eps, images + eps).clamp(0, 1)

        def right(at: torch.Tensor) -> torch.Tensor:
            return net.logits(at).argmax(1) == labels

        one = right(images) & right(stepped(images, eps))
        offset = 2 * Random(((3, "collapse"), "start"), data.ids).uniform(3, 8, 8) - 1
        at = (images + eps * offset).clamp(images - eps, images + eps).clamp(0, 1)
        ten = right(at)
        for _ in range(10):
            at = stepped(at, 0.25 * eps)
            ten = ten & right(at)
    assert found.one_step == pytest.approx(float(one.double().mean()))
    assert found.pgd == pytest.approx(float(ten.double().mean()))
    assert 0 < found.pgd <= found.one_step
    assert found.constant == pytest.approx(int(labels.bincount().max()) / len(data))


@pytest.mark.parametrize("select", ["accuracy", "loss", "robust"])
def test_it_stops_and_keeps_the_best_epoch_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, select: str) -> None:
    # What collapsed is better than ever on clean pictures.
    accuracies, losses = iter([0.3, 0.4, 0.9]), iter([3.0, 2.0, 1.0])
    monkeypatch.setattr("backlight.train.fitting.accuracy", lambda table: next(accuracies))
    monkeypatch.setattr("backlight.train.fitting.mean_loss", lambda table: next(losses))
    found = trained(tmp_path, monkeypatch, [*SOUND, COLLAPSED], replace(ATTACKED, select=select))
    assert (found.epochs, found.best_epoch) == (3, 2)
    assert found.stopped.startswith("The training collapsed: accuracy under PGD fell from 45% to 5%")
    assert found.stopped.endswith("in epoch 3")
    kept = RunFolder(tmp_path).load_weights(f"epoch-{found.best_epoch:02}")
    assert same(RunFolder(tmp_path).load_weights("best"), kept)
    assert same(dict(found.classifier.module.state_dict()), kept)
    epochs = [line for line in read_log(tmp_path / "log.jsonl") if line["kind"] == "epoch"]
    assert [line["val_pgd"] for line in epochs] == [0.30, 0.45, 0.05]
    assert [line.get("stopped", "") for line in epochs] == ["", "", found.stopped]
    history = read_history(tmp_path)
    assert (history.stopped, history.chosen["epoch"]) == (found.stopped, found.best_epoch)
    section = training_section([history])
    assert "was stopped there" in section.html
    assert "fell from 45% to 5%" in section.html
    write_page(tmp_path / "page.html", [section], title="Trained", seconds=1.0)
    # It stays stopped.
    again = fit(network(), pictures(), pictures(split="val"), tmp_path, runtime=QUIET, resume=True)
    assert (again.epochs, again.stopped) == (3, found.stopped)


def test_a_collapse_in_the_first_epoch_has_nothing_better_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = trained(tmp_path, monkeypatch, [COLLAPSED])
    assert (found.epochs, found.best_epoch) == (1, 1)


def test_it_rests_while_the_attack_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(ATTACKED, adversary="nfgsm:eps=8/255,ramp=0.7")
    found = trained(tmp_path, monkeypatch, [COLLAPSED, COLLAPSED, *SOUND], recipe)
    assert (found.epochs, found.stopped) == (4, "")


def test_it_can_be_switched_off_and_needs_a_ball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def same(classifier, images, labels, random):\n    return images\n")
    for number, recipe in enumerate((replace(ATTACKED, watched=0), replace(ATTACKED, adversary=f"{file}:same"))):
        found = trained(tmp_path / str(number), monkeypatch, [], recipe)
        assert (found.epochs, found.stopped) == (4, "")
        with pytest.raises(UsageError, match="select=robust"):
            replace(recipe, select="robust")
    with pytest.raises(UsageError, match="select=robust"):
        Recipe(select="robust")
    assert read_recipe("adversarial").select == "robust"


def test_the_terminal_and_the_page_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([*SOUND, COLLAPSED])
    monkeypatch.setattr("backlight.train.setup.measure_robustness", lambda *given, **more: next(seen))
    settings = ("epochs=4", "adversary=fgsm", "batch_size=8")
    done = train_task(TrainRequest("shapes:n=40,size=16,classes=2", tmp_path / "run", settings=settings))
    assert any("The training collapsed" in line and "best epoch" in line for line in done.lines)
    assert isinstance(done.document, dict)
    assert "collapsed" in done.document["stopped"]
    assert "The training collapsed" in (tmp_path / "run" / "report.html").read_text()


def drawn(count: int, start: int) -> Dataset:
    """Draw smooth pictures of 3 classes, each with a faint smooth pattern of its own."""
    ids = torch.arange(start, start + count)
    patterns = 2 * Random(1, torch.arange(3)).uniform(3, 4, 4) - 1
    faint = 2 * Random(2, ids).uniform(3, 4, 4) - 1
    images = 0.5 + F.interpolate(0.25 * patterns[ids % 3] + 0.05 * faint, size=(16, 16), mode="bilinear")
    return Dataset.of((images.clamp(0, 1) * 255).round().to(torch.uint8), ids % 3, ["a", "b", "c"])


@pytest.mark.slow
def test_fgsm_collapses_and_is_caught_where_nfgsm_holds(tmp_path: Path) -> None:
    """Left alone, FGSM ends at 100% under one step and at 0% under ten; N-FGSM at 96% under ten."""
    torch.manual_seed(2)
    first, second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
    head = nn.Linear(16 * 64, 3)
    net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), head)
    classifier = Classifier.from_module(net, size=16, labels=("a", "b", "c"))
    recipe = Recipe(
        epochs=2, batch_size=64, lr=0.005, warmup=0.2, weight_decay=0.0, label_smoothing=0.0, ema=0.95,
        augment=Augmentation(),
    )  # fmt: skip
    found = {
        name: fit(
            classifier, drawn(7200, 0), drawn(300, 7200), tmp_path / name,
            recipe=replace(recipe, adversary=f"{name}:eps=27/255"), runtime=replace(QUIET, save_every=60.0),
        )
        for name in ("fgsm", "nfgsm")
    }  # fmt: skip
    assert "under one step" in found["fgsm"].stopped
    assert found["nfgsm"].stopped == ""
    last = read_log(tmp_path / "nfgsm" / "log.jsonl")[-1]
    assert last["val_pgd"] > 0.8


def test_a_run_from_before_the_alarm_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(tmp_path, monkeypatch, SOUND, replace(ATTACKED, epochs=2))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    for name in ("best_robust", "last_robust", "stopped"):
        del state["counters"][name]
    torch.save(state, tmp_path / "state.pt")
    again = fit(network(), pictures(), pictures(split="val"), tmp_path, runtime=QUIET, resume=True)
    assert (again.epochs, again.stopped) == (2, "")


@pytest.mark.parametrize("text", ["pgd:eps=2/255", "trades:eps=2/255", "free:eps=2/255", "ibp:eps=2/255"])
def test_every_adversary_with_a_ball_is_watched_in_it(text: str) -> None:
    ascent = read_adversary(text).ascent
    assert ascent is not None
    assert (ascent.norm, ascent.eps) == ("linf", 2 / 255)
