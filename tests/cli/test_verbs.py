import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backlight.table import Table
from tests.cli.running import CommandLine


def test_predict_as_json(backlight: CommandLine, photographs: Path) -> None:
    ran = backlight("predict", photographs, "--json", "--top", 2)
    assert ran.status == 0
    cat, cup = ran.json
    assert cat["path"].endswith("chelsea.png")
    assert {one["label"] for one in cat["predictions"]} == {"tiger cat", "Egyptian cat"}
    assert cup["predictions"][0]["label"] == "espresso"
    assert set(cup["predictions"][0]) == {"label", "index", "probability", "logit"}


def test_predictions_that_are_kept_are_those_that_are_printed(
    backlight: CommandLine, photographs: Path, small_model: str, tmp_path: Path
) -> None:
    broken, out = tmp_path / "broken.png", tmp_path / "out"
    broken.write_text("not a picture")
    words = ("predict", photographs, broken, "--model", small_model, "--top", 2)
    printed, kept = backlight(*words, "--json"), backlight(*words, "--out", out, "--json")
    assert printed.status == kept.status == 1
    assert str(broken) in kept.err
    rows = Table.read(out / "predict.parquet").rows()
    keys = ("top.prediction_name", "top.prediction", "top.probability", "top.logit")
    assert [{"path": row["id"], "predictions": list(zip(*(row[key] for key in keys)))} for row in rows] == [
        {"path": one["path"], "predictions": [tuple(each.values()) for each in one["predictions"]]}
        for one in printed.json[:-1]
    ]
    assert (kept.json["n"], kept.json["failed"], sum(kept.json["classes"].values())) == (2, 1, 2)
    assert json.loads((out / "predict.json").read_text()) == kept.json
    again = backlight(*words, "--out", out)
    assert again.status == 2
    assert "predict.parquet exists already" in again.err
    assert backlight(*words, "--out", out, "--force").status == 1


@pytest.mark.parametrize("words", [("--workers", 2), ("--shard", "1/2"), ("--plan",), ("--resume",), ("--force",)])
def test_what_needs_a_folder_is_refused_without_one(
    backlight: CommandLine, photographs: Path, small_model: str, words: tuple[object, ...]
) -> None:
    ran = backlight("predict", photographs, "--model", small_model, *words)
    assert ran.status == 2
    assert f"{words[0]} without --out" in ran.err


def test_predict_for_people(backlight: CommandLine, photographs: Path) -> None:
    ran = backlight("predict", photographs / "coffee.jpg", "--top", 1)
    assert ran.out.splitlines()[1].split()[1] == "espresso"
    assert ran.err == ""


def test_inspect_prints_the_heads_inputs_offline(backlight: CommandLine) -> None:
    ran = backlight("inspect", "--model", "timm:resnet50", "--random", "--json", "--size", 64)
    assert ran.json["head"] == {"in_features": 2048, "classes": 1000}
    assert ran.json["parameters"] == 25_557_032
    assert {"name", "type", "output"} == set(ran.json["layers"][0])
    assert "2048 inputs" in backlight("inspect", "--model", "timm:resnet50", "--random", "--size", 64).out


def test_inspect_compares_random_with_trained_weights(backlight: CommandLine, photographs: Path) -> None:
    ran = backlight("inspect", photographs / "coffee.jpg", "--compare-random")
    assert ran.status == 0
    assert ran.out.splitlines().count("  logit") == 2
    assert ran.out.count("probability") == 2
    assert "espresso" in ran.out.split("random weights")[0]


def test_explain_writes_overlays_and_raw_maps(
    backlight: CommandLine, photographs: Path, small_model: str, tmp_path: Path
) -> None:
    ran = backlight(
        "explain", photographs, "--model", small_model, "--methods", "saliency,gradcam", "--target", "dog", "--json",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert ran.status == 0
    first = ran.json[0]
    assert first["target"] == "dog"
    assert [one["method"] for one in first["maps"]] == ["saliency", "gradcam"]
    with Image.open(first["maps"][0]["png"]) as overlay:
        assert overlay.size == (32, 32)
    with np.load(first["maps"][0]["npz"], allow_pickle=False) as raw:
        assert raw["raw"].shape == (3, 32, 32)
        assert raw["box"].tolist() == first["box"]


@pytest.mark.parametrize("method", ["fgsm", "pgd", "targeted_l2"])
def test_the_attacked_png_does_what_was_printed(
    backlight: CommandLine, photographs: Path, small_model: str, tmp_path: Path, method: str
) -> None:
    target = ["--target", "least-likely"] if method == "targeted_l2" else []
    ran = backlight(
        "attack", photographs, "--model", small_model, "--method", method, "--json", "--out", tmp_path, *target
    )
    assert ran.status == 0
    for one in ran.json:
        seen = backlight("predict", one["png"], "--model", small_model, "--top", 1, "--json").json
        assert seen[0]["predictions"][0]["label"] == one["label_after"]
        if one["eps"] is not None:
            assert one["distance"] <= one["eps"] + 1e-6


def test_nothing_is_overwritten_without_force(
    backlight: CommandLine, photographs: Path, small_model: str, tmp_path: Path
) -> None:
    command = ("attack", photographs, "--model", small_model, "--method", "fgsm", "--out", tmp_path)
    assert backlight(*command).status == 0
    again = backlight(*command)
    assert again.status == 2
    assert "--force" in again.err
    assert backlight(*command, "--force").status == 0


def test_methods_and_models_are_listed(backlight: CommandLine) -> None:
    methods = {entry["name"] for entry in backlight("methods", "--json").json}
    assert {"saliency", "gradcam", "guided_backprop", "guided_gradcam", "fgsm", "pgd", "targeted_l2"} <= methods
    assert "efficientnet_lite0" in backlight("models").out
    assert "eprint = {1412.6572}" in backlight("methods", "--bibtex").out


def test_some_inputs_fail_and_the_others_go_on(
    backlight: CommandLine, photographs: Path, small_model: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_text("this is text")
    ran = backlight("predict", photographs / "coffee.jpg", broken, "--model", small_model, "--json")
    assert ran.status == 1
    assert ran.json[1]["path"] == str(broken)
    assert ran.json[1]["error"]
    assert str(broken) in ran.err
