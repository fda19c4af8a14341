"""train, evaluate and data, on a drawn data set that takes a second or two."""

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backlight import load
from backlight.cli import main
from backlight.data import load_data
from backlight.table import Table
from tests.cli.running import CommandLine
from tests.processes import run_processes
from tests.report.reading import read

SHAPES = "shapes:n=120,size=16,classes=3"
TRAINING = ("--data", SHAPES, "--epochs", 1, "--set", "batch_size=32", "--quiet", "--memory-format", "contiguous")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train for one epoch, as a whole, for the tests that need a run."""
    folder, printed = tmp_path_factory.mktemp("runs") / "run", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "argv", ["backlight", "train", *map(str, TRAINING), "--out", str(folder), "--json"])
        with pytest.raises(SystemExit) as stop:
            main()
    assert stop.value.code == 0
    document = json.loads(printed.getvalue())
    keys = {"run", "best_epoch", "val_accuracy", "val_loss", "epochs", "images_per_second", "seconds"}
    assert keys <= set(document)
    return folder


def test_a_run_can_be_evaluated_and_used_as_a_model(backlight: CommandLine, run: Path, tmp_path: Path) -> None:
    found = backlight("evaluate", "--model", run, "--data", SHAPES, "--out", tmp_path, "--json").json
    assert found["split"] == "test"
    assert sum(map(sum, found["confusion"])) == found["n"] == 12
    assert found["labels"] == ["circle", "square", "triangle"]
    assert backlight("inspect", "--model", run, "--json").json["head"]["classes"] == 3
    page = read(tmp_path / "report.html")
    assert found["html"] == str(tmp_path / "report.html")
    assert {"accuracy", "confusion", "calibration", "losses", "training", "model"} <= set(page.ids)
    again = backlight("evaluate", "--model", run, "--data", SHAPES, "--out", tmp_path)
    assert again.status == 2
    assert "report.html" in again.err


def test_train_learns_from_train_and_chooses_by_val(run: Path) -> None:
    data = json.loads((run / "run.json").read_text())["data"]
    for part in ("train", "val"):
        assert data[part] == load_data(SHAPES, split=part).fingerprint()


def test_a_run_has_a_page(run: Path) -> None:
    page = read(run / "report.html")
    assert "Epoch" in page.text
    assert "still improving" in page.text  # its only epoch is its last
    assert "How classic_cnn was trained" in page.text
    assert len(page.ids) == len(set(page.ids))


def test_two_models_are_compared(backlight: CommandLine, run: Path, tmp_path: Path) -> None:
    both = ("--model", run, "--model", run)
    found = backlight("evaluate", *both, "--data", SHAPES, "--out", tmp_path, "--json").json
    assert found["comparison"]["difference"] == 0
    assert found["comparison"]["p"] == 1
    assert "the very same pictures" in read(tmp_path / "report.html").text
    three = backlight("evaluate", *both, "--model", run, "--data", SHAPES)
    assert three.status == 2


def test_accuracy_by_slice_and_the_table(backlight: CommandLine, run: Path, tmp_path: Path) -> None:
    (tmp_path / "when.csv").write_text(
        "id,when\n" + "".join(f"{row},{'day' if row % 2 else 'night'}\n" for row in range(120))
    )
    ran = backlight(
        "evaluate", "--model", run, "--data", SHAPES, "--json", "--slice", f"{tmp_path / 'when.csv'}:when",
        "--table", "--out", tmp_path / "out",
    )  # fmt: skip
    slices = ran.json["slices"]
    assert {one["value"] for one in slices} <= {"day", "night"}
    assert sum(one["n"] for one in slices) == ran.json["n"]
    assert (tmp_path / "out" / "samples.parquet").is_file()
    assert "night" in read(tmp_path / "out" / "report.html").text


def test_a_file_of_slices_about_other_pictures_is_told_before_any_is_looked_at(
    backlight: CommandLine, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "when.csv").write_text("id,when\nother.png,day\n")
    monkeypatch.setattr("backlight.evaluate.evaluating.predict_dataset", lambda *_, **__: pytest.fail("looked"))
    ran = backlight(
        "evaluate", "--model", run, "--data", SHAPES, "--slice", f"{tmp_path / 'when.csv'}:when", "--out", tmp_path
    )
    assert ran.status == 2
    assert "no picture has a value" in ran.err


PROCESSES = """
import sys
from backlight.cli import main
for words in {commands!r}:
    sys.argv = ["backlight", *words]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, stop.code
"""


@pytest.mark.slow
def test_verbs_in_two_processes_say_once_what_one_says(tmp_path: Path) -> None:
    def commands(name: str) -> list[list[str]]:
        run, out, words = str(tmp_path / f"run {name}"), str(tmp_path / name), [*map(str, TRAINING)]
        plain = ["--precision", "float32", "--json"]
        looked = ["evaluate", "--model", run, "--data", SHAPES, "--table", "--json", "--quiet", "--out", out]
        return [["train", *words, *plain, "--out", run], looked]

    printed = {
        name: run_processes(PROCESSES.format(commands=commands(name)), world)
        for name, world in (("one", 1), ("two", 2))
    }
    # One document per verb, from the main process alone.
    found = {
        name: [json.loads(line) for line in text.replace("}\n{", "}\0{").split("\0")] for name, text in printed.items()
    }
    assert [len(one) for one in found.values()] == [2, 2]
    tables = [Table.read(tmp_path / name / "samples.parquet") for name in ("one", "two")]
    assert tables[0].ids == tables[1].ids
    # Two processes look at batches of other shapes, so what was learned differs in its last bits.
    best = [np.sort(table["logits"], axis=1)[:, -2:] for table in tables]
    decided = np.all([one[:, 1] - one[:, 0] > 1e-3 for one in best], axis=0)
    assert decided.mean() > 0.9
    assert tables[0]["prediction"][decided].tolist() == tables[1]["prediction"][decided].tolist()
    assert np.abs(np.subtract(*(one[1]["confusion"] for one in found.values()))).sum() <= 2 * (~decided).sum()


def test_a_model_of_unknown_size_is_evaluated_without_a_page(backlight: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "any.py").write_text(
        "import torch\nfrom backlight import Classifier\n"
        "def net():\n"
        "    layers = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 3)\n"
        "    return Classifier.from_module(torch.nn.Sequential(*layers), labels=['circle', 'square', 'triangle'])\n"
    )
    ran = backlight("evaluate", "--model", f"{tmp_path / 'any.py'}:net", "--data", SHAPES, "--out", tmp_path, "--json")
    assert ran.status == 0
    assert ran.json["n"] == 120
    assert ran.json["html"] is None
    assert "no page was written" in ran.err


def test_a_run_is_not_replaced_unasked_and_resumes(backlight: CommandLine, run: Path) -> None:
    again = backlight("train", *TRAINING, "--out", run)
    assert again.status == 2
    resumed = backlight("train", "--data", SHAPES, "--out", run, "--resume", "--json")
    assert resumed.status == 0
    assert resumed.json["epochs"] == 1


def test_a_trained_network_is_hardened_in_a_few_epochs(backlight: CommandLine, run: Path, tmp_path: Path) -> None:
    file, out = run / "best.safetensors", tmp_path / "hard"
    words = (
        "train",
        "--data",
        SHAPES,
        "--model",
        "classic_cnn",
        "--weights",
        file,
        "--size",
        "16",
        "--adversary",
        "nfgsm",
    )
    ran = backlight(*words, "--epochs", "1", "--out", out, "--json")
    assert ran.status == 0
    assert "ASSUMED" in ran.err  # a file of weights does not say what it was trained with
    info = json.loads((out / "run.json").read_text())
    assert (info["start"]["weights"], info["start"]["mean"]) == (str(file), None)
    assert info["origin"] == load(run).passport.weights
    # Without --weights, which the run knows.
    assert backlight("train", "--data", SHAPES, "--out", out, "--resume", "--json").json["epochs"] == 1
    other = backlight("train", "--data", SHAPES, "--out", out, "--resume", "--mean", "0.5")
    assert other.status == 2
    assert "--mean 0.5; expected None, as the run was started with" in other.err
    again = backlight(
        "train", "--data", SHAPES, "--model", out, "--epochs", "1", "--out", tmp_path / "harder", "--json"
    )
    assert again.status == 0
    assert "ASSUMED" not in again.err
    assert again.json["model"]["name"] == "classic_cnn"
    taught = tmp_path / "taught"
    words_of = "train", "--data", SHAPES, "--teacher", f"{run}:weight=0.5", "--epochs", "1", "--out", taught
    assert backlight(*words_of).status == 0
    info = json.loads((taught / "run.json").read_text())
    assert (info["recipe"]["teacher"], len(info["teacher"])) == (f"{run}:weight=0.5", 16)
    wrong = backlight(*words, "--mean", "half", "--out", tmp_path / "none")
    assert wrong.status == 2
    assert "numbers with commas between" in wrong.err


def test_data_can_be_inspected_and_converted(backlight: CommandLine, tmp_path: Path) -> None:
    ran = backlight("data", "inspect", "shapes:n=30,size=16,classes=3", "--out", tmp_path / "seen", "--json")
    assert ran.json["warnings"] == [] or ran.status == 0
    assert (tmp_path / "seen" / "contact-sheet.png").is_file()
    target = tmp_path / "shapes.npz"
    assert backlight("data", "convert", "shapes:n=30,size=16,classes=3", target, "--json").json["pictures"] == 30
    again = backlight("data", "inspect", target, "--out", tmp_path / "again", "--json").json
    assert again["counts"] == ran.json["counts"]


def test_pictures_of_several_sizes_are_converted_to_one(backlight: CommandLine, tmp_path: Path) -> None:
    for name, size in (("cat", (20, 10)), ("dog", (8, 12))):
        (tmp_path / "in" / name).mkdir(parents=True)
        Image.new("RGB", size).save(tmp_path / "in" / name / "0.png")
    target = tmp_path / "out.npz"
    refused = backlight("data", "convert", tmp_path / "in", target)
    assert refused.status == 2
    assert "--size" in refused.err
    assert backlight("data", "convert", tmp_path / "in", target, "--size", "6x4").status == 0
    assert load_data(target, split="all").read([0, 1]).shape == (2, 3, 6, 4)


def test_one_class_is_told_before_any_work(backlight: CommandLine, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", X=np.zeros((20, 8, 8, 3), dtype=np.uint8), y=np.zeros(20, dtype=np.int64))
    ran = backlight("train", "--data", tmp_path / "one.npz", "--out", tmp_path / "run")
    assert ran.status == 2
    assert "has one class, '0'" in ran.err
    assert not (tmp_path / "run").exists()


def test_wrong_settings_are_told_before_any_work(backlight: CommandLine, tmp_path: Path) -> None:
    for words, said in (
        (("--set", "lrr=1"), "lr"),
        (("--recipe", "clasic"), "classic"),
        (("--save-every", "often"), "90s"),
        (("--adversary", "pgd:eps=8"), "8/255"),
        (("--conv", "fold"), "unfold"),
    ):
        ran = backlight("train", "--data", SHAPES, "--out", tmp_path / "none", *words)
        assert ran.status == 2
        assert said in ran.err
        assert not (tmp_path / "none").exists()
