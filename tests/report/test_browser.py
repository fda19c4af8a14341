"""The page in a real browser, without a network: no message, no request, and everything that moves does move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from backlight import Classifier
from backlight.attack import RobustnessRequest, evaluate_robustness
from backlight.data.dataset import Dataset
from backlight.evaluate import evaluate
from backlight.images import to_tensor
from backlight.report import write_report
from backlight.report.evaluation import evaluation_sections
from backlight.report.robustness import robustness_section
from backlight.report.training import training_section
from backlight.runs.history import History
from tests.attack.nets import pictures, sharp_net
from tests.report.reading import read, stored

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file(classifier: Classifier, photographs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("browser") / "report.html"
    write_report(classifier, photographs, out)
    return out


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the page of a robustness evaluation, all classes unfolded."""
    folder = tmp_path_factory.mktemp("attacked")
    labels = [f"a class with quite a long name {number}" for number in range(5)]
    classifier = Classifier.from_module(sharp_net(), size=16, labels=labels)
    images = (pictures(12) * 255).round().to(torch.uint8)
    data = Dataset.of(images, classifier.logits(images.float() / 255).argmax(1), labels)
    request = RobustnessRequest("pgd", eps="2/255", options={"steps": 8}, curve=True)
    found = evaluate_robustness(classifier, data, request, cache=folder / "blocks")
    section = robustness_section(found, steps=(1, 3, 8))
    write_report(classifier, (), folder / "report.html", sections=[section])
    return folder / "report.html"


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the page of an evaluation and of a run."""
    out = tmp_path_factory.mktemp("evaluated") / "report.html"
    labels = [f"a class with quite a long name {number}" for number in range(5)]
    images = (pictures(30) * 255).round().to(torch.uint8)
    data = Dataset.of(images, [row % 5 for row in range(30)], labels)
    classifier = Classifier.from_module(sharp_net(), size=16, labels=labels)
    line = {"kind": "epoch", "loss": 1.0, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.4}
    history = History("a run", {}, tuple({**line, "epoch": number} for number in range(1, 40)))
    sections = [*evaluation_sections(evaluate(classifier, data), data), training_section([history, history])]
    write_report(classifier, (), out, sections=sections)
    return out


class Shown:
    """A page in the browser, with everything that it complained of or asked for."""

    def __init__(self, browser: Any, file: Path, width: int, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def style(self, selector: str, name: str) -> str:
        script = "([selector, name]) => getComputedStyle(document.querySelector(selector))[name]"
        return self.page.evaluate(script, [selector, name])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1400])
def test_nothing_is_asked_for_and_nothing_sticks_out(
    browser: Any, file: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    with Shown(browser, file, width, color_scheme=scheme) as shown:
        shown.page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert shown.complaints == []
        assert [url for url in shown.requests if not url.startswith("data:")] == [file.as_uri()]
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        with Image.open(tmp_path / "page.png") as picture:
            assert picture.width == width
            corner = picture.convert("L").getpixel((width - 1, 0))
        assert corner > 200 if scheme == "light" else corner < 60
        broken = "[...document.images].filter(image => !image.naturalWidth).length"
        assert shown.page.evaluate(broken) == 0


@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1400, "light")])
def test_a_robustness_page_fits_and_its_handles_wipe(browser: Any, attacked: Path, width: int, scheme: str) -> None:
    with Shown(browser, attacked, width, color_scheme=scheme) as shown:
        shown.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert shown.complaints == []
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        charts = "[...document.querySelectorAll('svg.chart')].map(one => one.getBoundingClientRect().width)"
        widths = shown.page.evaluate(charts)
        assert len(widths) == 4
        assert all(200 < one <= width for one in widths)
        shown.page.locator(".extremes .pair input").first.focus()
        shown.page.keyboard.press("End")
        assert shown.style(".extremes .pair .over", "clipPath") == "inset(0px 0px 0px 100%)"


@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1400, "light")])
def test_an_evaluation_page_fits_and_its_cells_open(browser: Any, evaluated: Path, width: int, scheme: str) -> None:
    with Shown(browser, evaluated, width, color_scheme=scheme) as shown:
        shown.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert shown.complaints == []
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        assert shown.page.locator(".opened:visible").count() == 0
        cell = shown.page.locator(".matrix .turned a").first
        name = cell.get_attribute("href").lstrip("#")
        cell.focus()
        shown.page.keyboard.press("Enter")
        assert [one.get_attribute("id") for one in shown.page.locator(".opened:visible").all()] == [name]
        pictures = shown.page.locator(f"#{name} svg.shot")
        assert pictures.count() == int(cell.text_content())
        assert pictures.first.bounding_box()["width"] > 60


def test_the_opacity_slider_moves_by_keyboard(browser: Any, file: Path) -> None:
    with Shown(browser, file, 1400) as shown:
        assert shown.style(".layer.heat", "opacity") == "0.8"
        shown.page.locator("#picture-1 input.opacity").focus()
        shown.page.keyboard.press("ArrowLeft")
        assert shown.style("#picture-1 .layer.heat", "opacity") == "0.75"
        assert shown.style("#picture-2 .layer.heat", "opacity") == "0.8"
        shown.page.keyboard.press("Home")
        assert shown.style("#picture-1 .layer.heat", "opacity") == "0"


def test_the_signed_view_takes_the_place_of_the_other(browser: Any, file: Path) -> None:
    with Shown(browser, file, 1400) as shown:
        assert shown.style("#picture-1 .layer.signed", "display") == "none"
        shown.page.locator("#picture-1 input[value=signed]").check()
        assert shown.style("#picture-1 .layer.signed", "display") == "block"
        assert shown.style("#picture-1 .layer.heat", "display") == "none"
        assert shown.style("#picture-2 .layer.heat", "display") == "block"


def test_the_handle_wipes_by_mouse_and_by_keyboard(browser: Any, file: Path) -> None:
    with Shown(browser, file, 1400) as shown:
        handle = shown.page.locator("#picture-1 .pair input").first
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        assert shown.style("#picture-1 .pair .over", "clipPath") == "inset(0px 0px 0px 50%)"
        shown.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        shown.page.mouse.down()
        shown.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2, steps=4)
        shown.page.mouse.up()
        share = float(shown.style("#picture-1 .pair .over", "clipPath").split()[-1].removesuffix("%)"))
        assert 70 < share < 90
        shown.page.keyboard.press("End")
        assert shown.style("#picture-1 .pair .over", "clipPath") == "inset(0px 0px 0px 100%)"


def test_terms_are_explained_on_hover_and_on_focus(browser: Any, file: Path) -> None:
    with Shown(browser, file, 375) as shown:
        for act in ("hover", "focus"):
            for number in range(shown.page.locator("main .term").count()):
                term = shown.page.locator("main .term").nth(number)
                if not term.is_visible():
                    continue
                getattr(term, act)()
                tip = term.locator(".tip")
                assert tip.is_visible()
                box = tip.bounding_box()
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= 375


def test_one_attack_is_shown_at_a_time_without_a_script_too_and_all_are_printed(browser: Any, file: Path) -> None:
    with Shown(browser, file, 1400, java_script_enabled=False) as shown:
        panels = shown.page.locator("#picture-1 .tabs > .panel")
        for chosen in (1, 2, 3):
            shown.page.locator(f"#picture-1 .tabs input[value='{chosen}']").check()
            assert [panels.nth(place).is_visible() for place in range(3)] == [chosen == one for one in (1, 2, 3)]
        assert shown.page.locator("#picture-2 .tabs > .panel").first.is_visible()
        shown.page.emulate_media(media="print")
        assert all(panels.nth(place).is_visible() for place in range(3))


def test_a_saved_picture_is_the_one_that_was_judged(
    browser: Any, file: Path, classifier: Classifier, tmp_path: Path
) -> None:
    with Shown(browser, file, 1400) as shown:
        assert not shown.page.locator("button[data-picture=picture-1-pgd]").is_visible()
        shown.page.locator("#picture-1 .tabs input[value='2']").check()
        with shown.page.expect_download() as download:
            shown.page.locator("button[data-picture=picture-1-pgd]").click()
        saved = tmp_path / download.value.suggested_filename
        download.value.save_as(saved)
    picture = to_tensor(Image.open(saved))
    assert picture.equal(to_tensor(stored(read(file), "picture-1-pgd")))


def test_the_page_can_be_printed_and_read_without_its_script(browser: Any, file: Path) -> None:
    with Shown(browser, file, 1400, java_script_enabled=False) as shown:
        assert shown.complaints == []
        assert len(shown.page.pdf()) > 10_000
        shown.page.emulate_media(media="print")
        assert not shown.page.locator("nav").is_visible()
        assert shown.page.locator("#terms dd").first.is_visible()
        assert not shown.page.locator("button.save").first.is_visible()
