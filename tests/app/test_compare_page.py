"""Two models in a real browser: each column is what the library says of its own model; and attacks in every norm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backlight import tasks
from backlight.app.answers import explained
from tests.app.program import Program
from tests.app.windows import Shown, predicted, violations

pytestmark = pytest.mark.slow
MODELS = ("efficientnet_lite0", "efficientnet_lite1")


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with Program(*(word for name in MODELS for word in ("--model", name))) as started:
        yield started


def test_two_models_are_compared(browser: Any, program: Program, cat_here: Path) -> None:
    cat = cat_here / "cat.png"
    with Shown(browser, program) as shown:
        shown.page.set_input_files("#file", cat)
        shown.ready()
        panel = shown.open("compare")
        first, second = (panel.locator(".beside > div").nth(place) for place in range(2))
        seen = [predicted(cat, model=name) for name in MODELS]
        assert [shown.bars(first), shown.bars(second)] == seen
        assert seen[0] != seen[1]
        labels = [one[0][0].split(",")[0] for one in seen]
        both, apart = f"Both see “{labels[0]}”.", f"One sees “{labels[0]}”, the other “{labels[1]}”."
        assert panel.locator(".verdict").text_content() == (both if labels[0] == labels[1] else apart)
        for method in ("gradcam", "saliency"):
            panel.locator("select").select_option(method)
            shown.ready()
            for place, (column, name) in enumerate(zip((first, second), MODELS)):
                request = tasks.ExplainRequest((cat,), name, methods=(method,), out=cat_here / f"{method}-{place}")
                (expected,) = explained(tasks.explain(request))["maps"]
                assert column.locator("img.heat").get_attribute("src") == expected["heat"]
                column.locator("details").evaluate("one => { one.open = true; }")
                command = column.locator("code").first.text_content()
                assert command.startswith(f"backlight explain cat.png --methods {method}")
                assert ("efficientnet_lite1" in command) == (place == 1)
        assert violations(shown.page) == []
        assert shown.complaints == []
        assert shown.foreign == []


@pytest.mark.parametrize(
    ("norm", "kind", "method", "size"),
    [("l0", "sigma-zero", "sigma-zero:steps=60", "10"), ("l1", "fgsm", "fgm", "50"), ("l2", "fgsm", "fgm", "2")],
)
def test_changes_are_counted_as_is_asked_for(
    browser: Any, program: Program, cat_here: Path, norm: str, kind: str, method: str, size: str
) -> None:
    cat = cat_here / "cat.png"
    with Shown(browser, program) as shown:
        shown.page.set_input_files("#file", cat)
        shown.ready()
        panel = shown.open("attack")
        panel.get_by_label("Counted as").select_option(label=_titles()[norm])
        shown.ready()
        assert panel.locator("output").text_content() == size
        assert shown.complaints == []
        assert panel.locator(f"input[value={kind}]").is_checked()
        request = tasks.AttackRequest((cat,), method=method, norm=norm, eps=size, out=cat_here / "out")
        (done,) = tasks.attack(request).result
        assert shown.bars(panel.locator(".beside").nth(1).locator("div").nth(2)) == predicted(Path(done.png))
        verdict = panel.locator(".verdict").text_content()
        assert ("Fooled" in verdict) == done.success
        told = {
            "l0": f"{done.distance:.0f} values changed, in {done.changed_pixels} pixels.",
            "l1": f"add up to {float(f'{done.distance:.3g}'):g}, in {done.changed_pixels} pixels.",
            "l2": f"a length of {float(f'{done.distance:.3g}'):g}.",
        }
        assert told[norm] in verdict
        panel.locator("summary").click()
        assert f"--eps {size} --norm {norm}" in panel.locator("code").first.text_content()


def _titles() -> dict[str, str]:
    from backlight.app.choices import NORMS

    return {norm.name: norm.title for norm in NORMS}
