"""The long runs behind the training figures: named, resumable, one after the other.

    python benchmarks/runs/long.py --out runs classic residual        start or resume these
    python benchmarks/runs/long.py --list                             name them all
    python benchmarks/runs/long.py --table                            what the finished ones came to, as Markdown
    python benchmarks/runs/long.py --device cuda resnet18-nfgsm       where there is an accelerator

Runs that need an accelerator begin only by name. Data is CIFAR-10 below BACKLIGHT_DATA (default ../shared/data). A run
that was interrupted goes on where it was. A finished run leaves `benchmarks/results/NAME.json` (figures, commit,
versions) and `NAME.jsonl` (its log). Recipes were chosen on val; test is read once, here, after the last epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from backlight.attack import RobustnessRequest, evaluate_robustness
from backlight.attack.challenge import Challenge
from backlight.attack.gradient import pgd
from backlight.attack.threat import ThreatModel
from backlight.certify import CertifyRequest, evaluate_certificates
from backlight.classifier import Classifier
from backlight.core.allocator import keep_memory
from backlight.corrupt import evaluate_corruptions
from backlight.data.dataset import Dataset
from backlight.data.load import load_splits
from backlight.evaluate import evaluate
from backlight.runs.folder import versions
from backlight.train import fit
from backlight.train.recipe import Recipe, read_recipe
from backlight.train.runtime import Runtime
from backlight.train.start import start_classifier

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
NETS = ROOT / "benchmarks" / "nets"
CIFAR = "cifar10_jpeg.npz"
SHAPES = "shapes:n=10000,classes=100,size=128"
PGD3 = "pgd:eps=8/255,steps=3"
ATTACKED = 1000  # test pictures for robust accuracy
CERTIFIED = 500  # test pictures for what is proved


@dataclass(frozen=True)
class LongRun:
    """One run: model, data, recipe with settings, and how many training pictures it may use (0 for all).

    `weights`: the network of `benchmarks/nets` that it goes on from. `judge`: the attack that its robustness is named
    by. `accelerator`: whether it takes days without one.
    """

    model: str
    recipe: str = "default"
    settings: tuple[str, ...] = ()
    data: str = CIFAR
    pictures: int = 0
    seed: int = 0
    goal: str = ""
    weights: str = ""
    judge: str = "autoattack-fast"
    accelerator: bool = False


FINETUNE = ("epochs=3",)
_HARDENED = ("lr=0.001", "label_smoothing=0", "weight_decay=0.0005")
_RESNET = f"{Path(__file__).with_name('cifar_resnet18.py')}:resnet18"
_CERTIFIED = ("lr=0.002", "label_smoothing=0", "weight_decay=0")
_VIT = ("epochs=5", "batch_size=128", "lr=0.001")
RUNS = {
    "classic": LongRun("classic_cnn", "classic", goal="test accuracy >= 0.61"),
    "adversarial": LongRun(
        "classic_cnn",
        "default",
        ("epochs=6", f"adversary={PGD3}", *_HARDENED),
        goal="PGD-20 accuracy at 8/255 >= 0.25 within an hour",
    ),
    "nfgsm": LongRun(
        "classic_cnn",
        "default",
        ("epochs=6", "adversary=nfgsm:eps=8/255", *_HARDENED),
        goal="PGD-20 accuracy at most 1 point below that of adversarial, in less than half its time",
    ),
    "trades": LongRun(
        "classic_cnn",
        "default",
        ("epochs=14", "adversary=trades:beta=6,eps=8/255,steps=3", *_HARDENED, "ema=0.999", "crop=4", "select=robust"),
        goal="PGD-20 accuracy at 8/255 >= 0.38 and test accuracy >= 0.55 within 90 minutes",
    ),
    # From the clean network `default`, in a third of the epochs that the adversarial recipe takes from nothing.
    "hardened": LongRun(
        "classic_cnn",
        "adversarial",
        FINETUNE,
        weights="default",
        goal="PGD-20 accuracy and test accuracy at least those of nfgsm, in half its epochs",
    ),
    "resnet18-nfgsm": LongRun(
        _RESNET,
        "adversarial",
        ("epochs=30", "lr=0.003", "crop=4"),
        goal="AutoAttack accuracy at 8/255 >= 0.44 within an hour of a GPU",
        judge="autoattack",
        accelerator=True,
    ),
    "resnet18-trades": LongRun(
        _RESNET,
        "adversarial",
        ("epochs=100", "lr=0.003", "crop=4", "adversary=trades:beta=6,eps=8/255,steps=10,awp=0.005"),
        goal="AutoAttack accuracy at 8/255 >= 0.50",
        judge="autoattack",
        accelerator=True,
    ),
    "ibp": LongRun(
        "strided_cnn",
        "default",
        ("epochs=60", "adversary=ibp:eps=2/255,ramp=0.5", *_CERTIFIED),
        goal="certified accuracy at 2/255 >= 0.35 within 90 minutes",
    ),
    "crown-ibp": LongRun(
        "strided_cnn",
        "default",
        ("epochs=30", "adversary=crown-ibp:eps=2/255,ramp=0.2", *_CERTIFIED),
        goal="certified accuracy at 2/255 >= 0.35 within 90 minutes",
    ),
    # What certificates by smoothing at the same sigma are made of.
    "noise": LongRun("classic_cnn", "default", ("epochs=15", "augment=gaussian:sigma=0.25")),
    "default": LongRun("classic_cnn", "default", goal="val accuracy >= 0.78"),
    # The same eight epochs with and without AugMix, for accuracy under corruptions.
    "plain-8": LongRun("classic_cnn", "default", ("epochs=8",)),
    "augmix-8": LongRun("classic_cnn", "default", ("epochs=8", "augment=augmix")),
    "residual": LongRun("residual_cnn", "classic", goal="test accuracy >= 0.635"),
    "cct": LongRun("cct", "default", goal="val accuracy >= 0.70"),
    "vit-global": LongRun("vit", settings=_VIT, pictures=10000),
    "vit-global-nopos": LongRun("vit:positions=none", settings=_VIT, pictures=10000),
    "vit-windows": LongRun("vit:window_blocks=0+1+3+4", settings=_VIT, pictures=10000),
    "vit-windows-nopos": LongRun("vit:window_blocks=0+1+3+4,positions=none", settings=_VIT, pictures=10000),
    # The best of the four on val.
    "vit-full": LongRun("vit:window_blocks=0+1+3+4", settings=("epochs=15", *_VIT[1:])),
    "classic-seed1": LongRun("classic_cnn", "classic", seed=1, goal="test accuracy >= 0.61"),
    "classic-seed2": LongRun("classic_cnn", "classic", seed=2, goal="test accuracy >= 0.61"),
    "shapes-simple": LongRun("simple_net", data=SHAPES),
    "shapes-simple-bn": LongRun("simple_net_bn", data=SHAPES),
    "shapes-deep": LongRun("deep_net", data=SHAPES),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="which runs, in this order; default all")
    parser.add_argument("--out", type=Path, default=ROOT / "runs", help="where the run folders are")
    parser.add_argument("--device", default="cpu", help="where they are trained and judged")
    parser.add_argument("--list", action="store_true", help="list the runs and end")
    parser.add_argument("--table", action="store_true", help="print the results as Markdown and end")
    given = parser.parse_args()
    keep_memory()  # as the command line does; a step of TRADES takes a third longer without
    if given.table:
        print("\n".join(table_rows()))
        return
    if given.list:
        for name, one in RUNS.items():
            print(name, one)
        return
    commit = _commit()  # of the code that is loaded: by the end of a run others may have been made
    for name in given.names or [name for name, one in RUNS.items() if not one.accelerator]:
        if not (RESULTS / f"{name}.json").exists():
            result = run(name, RUNS[name], given.out / name, commit, given.device)
            print(json.dumps({"finished": name, **result}), flush=True)


def run(name: str, one: LongRun, folder: Path, commit: str, device: str = "cpu") -> dict[str, object]:
    """Start or resume a run, then measure it on test and write what it came to."""
    data = one.data if one.data.startswith("shapes") else str(_data_folder() / one.data)
    parts = load_splits(data).parts
    train = parts["train"]
    if one.pictures:
        train = train.take(torch.arange(one.pictures))
    recipe = read_recipe(one.recipe, one.settings)
    start = {"weights": NETS / f"{one.weights}.safetensors", "mean": 0.5, "std": 0.5} if one.weights else {}
    classifier = start_classifier(one.model, train, seed=one.seed, device=device, **start)
    resume = (folder / "run.json").exists()
    print(time.strftime("%H:%M:%S"), "resume" if resume else "start", name, one, flush=True)
    trained = fit(
        classifier,
        train,
        parts["val"],
        folder,
        recipe=recipe,
        seed=one.seed,
        resume=resume,
        runtime=Runtime(log_every=100),
    )
    tested = evaluate(trained.classifier, parts["test"]).to_json()
    shown = ("n", "accuracy", "accuracy_interval", "top5", "ece")
    result = {
        "name": name,
        "model": one.model,
        "recipe": recipe.to_json(),
        "seed": one.seed,
        "goal": one.goal,
        "train_pictures": len(train),
        **trained.to_json(),
        "run": f"runs/{name}",
        "test": {key: tested[key] for key in shown},
        "robust": robust_accuracy(trained.classifier, parts["test"], one.judge) if one.data == CIFAR else None,
        "corrupted": corrupted_accuracy(trained.classifier, parts["test"]) if one.data == CIFAR else None,
        "certified": certified_accuracy(recipe, trained.classifier, parts["test"], folder),
        "probe": json.loads((folder / "run.json").read_text())["probe"],
        "threads": torch.get_num_threads(),
        "commit": commit,
        "versions": versions(),
        "command": f"python benchmarks/runs/long.py {name}",
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    shutil.copy(folder / "log.jsonl", RESULTS / f"{name}.jsonl")
    return result


def table_rows() -> list[str]:
    """Write each finished run as a row: model and recipe, best epoch, val, test with its interval, and robustness."""
    rows = []
    for name in RUNS:
        if not (RESULTS / f"{name}.json").exists():
            continue
        result = json.loads((RESULTS / f"{name}.json").read_text())
        tested, robust = result["test"], result["robust"]
        low, high = (f"{100 * bound:.1f}" for bound in tested["accuracy_interval"])
        cells = (
            f"`{name}`: `{result['model']}`, {result['train_pictures']:,} pictures, seed {result['seed']}",
            f"{result['best_epoch']} of {result['epochs']}",
            f"{100 * result['val_accuracy']:.1f}%",
            f"{100 * tested['accuracy']:.1f}% ({low} to {high})",
            f"{100 * robust['pgd20']:.1f}%" if robust else "",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def robust_accuracy(classifier: Classifier, test: Dataset, judge: str) -> dict[str, float | int]:
    """Measure accuracy at 8/255 under PGD-20, steps of 2/255, and a stronger attack, on the first test pictures."""
    batch = test[:ATTACKED]
    images, labels = batch.images.to(classifier.device), batch.labels.to(classifier.device)
    challenge = Challenge.of(classifier, images, labels, threat=ThreatModel("linf", "8/255"), ids=batch.ids)
    clean = 1 - challenge.begin().success.float().mean().item()
    attacked = pgd(challenge, steps=20, step_size=2 / 255).success.float().mean().item()
    whole = evaluate_robustness(classifier, test.take(torch.arange(ATTACKED)), RobustnessRequest(judge))
    named = judge.replace("-", "_")
    return {"n": len(batch.ids), "clean": clean, "pgd20": 1 - attacked, named: whole.robust_accuracy}


def corrupted_accuracy(classifier: Classifier, test: Dataset) -> dict[str, object]:
    """Measure accuracy under the published corruptions but frost, five severities each, on the first test pictures."""
    found = evaluate_corruptions(classifier, test.take(torch.arange(ATTACKED)))
    kinds = {name: list(one.accuracy) for name, one in found.kinds.items() if one.counted}
    return {"n": len(found.table), "clean": found.clean_accuracy, "mean": found.mean_accuracy, "kinds": kinds}


def certified_accuracy(recipe: Recipe, classifier: Classifier, test: Dataset, folder: Path) -> dict[str, object] | None:
    """Prove what a recipe was made for, on the first test pictures: bounds at 2/255, or smoothing at its own sigma."""
    test = test.take(torch.arange(CERTIFIED))
    if recipe.augment.corruption.startswith("gaussian"):
        sigma = recipe.augment.corruption.partition("sigma=")[2]
        asked = CertifyRequest(f"smoothing:sigma={sigma},n=1000")
        return evaluate_certificates(classifier, test, asked, cache=folder / "certificates").to_json()
    if recipe.adversary.partition(":")[0] not in ("ibp", "crown-ibp"):
        return None
    ibp, crown = (
        evaluate_certificates(classifier, test, CertifyRequest(name, "2/255"), cache=folder / name).shares[0]
        for name in ("ibp", "crown")
    )
    return {"n": len(test), "eps": "2/255", "ibp": ibp.share, "crown": crown.share, "attacked": crown.attacked}


def _data_folder() -> Path:
    return Path(os.environ.get("BACKLIGHT_DATA") or (ROOT.parent / "shared" / "data"))


def _commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
