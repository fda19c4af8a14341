"""What the page is told is what the library says, and what it shows to repeat it does repeat it."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from backlight.app.asking import Asked
from backlight.app.repeating import Repeat
from backlight.app.session import Session
from backlight.attack import choose_attack
from backlight.classifier import Classifier
from backlight.images import to_tensor
from backlight.tasks.loading import ModelRequest
from tests.app.conftest import SMALL, Asker
from tests.cli.running import CommandLine

QUESTIONS = [
    ("predict", {}),
    ("predict", {"cover": "0.4,0.5,0.3"}),
    ("explain", {"methods": "gradcam"}),
    ("explain", {"methods": "smoothgrad:samples=3", "target": "index:3", "quantity": "probability"}),
    ("attack", {"method": "fgsm", "eps": "2/255"}),
    ("attack", {"method": "pgd:steps=3,stop=false", "eps": "1/255"}),
    ("attack", {"method": "pgd", "eps": "8/255", "target": "index:3"}),
    ("attack", {"method": "pgd:steps=3,stop=false", "eps": "5", "norm": "l1"}),
    ("attack", {"method": "sigma-zero:steps=3", "eps": "30", "norm": "l0"}),
    ("visualize", {"what": "class", "subjects": "index:3", "steps": "3"}),
    ("denoise", {"alpha": "0.5"}),
]
_APART = ("seconds", "html")


@pytest.fixture
def backlight(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


def decoded(uri: str) -> torch.Tensor:
    return to_tensor(Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))))


def test_attacks_of_many_steps_share_one_fast_copy(client: Asker, cat: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    words = {"method": "pgd:steps=12", "eps": "1/255"}
    first = client.answer("attack", cat, name="cat.png", **words)
    monkeypatch.delattr(Classifier, "fast")
    again = client.answer("attack", cat, name="cat.png", **words)
    assert again["png"] == first["png"]
    assert "html" not in again


def test_a_class_whose_name_begins_with_a_dash_is_named_by_the_printed_command() -> None:
    repeat = Repeat("visualize", ModelRequest("classic_cnn"), None, {"what": "class", "subjects": ("-x",), "steps": 3})
    assert repeat.command().endswith("--steps 3 --model classic_cnn -- class -x")


def told_by_python(lines: str) -> Any:
    """Run the lines that the page shows; return the document that they print."""
    space: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(lines, "the page", "exec"), space)  # noqa: S102
    return space["outcome"].document


def pictures_of(document: Any) -> list[torch.Tensor]:
    entries = [*document[0].get("maps", [document[0]])]
    return [to_tensor(Image.open(one["png"])) for one in entries if "png" in one]


def numbers_of(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: numbers_of(one) for name, one in document.items() if name not in _APART and "p" not in name[:1]}
    return [numbers_of(one) for one in document] if isinstance(document, list) else document


@pytest.mark.parametrize(("verb", "words"), QUESTIONS, ids=lambda one: str(one))
def test_command_and_python_do_the_same_again(
    client: Asker, cat: bytes, cat_here: Path, backlight: CommandLine, verb: str, words: dict[str, str]
) -> None:
    shown = client.answer(verb, cat if verb != "visualize" else b"", name="cat.png", **words)
    command = shown["repeat"]["command"]
    first = told_by_python(shown["repeat"]["python"])
    assert len(shown["repeat"]["python"].splitlines()) == 5
    pictures = pictures_of(first)
    ran = backlight(*_words(command), "--json", *(["--force"] if pictures else []))
    assert ran.status == 0, ran.err
    assert numbers_of(ran.json) == numbers_of(json.loads(json.dumps(first)))
    for name, value in first[0].items():
        if name in shown and name not in ("path", "png", "maps", "perturbation_png", *_APART):
            assert shown[name] == value, name
    embedded = [decoded(one["png"]) for one in shown.get("maps", [shown]) if "png" in one]
    assert [one.shape for one in embedded] == [one.shape for one in pictures]
    assert all(map(torch.equal, embedded, pictures))
    assert all(map(torch.equal, pictures, pictures_of(ran.json)))


def _words(command: str) -> list[str]:
    import shlex

    program, *words = shlex.split(command)
    assert program == "backlight"
    return words


def test_an_attack_tells_what_the_file_is_taken_for(client: Asker, session: Session, cat: bytes) -> None:
    shown = client.answer("attack", cat, method="fgsm", eps="8/255")
    classifier = session.models[0].classifier
    before, after = decoded(client.answer("predict", cat)["view"]), decoded(shown["png"])
    assert (after - before).abs().max() <= 8 / 255 + 1e-6
    for image, name in ((before, "before"), (after, "after")):
        probabilities = classifier.probabilities(image[None])[0]
        for one in shown[name]:
            assert one["probability"] == pytest.approx(float(probabilities[one["index"]]), abs=1e-6)
    assert shown["label_after"] == shown["after"][0]["label"]


def test_what_the_page_offers_can_be_asked(client: Asker) -> None:
    for norm in client.get("/api/state").json()["choices"]["norms"]:
        assert norm["first"] in norm["sizes"]
        for _, method, _ in norm["kinds"]:
            given = Asked.read("attack", {"method": method, "norm": norm["name"], "eps": norm["first"]}).given
            chosen = choose_attack(given["method"], norm=given["norm"], eps=given["eps"])
            assert chosen.threat.norm == norm["name"]


def test_pgd_shows_every_step_and_fgsm_none(client: Asker, cat: bytes) -> None:
    events = client.events("attack", cat, method="pgd:steps=4,stop=false", eps="2/255")
    frames = [told for kind, told in events if kind == "frame"]
    assert [one["step"] for one in frames] == [0, 1, 2, 3, 4]
    assert {one["steps"] for one in frames} == {4}
    assert all(len(one["predictions"]) == 5 for one in frames)
    assert [kind for kind, _ in client.events("attack", cat, method="fgsm")].count("frame") == 0


def test_a_class_image_forms_as_it_climbs(client: Asker) -> None:
    events = client.events("visualize", what="class", subjects="index:3", steps="13")
    assert [told["step"] for kind, told in events if kind == "frame"] == [6, 12, 13]
    assert events[-1][1]["after"][0]["probability"] > 0


def test_a_covered_square_is_what_the_library_says_of_it(client: Asker, session: Session, cat: bytes) -> None:
    shown = client.answer("predict", cat, cover="0.5,0.5,0.5")
    classifier, image = session.models[0].classifier, decoded(shown["view"])[None]
    side = image.shape[-1]
    image[:, :, side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = torch.tensor(classifier.mean).view(1, -1, 1, 1)
    expected = classifier.probabilities(image)[0]
    for one in shown["predictions"]:
        assert one["probability"] == pytest.approx(float(expected[one["index"]]), abs=1e-6)


def test_a_report_is_the_normal_one(client: Asker, cat: bytes) -> None:
    page = client.answer("report", cat, methods="saliency", name="cat.png")["html"]
    assert page.startswith("<!doctype html>")
    assert "backlight report cat.png --methods saliency --model classic_cnn --random" in page
    assert "/tmp" not in page


@pytest.mark.parametrize("words", [{"target": "no such class"}, {"methods": "rollout"}])
def test_what_cannot_be_done_is_said(client: Asker, cat: bytes, words: dict[str, str]) -> None:
    kind, told = client.events("explain", cat, **words)[-1]
    assert kind == "failed"
    assert told["error"]


def test_names_and_models_are_written_so_that_they_can_be_copied() -> None:
    model = ModelRequest("timm:resnet18", weights=Path("my weights.pth"), mean=(0.5, 0.5, 0.5), size=(64, 48))
    repeat = Repeat("explain", model, "-x y.png", Asked.read("explain", {"methods": "rise:samples=5"}).given)
    assert repeat.command() == (
        "backlight explain './-x y.png' --methods rise:samples=5 --model timm:resnet18 --weights 'my weights.pth' "
        "--mean 0.5,0.5,0.5 --size 64x48"
    )
    space: dict[str, Any] = {}
    exec("\n".join(repeat.python().splitlines()[:3]), space)  # noqa: S102
    assert space["request"].model == model
    assert space["request"].pictures == (Path("-x y.png"),)


def test_the_page_knows_the_model(client: Asker, session: Session) -> None:
    state = client.get("/api/state").json()
    (model,) = state["models"]
    assert model["labels"] == [session.models[0].classifier.label(index) for index in range(len(model["labels"]))]
    names = [one["name"] for one in model["methods"]]
    assert "gradcam" in names
    assert "rollout" not in names
    assert SMALL.model == model["spec"]
