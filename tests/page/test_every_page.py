"""Every kind of page in a real browser without a network, wide and narrow, light, dark and printed, by keys alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from backlight.page.page import write_page
from backlight.page.sections import Section
from tests.page.browsing import keys, look_everywhere, looks, shown
from tests.page.every_page import MAKERS, make_pages

pytestmark = pytest.mark.slow
KINDS = ("train", *MAKERS)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_pages(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("kind", KINDS)
def test_it_fits_is_accessible_asks_nobody_and_keys_are_enough(browser: Any, pages: dict[str, Path], kind: str) -> None:
    with shown(browser, pages[kind]) as (page, complaints):
        found = look_everywhere(page)
        page.emulate_media(media="screen")
        for width in (375, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            found += keys(page)
        assert found == []
        assert complaints == []


PLANTED = {
    "axe: image-alt": '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">',
    "axe: color-contrast": '<p style="color: #eee; background: #fff">pale</p>',
    "axe: label": '<input type="text">',
    "wide: ": '<div style="width: 3000px">wide</div>',
    "request: ": '<img alt="" src="https://example.org/a.png">',
    "console: ": "<script>alert(1)</script>",
    "broken: ": '<img alt="" src="data:image/png;base64,AAAA">',
    "keys: ": '<button type="button" tabindex="-1">hidden from keys</button>',
    "focus: ": '<button type="button" style="outline: none">unseen</button>',
}


@pytest.mark.parametrize("complaint", PLANTED)
def test_what_is_planted_is_found(browser: Any, tmp_path: Path, complaint: str) -> None:
    for place, html in enumerate(("<p>fine</p>", PLANTED[complaint])):
        file = tmp_path / f"{place}.html"
        write_page(file, [Section("planted", "Planted", Markup(html))], title="A page", seconds=1.0)
        with shown(browser, file) as (page, complaints):
            found = [*looks(page), *keys(page), *complaints]
        assert any(one.startswith(complaint) for one in found) == bool(place), found
