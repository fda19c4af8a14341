"""What is wrong with a page in a real browser: messages, requests, width, accessibility, keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe

_HEIGHT = 900
_A4 = 794  # pixels: a page is printed on paper, whatever its window
_VIEWS = (
    *((width, scheme, "screen") for width in (1280, 375) for scheme in ("light", "dark")),
    (_A4, "light", "print"),
)
_OPEN = "document.querySelectorAll('details').forEach(one => one.open = true)"
_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_BROKEN = "[...document.images].filter(one => !one.naturalWidth).length"
_STOPS = """() => {
  const shown = (one) => one.checkVisibility({ visibilityProperty: true });
  const controls = "a[href], button, input, select, summary, textarea, [role=button], .term";
  const stops = [...document.querySelectorAll(controls)].filter(shown);
  // One stop stands for all radio buttons of a name: arrows move among them.
  const wanted = stops.filter((one) => one.type !== "radio" || one.checked);
  wanted.forEach((one, number) => { one.dataset.stop = number; });
  return wanted.length;
}"""
_HERE = """() => {
  const one = document.activeElement;
  if (one === document.body) return null;
  const drawn = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const handle = one.closest(".pair")?.querySelector(".handle");
  const seen = drawn(getComputedStyle(one)) || (handle && drawn(getComputedStyle(handle, "::after")));
  return [one.dataset.stop ?? "", seen, one.outerHTML.slice(0, 120)];
}"""


@contextmanager
def shown(browser: Any, file: Path, width: int = 1280) -> Iterator[tuple[Any, list[str]]]:
    """Open a page without a network, everything unfolded; yield it and what it complains of."""
    context = browser.new_context(viewport={"width": width, "height": _HEIGHT}, offline=True)
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda one: complaints.append(f"console: {one.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    own = (file.as_uri(), "data:")
    page.on("request", lambda one: None if one.url.startswith(own) else complaints.append(f"request: {one.url}"))
    page.goto(file.as_uri())
    page.evaluate(_OPEN)
    try:
        yield page, complaints
    finally:
        context.close()


def look_everywhere(page: Any) -> list[str]:
    """List what is wrong with a page wide and narrow, light, dark and printed."""
    found = []
    for width, scheme, media in _VIEWS:
        page.set_viewport_size({"width": width, "height": _HEIGHT})
        page.emulate_media(color_scheme=scheme, media=media)
        found += [f"{width} {scheme} {media}: {one}" for one in looks(page)]
    return found


def looks(page: Any) -> list[str]:
    """List what is too wide, what is not drawn, and what axe calls serious or critical."""
    found = []
    if page.evaluate(_WIDE) > 0:
        found.append(f"wide: {page.evaluate(_WIDE)} pixels stick out")
    if page.evaluate(_BROKEN):
        found.append("broken: pictures that cannot be drawn")
    for one in Axe().run(page).response["violations"]:
        if one["impact"] in ("serious", "critical"):
            node = one["nodes"][0]
            more = [each["message"] for kind in ("any", "all") for each in node[kind]][:1]
            found.append(f"axe: {one['id']}, {len(one['nodes'])} times: {node['html'][:160]} {more}")
    return found


def keys(page: Any) -> list[str]:
    """List the controls that the tabulator does not reach, and those whose focus cannot be seen."""
    count, found, reached = page.evaluate(_STOPS), [], set()
    for _ in range(3 * count + 20):
        page.keyboard.press("Tab")
        here = page.evaluate(_HERE)
        if here is None:  # round the corner
            break
        stop, seen, words = here
        reached.add(stop)
        if not seen:
            found.append(f"focus: cannot be seen on {words}")
    missed = sorted(set(map(str, range(count))) - reached, key=int)
    for stop in missed:
        words = page.evaluate(f"document.querySelector('[data-stop=\"{stop}\"]').outerHTML.slice(0, 120)")
        found.append(f"keys: never reach {words}")
    return found
