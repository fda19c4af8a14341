"""What a new user gets wrong: one clear sentence, exit status 2 (or 1 for a broken file), no traceback."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from backlight.cli.app import VERBS
from backlight.cli.options import ModelOptions
from tests.cli.running import CommandLine


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, (f"open({str(self.marker)!r}, 'w').close()",))


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["predict", "missing.png"], 2, "missing.png"),
        (["predict", "empty"], 2, "no pictures"),
        (["predict", "text.jpg"], 1, "text.jpg"),
        (["predict", "gray.png", "--model", "timm:resnet5O"], 2, "resnet50"),
        (
            ["predict", "gray.png", "--model", "runs/missing"],
            2,
            "'runs/missing' does not exist; expected the folder",
        ),
        (["predict", "gray.png", "--model", "text.jpg"], 2, "is a file, not a run folder"),
        (["predict", "gray.png", "--weights", "code.pth"], 2, "code.pth"),
        (["predict", "gray.png", "--mean", "a,b"], 2, "numbers"),
        (["predict", "gray.png", "--size", "0"], 2, "224"),
        (["attack", "gray.png", "--eps", "8"], 2, "8/255"),
        (["attack", "gray.png", "--method", "pgdd"], 2, "pgd"),
        (["attack", "gray.png", "--method", "fgsm", "--steps", "3"], 2, "no option 'steps'"),
        (["explain", "gray.png", "--methods", "salience"], 2, "saliency"),
        (["explain", "gray.png", "--target", "tabbi"], 2, "tabby"),
        (["explain", "gray.png", "--methods", "gradcam", "--layer", "blocks.77"], 2, "blocks"),
        (["inspect", "--compare-random"], 2, "picture"),
        (["robustness", "--data", "shapes", "--memory-format", "channels-last"], 2, "channels_last"),
        (["report", "--data", "shapes:n=20", "--memory-format", "nonsense"], 2, "contiguous"),
        (["evaluate", "--data", "shapes:n=20", "--memory-format", "nonsense"], 2, "contiguous"),
    ],
)
def test_one_clear_sentence(
    backlight: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.jpg").write_text("no picture")
    Image.new("L", (40, 30), 128).save("gray.png")
    (tmp_path / "code.pth").write_bytes(pickle.dumps(Hostile(tmp_path / "ran")))
    ran = backlight(*arguments)
    assert ran.status == status
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err.strip().splitlines()) <= 2
    assert ran.out == ""
    assert not (tmp_path / "ran").exists()


def test_a_gray_picture_is_as_good_as_any(backlight: CommandLine, tmp_path: Path, small_model: str) -> None:
    Image.new("L", (40, 30), 128).save(tmp_path / "gray.png")
    assert backlight("predict", tmp_path / "gray.png", "--model", small_model).status == 0


@pytest.mark.parametrize("verb", [verb.__name__ for verb in VERBS])
def test_every_verbs_help_shows_an_example(backlight: CommandLine, verb: str) -> None:
    ran = backlight(verb, "--help")
    assert ran.status == 0
    assert f"Example: backlight {verb}" in " ".join(ran.out.split())


@pytest.mark.parametrize("verb", [["train"], ["evaluate"], ["robustness"], ["data", "inspect"], ["data", "convert"]])
def test_every_verb_on_data_names_every_form_of_it(backlight: CommandLine, verb: list[str]) -> None:
    said = " ".join(backlight(*verb, "--help").out.replace("│", " ").split())
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    for form in ("class folders", "train/ val/ test/", "list file", ".npz", ".parquet", ".tar", "CIFAR", "hf:NAME"):
        assert form in said, form
        assert form in readme, form
    assert "shapes:" in said
    assert "@train=" in said


def test_help_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; sys.argv = ['backlight', '--help']\n"
        "from backlight.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'timm', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_weights_with_code_in_them_are_refused_by_name(backlight: CommandLine, tmp_path: Path) -> None:
    torch.save({"state_dict": Hostile(tmp_path / "ran")}, tmp_path / "code.pth")
    ran = backlight("inspect", "--weights", tmp_path / "code.pth")
    assert ran.status == 2
    assert "code.pth" in ran.err
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", ["contiguous", "channels_last"])
def test_weights_lie_in_memory_as_asked(small_model: str, form: str) -> None:
    module = ModelOptions(model=small_model, memory_format=form).request.load(seed=0).module
    layout = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}[form]
    assert all(one.is_contiguous(memory_format=layout) for one in module.parameters() if one.ndim == 4)
