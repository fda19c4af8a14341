from pathlib import Path

import pytest

from tests.cli.running import CommandLine
from tests.report.reading import read


def test_a_folder_becomes_a_page(backlight: CommandLine, photographs: Path, small_model: str, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    ran = backlight("report", photographs, "--model", small_model, "--out", out, "--json")
    assert ran.status == 0
    assert ran.json.keys() == {"html", "pictures", "seconds", "failed", "model", "warnings"}
    assert (ran.json["html"], ran.json["pictures"], ran.json["failed"]) == (str(out), 2, [])
    page = read(out)
    assert f"backlight report {photographs}" in page.text
    assert "no comparison with random weights" in " ".join(page.text.split())


def test_without_pictures_it_takes_the_samples_and_an_out_folder(
    backlight: CommandLine, small_model: str, tmp_path: Path
) -> None:
    ran = backlight("report", "--model", small_model, "--out", tmp_path, "--no-pictures", "--limit", 2)
    assert ran.status == 0
    assert ran.out.splitlines()[-1] == str(tmp_path / "report.html")
    assert "normalization mean" in ran.out.splitlines()[0]
    assert {"1. chelsea.png", "2. astronaut.png"} <= {
        line.strip() for line in read(tmp_path / "report.html").text.splitlines()
    }


def test_broken_pictures_are_named_and_the_status_says_so(
    backlight: CommandLine, photographs: Path, small_model: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_text("this is text")
    ran = backlight("report", photographs, broken, "--model", small_model, "--out", tmp_path / "page.html", "--json")
    assert ran.status == 1
    assert ran.json["pictures"] == 2
    assert ran.json["failed"][0]["path"] == str(broken)
    assert str(broken) in ran.err


def test_data_alone_gives_its_accuracy(backlight: CommandLine, tmp_path: Path) -> None:
    data = "shapes:n=200,size=32,classes=4"
    labels = tmp_path / "labels.txt"
    from backlight.data import load_data

    labels.write_text("\n".join(load_data(data).label_names))
    ran = backlight(
        "report",
        "--model",
        "classic_cnn",
        "--random",
        "--labels",
        labels,
        "--data",
        data,
        "--out",
        tmp_path / "page.html",
    )
    assert ran.status == 0, ran.err
    page = read(tmp_path / "page.html")
    assert {"accuracy", "model"} <= set(page.ids)
    assert "picture-1" not in page.ids
    assert "Of 200 pictures in" in " ".join(page.text.split())


def test_a_limit_holds_for_data_too(backlight: CommandLine, tmp_path: Path) -> None:
    data, page, labels = "shapes:n=200,size=32,classes=4", tmp_path / "page.html", tmp_path / "labels.txt"
    labels.write_text("circle\nsquare\ntriangle\nstar")
    model = ("--model", "classic_cnn", "--random", "--labels", labels)
    ran = backlight("report", *model, "--data", data, "--limit", 30, "--out", page)
    assert ran.status == 0, ran.err
    assert "Of 30 pictures in" in " ".join(read(page).text.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--methods", "salience"], "saliency"),
        (["--out", "exists.html"], "--force"),
        (["--data", "nowhere"], "no such file"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    backlight: CommandLine, photographs: Path, small_model: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, options: list[str], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exists.html").touch()
    ran = backlight("report", photographs, "--model", small_model, *options)
    assert ran.status == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_ctrl_c_tells_where_the_finished_part_is(
    backlight: CommandLine, photographs: Path, small_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import backlight.report.writing as writing

    real, calls = writing.study_pictures, []

    def interrupted(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(writing, "study_pictures", interrupted)
    out = tmp_path / "page.html"
    ran = backlight("report", photographs, "--model", small_model, "--batch-size", 1, "--out", out)
    assert ran.status == 130
    assert f"{out} shows what was finished" in ran.err
    assert "picture-1" in read(out).ids
