"""Pages of made pictures: what they say is so of the files, and what came to nothing is called so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from backlight import Classifier, tasks
from backlight.core.errors import UsageError
from backlight.denoise import quality
from backlight.denoise.denoising import SOLVERS
from backlight.images import open_picture, to_tensor, write_png
from backlight.page.sections import percent
from backlight.report.made_judged import judge_class, judge_quality
from backlight.visualize.film import MOST_FRAMES
from tests.report.reading import read

SIDE = 16
LABELS = ("circle", "<b>square</b>", "triangle")


@pytest.fixture(scope="module")
def model() -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 3)
        )  # fmt: skip
        net[-1].weight.data *= 20
    return Classifier.from_module(net, size=SIDE, labels=LABELS, name="small")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    write_png(path, torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)))
    return path


def of(classifier: Classifier, path: str | Path) -> list[float]:
    with torch.no_grad():
        return classifier.probabilities(to_tensor(open_picture(path))[None])[0].tolist()


class Corner(nn.Module):
    """Say class 1 where the upper left pixel is white: an answer that no shift survives but those that repeat it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = 40 * x[:, :, 3, 3].mean(1) - 20
        return torch.stack([-seen, seen], 1)


def test_a_class_image_is_judged_by_the_model_and_by_shifts() -> None:
    steady = Classifier.from_module(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)), size=SIDE)
    gray = torch.full((3, SIDE, SIDE), 0.5)
    says = int(steady.logits(gray[None]).argmax())
    good, bad = judge_class(steady, gray, says), judge_class(steady, gray, 1 - says)
    assert (good.light, good.shifts) == ("good", (8, 8))
    assert (bad.light, bad.shifts) == ("bad", (0, 8))
    assert f"does not see {1 - says} in it" in bad.sentence
    pixel = torch.zeros(3, SIDE, SIDE)
    pixel[:, 3, 3] = 1
    one = judge_class(Classifier.from_module(Corner(), size=SIDE), pixel, 1)
    assert (one.light, one.shifts) == ("look", (0, 8))
    assert "single pixels" in one.sentence


def test_a_model_without_an_answer_is_said_to_have_none() -> None:
    class Nothing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)[:, :2] * float("nan")

    found = judge_class(Classifier.from_module(Nothing(), size=SIDE), torch.zeros(3, SIDE, SIDE), 1)
    assert found.light == "bad"
    assert "nothing" in found.sentence


def test_a_class_page_says_what_the_model_says_of_the_file(model: Classifier, tmp_path: Path) -> None:
    request = tasks.VisualizeRequest("class", ("1",), model, steps=3, frames=1, out=tmp_path, command="backlight <x>")
    outcome = tasks.visualize(request)
    (done,) = outcome.document
    shares = of(model, done["png"])
    page = read(Path(done["html"]))
    assert done["verdict"] in page.text
    assert any(done["verdict"] in line for line in outcome.lines)
    assert (done["judgement"] == "bad") == (shares.index(max(shares)) != 1)
    assert {one["label"]: one["after"] for one in done["probabilities"]}[LABELS[1]] == pytest.approx(
        shares[1], abs=1e-6
    )
    assert percent(shares[1]) in page.text
    assert "backlight <x>" in page.text
    with Image.open(done["animation"]) as film:
        assert film.n_frames == 3
    assert Path(done["animation"]) in outcome.files


def test_a_fooled_page_shows_both_sides(model: Classifier, picture: Path, tmp_path: Path) -> None:
    request = tasks.FoolRequest((picture,), "second", model, steps=40, frames=2, out=tmp_path / "out")
    (done,) = tasks.fool(request).document
    before, after = of(model, picture), of(model, done["png"])
    assert done["success"]
    assert done["verdict"].startswith("Fooled: it was")
    for one in done["probabilities"]:
        place = LABELS.index(one["label"])
        assert (one["before"], one["after"]) == pytest.approx((before[place], after[place]), abs=1e-5)
    text = read(Path(done["html"])).text
    assert percent(max(before)) in text
    assert percent(max(after)) in text
    few = tasks.fool(
        tasks.FoolRequest((picture,), "least-likely", model, steps=1, confidence=0.999, out=tmp_path / "few")
    )
    assert few.document[0]["judgement"] == "look"


def test_a_style_page_shows_content_and_style(model: Classifier, picture: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "waves.png", torch.rand(3, 24, 20))
    from backlight import load

    net = load("classic_cnn", random=True)
    write_png(picture, torch.rand(3, 32, 32))
    request = tasks.StyleRequest(picture, (tmp_path / "waves.png",), net, longest=32, steps=1, out=tmp_path / "out")
    (done,) = tasks.style(request).document
    page = read(Path(done["html"]))
    assert "Style: waves" in page.text
    assert "Before" in page.text
    assert done["verdict"] in page.text


@pytest.mark.parametrize(("what", "name"), [("invert", "0 of a.png"), ("dream", "0 in a.png")])
def test_what_was_changed_is_named_by_its_file(
    model: Classifier, picture: Path, tmp_path: Path, what: str, name: str
) -> None:
    asked = tasks.VisualizeRequest(what, (str(picture),), model, layer="0", steps=1, longest=16, out=tmp_path / "out")
    (done,) = tasks.visualize(asked).document
    page = read(Path(done["html"]))
    assert done["name"] == name
    assert name in page.text
    assert "its class" not in page.text


def test_a_channel_is_called_one(model: Classifier, tmp_path: Path) -> None:
    asked = tasks.VisualizeRequest("feature", ("0:1", "0:2"), model, steps=1, out=tmp_path)
    page = read(Path(tasks.visualize(asked).document[0]["html"]))
    assert "activation at 0:its channel" in page.text


def test_denoising_that_makes_it_worse_is_called_so(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    clean = torch.rand(3, SIDE, SIDE, generator=draw)
    noisy = (clean + 0.02 * torch.randn(clean.shape, generator=draw)).clamp(0, 1)
    write_png(tmp_path / "clean.png", clean)
    write_png(tmp_path / "noisy.png", noisy)
    request = tasks.DenoiseRequest(
        (tmp_path / "noisy.png",), alpha=5.0, reference=tmp_path / "clean.png", out=tmp_path / "out"
    )
    outcome = tasks.denoise(request)
    (done,) = outcome.document
    files = [to_tensor(open_picture(one))[None] for one in (tmp_path / "noisy.png", tmp_path / "clean.png")]
    assert done["psnr_before"] == pytest.approx(quality(*files).psnr[0])
    assert done["psnr"] < done["psnr_before"]
    assert done["judgement"] == "bad"
    text = read(Path(done["html"])).text
    assert "No nearer to the clean picture" in text
    assert "The clean picture" in text
    assert any("No nearer" in line for line in outcome.lines)


def test_denoising_is_judged_by_both_measures() -> None:
    assert judge_quality((20.0, 0.5), (26.0, 0.8)).light == "good"
    assert judge_quality((20.0, 0.5), (26.0, 0.4)).light == "look"
    assert judge_quality((20.0, 0.5), (20.0, 0.5)).light == "bad"
    assert judge_quality(None, None).light == ""


@pytest.mark.parametrize("solver", SOLVERS)
def test_denoising_is_filmed(tmp_path: Path, solver: str) -> None:
    write_png(tmp_path / "noisy.png", torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)))
    norms = {"data_norm": "l2", "smooth_norm": "l1"}
    request = tasks.DenoiseRequest((tmp_path / "noisy.png",), steps=30, solver=solver, frames=1, out=tmp_path, **norms)
    outcome = tasks.denoise(request)
    (done,) = outcome.document
    with Image.open(done["animation"]) as film:
        assert 2 <= film.n_frames <= MOST_FRAMES
    assert Path(done["animation"]) in outcome.files
    plain = tasks.denoise(
        tasks.DenoiseRequest((tmp_path / "noisy.png",), steps=30, solver=solver, out=tmp_path / "plain", **norms)
    )
    assert Path(plain.document[0]["png"]).read_bytes() == Path(done["png"]).read_bytes()


def test_an_attack_is_filmed_beside_its_noise(model: Classifier, picture: Path, tmp_path: Path) -> None:
    how = {"method": "pgd:steps=6,stop=false", "eps": "16/255"}
    request = tasks.AttackRequest((picture,), model, frames=2, out=tmp_path / "out", **how)
    outcome = tasks.attack(request)
    (done,) = outcome.document
    with Image.open(done["animation"]) as film:
        assert film.size == (2 * SIDE, SIDE)
        assert 3 <= film.n_frames <= MOST_FRAMES + 2
        first = to_tensor(film.convert("RGB"))
        assert (first[:, :, SIDE:] - 0.5).abs().mean() < 0.05, "nothing is added at first"
        film.seek(film.n_frames - 1)
        assert (to_tensor(film.convert("RGB"))[:, :, SIDE:] - 0.5).abs().mean() > 0.05
    assert "Watch it come about" in read(Path(done["html"])).text
    plain = tasks.attack(tasks.AttackRequest((picture,), model, out=tmp_path / "plain", **how))
    assert Path(plain.document[0]["png"]).read_bytes() == Path(done["png"]).read_bytes()
    with pytest.raises(UsageError):
        tasks.attack(tasks.AttackRequest((picture,), model, frames=2, out=tmp_path / "out", **how))
