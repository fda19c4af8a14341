"""The page in a window of a browser, and what the library says in the page's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe

from backlight import tasks
from tests.app.program import Program

PATIENCE = 120_000


class Shown:
    """The page in a window, with everything that it complained of or asked for."""

    def __init__(self, browser: Any, program: Program, width: int = 1280, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        own = (program.base, "data:", f"blob:{program.base}")
        self.page.on("request", lambda one: None if one.url.startswith(own) else self.foreign.append(one.url))
        self.page.goto(f"{program.base}?token={program.token}")
        self.page.wait_for_selector("#answers li", timeout=PATIENCE)
        self.ready()

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def ready(self) -> None:
        self.page.wait_for_timeout(300)  # sliders wait for the hand to rest
        self.page.wait_for_selector("#status[data-state=ready]", timeout=PATIENCE)

    def open(self, tool: str) -> Any:
        self.page.click(f"#tab-{tool}")
        self.ready()
        return self.page.locator(f"#panel-{tool}")

    def bars(self, owner: Any) -> list[tuple[str, str]]:
        return [
            (one.locator(".label").text_content(), one.locator(".value").text_content().split(",")[0])
            for one in owner.locator(".bars li").all()
        ]


def violations(page: Any) -> list[tuple[str, str]]:
    """List what axe-core calls serious or critical, with the first element that it is about."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


def percent(share: float) -> str:
    from backlight.page.sections import percent as written

    return written(share)


def written(predictions: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["label"], percent(one["probability"])) for one in predictions]


def predicted(path: Path, cover: str | None = None, model: str = "efficientnet_lite0") -> list[tuple[str, str]]:
    """Return what the library says, as the page writes it."""
    return written(tasks.predict(tasks.PredictRequest((path,), model, cover=cover)).document[0]["predictions"])
