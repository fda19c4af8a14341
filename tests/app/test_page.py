"""The page in a real browser with the embedded network: what it shows is what the library says, by hand and by keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backlight import tasks
from tests.app.program import Program
from tests.app.windows import PATIENCE, Shown, predicted, violations

pytestmark = pytest.mark.slow
TOOLS = ("explain", "attack", "cover", "imagine", "denoise", "browse")
MARKUP = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with Program() as started:
        yield started


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_every_tool_fits_and_is_accessible_and_asks_nobody_else(
    browser: Any, program: Program, width: int, scheme: str
) -> None:
    with Shown(browser, program, width, color_scheme=scheme) as shown:
        for tool in TOOLS:
            shown.open(tool)
            shown.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert shown.page.evaluate("document.documentElement.scrollWidth") <= width, tool
            assert violations(shown.page) == [], tool
        assert shown.complaints == []
        assert shown.foreign == []
        broken = "[...document.images].filter(one => one.src && !one.hidden && !one.naturalWidth).length"
        assert shown.page.evaluate(broken) == 0


def test_a_planted_violation_is_found(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        assert violations(shown.page) == []
        for plant, name in (
            ("const one = document.createElement('button'); document.querySelector('main').append(one)", "button-name"),
            ("document.getElementById('photo').removeAttribute('alt')", "image-alt"),
            ("document.getElementById('tabs').removeAttribute('role')", "aria-required-parent"),
        ):
            shown.page.evaluate(plant)
            assert name in {one for one, _ in violations(shown.page)}


def test_what_it_sees_is_what_the_library_says(browser: Any, program: Program, cat_here: Path) -> None:
    with Shown(browser, program) as shown:
        shown.page.set_input_files("#file", cat_here / "cat.png")
        shown.ready()
        assert shown.bars(shown.page.locator("#answers")) == predicted(cat_here / "cat.png")
        shown.page.click("#answers-repeat summary")
        assert shown.page.locator("#answers-repeat code").first.text_content() == "backlight predict cat.png"


def test_samples_are_looked_at(browser: Any, program: Program) -> None:
    from backlight.report import sample_pictures

    with Shown(browser, program) as shown:
        for number, path in enumerate(sample_pictures()):
            shown.page.locator("#samples button").nth(number).click()
            shown.ready()
            assert shown.bars(shown.page.locator("#answers")) == predicted(path)


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_pictures_are_dropped_and_pasted(browser: Any, program: Program, cat_here: Path, how: str) -> None:
    script = """([how, data]) => {
      const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
      const moved = new DataTransfer();
      moved.items.add(new File([bytes], "moved.png", { type: "image/png" }));
      const event = how === "drop" ? new DragEvent("drop", { dataTransfer: moved, bubbles: true, cancelable: true })
        : new ClipboardEvent("paste", { clipboardData: moved, bubbles: true });
      document.body.dispatchEvent(event);
    }"""
    import base64

    Image.new("RGB", (64, 64), (200, 30, 30)).save(cat_here / "moved.png")
    with Shown(browser, program) as shown:
        shown.page.evaluate(script, [how, base64.b64encode((cat_here / "moved.png").read_bytes()).decode()])
        shown.ready()
        assert shown.page.text_content("#name") == "moved.png"
        assert shown.bars(shown.page.locator("#answers")) == predicted(cat_here / "moved.png")


def test_a_name_that_is_markup_is_shown_as_text(browser: Any, program: Program, cat_here: Path) -> None:
    (cat_here / "cat.png").rename(cat_here / MARKUP)
    with Shown(browser, program) as shown:
        shown.page.set_input_files("#file", cat_here / MARKUP)
        shown.ready()
        for tool in ("explain", "attack", "denoise"):
            shown.open(tool)
        assert shown.page.text_content("#name") == MARKUP
        assert shown.complaints == []
        assert shown.page.locator("img[onerror]").count() == 0


def test_what_is_no_picture_is_said_and_the_next_is_looked_at(browser: Any, program: Program, cat_here: Path) -> None:
    (cat_here / "no.png").write_bytes(b"<script>alert(1)</script>")
    with Shown(browser, program) as shown:
        shown.page.set_input_files("#file", cat_here / "no.png")
        shown.page.wait_for_selector("#status[data-state=failed]", timeout=PATIENCE)
        assert "is not a picture" in shown.page.text_content("#status")
        shown.page.set_input_files("#file", cat_here / "cat.png")
        shown.ready()
        assert shown.bars(shown.page.locator("#answers")) == predicted(cat_here / "cat.png")


def test_the_map_follows_method_class_and_opacity(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        panel = shown.open("explain")
        first = panel.locator("img.heat").get_attribute("src")
        panel.locator("select").select_option("saliency")
        shown.ready()
        other = panel.locator("img.heat").get_attribute("src")
        panel.locator("input[type=search]").fill("tabby")
        panel.locator("input[type=search]").press("Enter")
        shown.ready()
        assert len({first, other, panel.locator("img.heat").get_attribute("src")}) == 3
        assert "“tabby”, by saliency" in panel.text_content()
        panel.locator("input[type=range]").focus()
        shown.page.keyboard.press("Home")
        opacity = "getComputedStyle(document.querySelector('#panel-explain img.heat')).opacity"
        assert shown.page.evaluate(opacity) == "0"
        panel.locator("input[value=signed]").check()
        assert panel.locator("img.signed").is_visible()
        assert not panel.locator("img.heat").is_visible()
        panel.locator("input[type=search]").fill("no such class")
        panel.locator("input[type=search]").press("Enter")
        shown.page.wait_for_selector("#status[data-state=failed]", timeout=PATIENCE)


@pytest.mark.parametrize("kind", ["fgsm", "pgd"])
def test_the_slider_attacks_and_the_saved_file_is_what_was_judged(
    browser: Any, program: Program, cat_here: Path, kind: str
) -> None:
    with Shown(browser, program) as shown:
        shown.page.set_input_files("#file", cat_here / "cat.png")
        shown.ready()
        panel = shown.open("attack")
        panel.locator(f"input[value={kind}]").check()
        shown.ready()
        slider = panel.locator("input[type=range]").first
        slider.focus()
        shown.page.keyboard.press("ArrowRight")
        shown.ready()
        assert panel.locator("output").text_content() == "4 of 255"
        method = "fgsm" if kind == "fgsm" else "pgd:steps=20,stop=false"
        request = tasks.AttackRequest((cat_here / "cat.png",), method=method, eps="4/255", out=cat_here / "out")
        (done,) = tasks.attack(request).result
        assert shown.bars(panel.locator(".beside").nth(1).locator("div").nth(2)) == predicted(Path(done.png))
        assert ("Fooled" in panel.locator(".verdict").text_content()) == done.success
        with shown.page.expect_download() as download:
            panel.get_by_text("Save the attacked picture").click()
        assert Path(download.value.path()).read_bytes() == Path(done.png).read_bytes()
        wipe = panel.locator(".pair input")
        wipe.focus()
        shown.page.keyboard.press("End")
        clip = "getComputedStyle(document.querySelector('#panel-attack .over')).clipPath"
        assert shown.page.evaluate(clip) == "inset(0px 0px 0px 100%)"


def test_steps_are_watched_and_stopped(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        panel = shown.open("attack")
        panel.locator("input[value=pgd]").check()
        panel.get_by_text(re.compile(r"Step \d+ of 20")).wait_for(timeout=PATIENCE)
        panel.get_by_role("button", name="Stop").click()
        shown.ready()
        assert panel.locator(".verdict").text_content() == "Stopped."
        panel.locator("input[value=fgsm]").check()
        shown.ready()
        assert "ooled" in panel.locator(".verdict").text_content()


def test_a_click_hides_a_spot_and_keys_move_it(browser: Any, program: Program, cat_here: Path) -> None:
    with Shown(browser, program) as shown:
        shown.page.set_input_files("#file", cat_here / "cat.png")
        shown.ready()
        panel = shown.open("cover")
        box = panel.locator(".spot img").bounding_box()
        shown.page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
        shown.ready()
        assert shown.bars(panel) == predicted(cat_here / "cat.png", "0.40,0.60,0.25")
        panel.locator(".spot").focus()
        shown.page.keyboard.press("ArrowUp")
        shown.ready()
        assert shown.bars(panel) == predicted(cat_here / "cat.png", "0.40,0.55,0.25")
        panel.get_by_text("Hide nothing").click()
        shown.ready()
        assert shown.bars(panel) == predicted(cat_here / "cat.png")


def test_a_class_image_forms(browser: Any, program: Program, cat_here: Path) -> None:
    with Shown(browser, program) as shown:
        panel = shown.open("imagine")
        panel.locator("input[type=search]").fill("goldfish")
        panel.get_by_role("button", name="Make the picture").click()
        panel.get_by_text(re.compile(r"Step \d+ of 48")).wait_for(timeout=PATIENCE)
        panel.get_by_text("The model itself").wait_for(timeout=PATIENCE)
        with shown.page.expect_download() as download:
            panel.get_by_text("Save the picture").click()
        saved = cat_here / "goldfish.png"
        download.value.save_as(saved)
        assert shown.bars(panel) == predicted(saved)
        assert shown.bars(panel)[0][0] == "goldfish"


def test_without_data_it_is_said_how_to_look_through_some(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        assert shown.open("browse").locator("code").text_content() == "backlight app --data photos/"


def test_a_report_is_saved(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        with shown.page.expect_download(timeout=PATIENCE) as download:
            shown.page.locator("#answers-repeat").get_by_text("Save as a report").click()
        assert download.value.suggested_filename == "chelsea-report.html"
        assert "backlight report chelsea.png" in Path(download.value.path()).read_text("utf-8")


def test_the_keyboard_alone_is_enough(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        press, page = shown.page.keyboard.press, shown.page
        focused = "document.activeElement.id || document.activeElement.textContent"
        press("Tab")
        assert page.evaluate(focused) == "Skip to the tools"
        seen = []
        for _ in range(30):
            press("Tab")
            seen.append(page.evaluate(focused))
            if seen[-1].startswith("tab-"):
                break
        assert {"file", "chelsea", "astronaut", "coffee", "rocket", "tab-explain"} <= set(seen)
        press("ArrowRight")
        assert page.evaluate(focused) == "tab-attack"
        shown.ready()
        press("Tab")
        press("ArrowRight")
        shown.ready()
        assert page.locator("#panel-attack output").text_content() == "4 of 255"
        page.locator("#tab-attack").focus()
        press("End")
        assert page.evaluate(focused) == "tab-browse"
        press("ArrowRight")
        assert page.evaluate(focused) == "tab-explain"


def test_two_windows_and_one_closed_in_the_middle(browser: Any, program: Program) -> None:
    with Shown(browser, program) as first, Shown(browser, program) as second:
        panel = first.open("explain")
        panel.locator("select").select_option("rise")
        panel.get_by_role("button", name="Stop").wait_for(timeout=PATIENCE)
        first.page.close()
        assert "ooled" in second.open("attack").locator(".verdict").text_content()


def test_before_the_attack_nothing_is_drawn_and_one_that_fails_says_what_to_try(browser: Any, program: Program) -> None:
    with Shown(browser, program) as shown:
        shown.page.route("**/api/attack*", lambda route: route.abort())
        shown.page.click("#tab-attack")
        panel = shown.page.locator("#panel-attack")
        shown.page.wait_for_selector("#status[data-state=failed]", timeout=PATIENCE)
        for hidden in ("img", ".handle", "h3", ".verdict"):
            assert not any(one.is_visible() for one in panel.locator(hidden).all()), hidden
        shown.page.unroute("**/api/attack*")
        shown.page.get_by_role("button", name="coffee").click()
        shown.ready()
        panel.locator("input[type=range]").first.focus()
        while panel.locator("output").first.text_content() != "1 of 255":
            shown.page.keyboard.press("ArrowLeft")
        shown.ready()
        verdict = panel.locator(".verdict")
        assert verdict.text_content().startswith("Not fooled")
        assert verdict.text_content().endswith("Try “20 steps, watched (PGD)”, or a larger change.")
        assert all(one.is_visible() for one in panel.locator(".beside img").all())
