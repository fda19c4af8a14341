"""The demonstration: plain files, opened from the disk without a network, that answer as the program does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backlight.app.choices import DEMONSTRATION, about_a_picture
from backlight.app.demo import write_demo
from backlight.app.pages import SCRIPTS
from backlight.core.errors import UsageError
from backlight.report import sample_pictures
from tests.app.windows import PATIENCE, predicted

pytestmark = pytest.mark.slow
FEW = replace(DEMONSTRATION, eps=(1, 2), alphas=("auto",), steps=(12,), grid=0.5, methods=("gradcam",), classes=(1,))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo(tmp_path_factory.mktemp("demo"), choices=FEW)


def test_it_is_the_same_page_of_plain_files(demo: Path) -> None:
    names = {path.name for path in demo.parent.iterdir()}
    assert {f"{name}.js" for name in SCRIPTS if name != "live"} <= names
    assert "live.js" not in names
    assert "/static/" not in demo.read_text("utf-8")
    assert not any("/tmp/" in path.read_text("utf-8") for path in demo.parent.iterdir())
    with pytest.raises(UsageError, match="exists"):
        write_demo(demo.parent, choices=FEW)


@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1280, "light")])
def test_every_tool_answers_from_the_disk(browser: Any, demo: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page, complaints, asked = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    def ready() -> None:
        page.wait_for_timeout(300)
        page.wait_for_selector("#status[data-state=ready]", timeout=PATIENCE)

    def bars(owner: str) -> list[tuple[str, str]]:
        rows = page.locator(f"{owner} .bars li").all()
        return [
            (row.locator(".label").text_content(), row.locator(".value").text_content().split(",")[0]) for row in rows
        ]

    page.goto(demo.as_uri())
    page.wait_for_selector("#answers li", timeout=PATIENCE)
    for number, path in enumerate(sample_pictures()):
        page.locator("#samples button").nth(number).click()
        ready()
        assert bars("#answers") == predicted(path)
        page.click("#tab-explain")
        ready()
        assert page.locator("#panel-explain img.heat").is_visible()
        page.click("#tab-attack")
        ready()
        assert "ooled" in page.text_content("#panel-attack .verdict")
        page.locator("#panel-attack input[value=pgd]").check()
        page.get_by_text(re.compile(r"Step \d+ of 20")).wait_for(timeout=PATIENCE)
        page.locator("#panel-attack input[value=fgsm]").check()
        ready()
        page.click("#tab-cover")
        page.locator(".spot").focus()
        page.keyboard.press("Enter")
        ready()
        assert bars("#panel-cover") == predicted(path, "0.50,0.50,0.30")
        page.click("#tab-denoise")
        ready()
    page.click("#tab-imagine")
    page.locator("#panel-imagine input[type=search]").fill("goldfish")
    page.get_by_role("button", name="Make the picture").click()
    page.get_by_text("The model itself").wait_for(timeout=PATIENCE)
    page.locator("#panel-imagine input[type=search]").fill("tench")
    page.get_by_role("button", name="Make the picture").click()
    page.wait_for_selector("#status[data-state=failed]", timeout=PATIENCE)
    assert "no part of the demonstration" in page.text_content("#status")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", "blob:", demo.parent.as_uri()))] == []
    context.close()


def test_everything_that_can_be_chosen_has_an_answer() -> None:
    questions = list(about_a_picture(DEMONSTRATION))
    assert len(questions) == len({str(one) for one in questions})
    squares = [words["cover"] for _, words in questions if "cover" in words]
    assert len(squares) == 11 * 11 * len(DEMONSTRATION.sides)
