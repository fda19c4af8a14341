"""A data set looked through in a real browser, with class names that try to be something else than text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.colors import write_colors
from tests.app.program import Program
from tests.app.windows import PATIENCE, Shown, violations

pytestmark = pytest.mark.slow
HOSTILE = (
    "<script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>",
    '"><img src=x onerror=alert(3)>\u202egpj.exe',
    "-rf --force\n" + "long " * 1000,
)
TOOLS = ("explain", "attack", "cover", "imagine", "denoise", "browse")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    model, data = write_colors(tmp_path_factory.mktemp("colors"), HOSTILE)
    with Program("--model", model, "--data", data) as started:
        yield started


@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1280, "light")])
def test_hostile_labels_are_text_in_every_tool(browser: Any, program: Program, width: int, scheme: str) -> None:
    with Shown(browser, program, width, color_scheme=scheme) as shown:
        for tool in TOOLS:
            panel = shown.open(tool)
            if tool == "imagine":
                panel.locator("input[type=search]").fill(HOSTILE[0])
                panel.get_by_role("button", name="Make the picture").click()
                panel.get_by_text("The model itself").wait_for(timeout=PATIENCE)
            shown.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert shown.page.evaluate("document.documentElement.scrollWidth") <= width, tool
            assert violations(shown.page) == [], tool
        assert shown.page.locator("script[src*=evil], img[onerror], body script").count() == 0
        assert HOSTILE[0] in shown.page.locator("#answers").text_content()
        assert shown.page.locator("#panel-browse th .clipped").first.get_attribute("title") == HOSTILE[0]
        assert shown.complaints == []
        assert shown.foreign == []


def test_a_look_can_be_stopped_and_had_again_before_anything_is_chosen(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        page = shown.page
        page.route("**/api/browse?*", lambda route: None)  # it never begins, so that it is stopped before its end
        page.click("#tab-browse")
        panel = page.locator("#panel-browse")
        panel.get_by_role("button", name="Stop").click()
        panel.get_by_text("The pictures were not looked at.").wait_for(timeout=PATIENCE)
        assert not panel.get_by_label("Order").is_visible()
        page.unroute("**/api/browse?*")
        panel.get_by_role("button", name="Look at them").click()
        panel.get_by_text("52 of 60 right").wait_for(timeout=PATIENCE)
        shown.ready()
        assert panel.get_by_label("Order").is_visible()
        assert panel.locator(".thumb").count() == 24
        assert shown.complaints == []


def test_a_cell_opens_its_pictures_and_a_picture_opens_in_the_tools(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        panel, page = shown.open("browse"), shown.page
        assert "52 of 60 right" in panel.locator(".verdict").text_content()
        panel.locator("button.cell:not(.right)").first.click()
        shown.ready()
        assert panel.locator(".thumb").count() == 5
        assert panel.locator(".thumb.wrong").count() == 5
        panel.locator(".thumb").first.click()
        shown.ready()
        assert page.text_content("#name").endswith(".png")
        answer = page.locator("#answers li .label").first.text_content()
        assert answer == HOSTILE[0]  # labeled as the second color, and taken for the first
        panel.get_by_role("button", name="Fool it").click()
        shown.ready()
        assert page.locator("#panel-attack").is_visible()
        assert "ooled" in page.locator("#panel-attack .verdict").text_content()


def test_choices_and_order_show_what_the_library_says(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        panel = shown.open("browse")
        panel.get_by_label("Show", exact=True).select_option("wrong")
        shown.ready()
        assert panel.locator(".thumb").count() == 8
        panel.get_by_label("Show", exact=True).select_option("all")
        shown.ready()
        assert panel.get_by_role("status").text_content() == "1 to 24 of 60"
        panel.get_by_role("button", name="Later").click()
        shown.ready()
        panel.get_by_role("button", name="Later").click()
        shown.ready()
        assert panel.get_by_role("status").text_content() == "49 to 60 of 60"
        assert panel.get_by_role("button", name="Later").is_disabled()
        panel.get_by_label("Order").select_option("most-confident")
        shown.ready()
        sure = [int(one.partition("%")[0]) for one in panel.locator(".thumb .value").all_text_contents()]
        assert len(sure) == 24
        assert sure == sorted(sure, reverse=True)
        panel.locator("summary").click()
        assert "backlight evaluate --data" in panel.locator("code").first.text_content()
        assert 'sort("confidence", descending=True)' in panel.locator("code").nth(1).text_content()


def test_a_picture_is_found_and_opened_by_keys_alone(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        page, press = shown.page, shown.page.keyboard.press
        page.locator("#tab-explain").focus()
        press("End")
        shown.ready()
        assert page.evaluate("document.activeElement.id") == "tab-browse"
        for _ in range(40):
            press("Tab")
            if page.evaluate("document.activeElement.matches('.cell:not(.right)')"):
                break
        press("Enter")
        shown.ready()
        for _ in range(40):
            press("Tab")
            if page.evaluate("document.activeElement.matches('.thumb.wrong')"):
                break
        press("Enter")
        shown.ready()
        assert page.locator("#panel-browse").get_by_text("Opened").is_visible()


def test_the_report_is_saved(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        panel = shown.open("browse")
        with shown.page.expect_download(timeout=PATIENCE) as download:
            panel.get_by_role("button", name="Save as a report").click()
        assert "How good" in Path(download.value.path()).read_text("utf-8")
