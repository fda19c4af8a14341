"""The house stays as it was drawn: few arrows, no circles, few loose modules, a thin command line, rooms with faces."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import backlight
from tests.house import ROOT, arrows, circles, loose_modules, rooms

# Each new arrow is one more room that a reader has to know: raise this only with a new room.
MOST_ARROWS = 156
# 40 of the lines are those of `check`, 52 those of `audit`, 37 those of `app`, 28 those of cards and trackers, 5 those
# of `--frames`, 24 those of `jobs`, 55 those of `transfer`, 36 those of `certify`, 54 those of `universal`, 4 those
# of averages of weights, 78 those of who works on blocks, 6 those of what training goes on from,
# 10 those of hardening, 3 those of teachers, 11 those of predictions that are kept.
MOST_LOOSE, MOST_LINES_OF_THE_COMMAND_LINE = 12, 1660


def test_few_rooms_import_one_another() -> None:
    assert len(arrows()) <= MOST_ARROWS, "python tests/house.py lists them"


def test_no_room_comes_back_to_itself() -> None:
    assert circles(arrows()) == set()
    assert circles({("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")}) == {"a", "b", "c"}


def test_few_modules_are_loose() -> None:
    assert len(loose_modules()) <= MOST_LOOSE


def test_the_command_line_is_thin() -> None:
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in (ROOT / "cli").glob("*.py"))
    assert lines <= MOST_LINES_OF_THE_COMMAND_LINE


def test_the_command_line_knows_tasks_and_foundations_only() -> None:
    # The app is what one of the verbs starts.
    assert {end for begin, end in arrows() if begin == "cli"} <= {"tasks", "core", "app"}


def test_no_module_hides_a_name_of_its_package() -> None:
    for found in pkgutil.walk_packages(backlight.__path__, "backlight."):
        if found.name != "backlight.__main__":
            importlib.import_module(found.name)
    for name in sorted(rooms() & {path.parent.name for path in ROOT.glob("*/__init__.py")}):
        room = importlib.import_module(f"backlight.{name}")
        hidden = [one for one in getattr(room, "__all__", ()) if isinstance(getattr(room, one), ModuleType)]
        assert hidden == [], name


def test_rooms_give_functions() -> None:
    from backlight.attack import attack, evaluate_robustness
    from backlight.denoise import denoise
    from backlight.evaluate import calibrate, evaluate, predict
    from backlight.explain import explain, explain_data
    from backlight.report import write_report
    from backlight.train import fit
    from backlight.visualize import class_image, dream, feature_image, fooling_image, invert, style_transfer

    verbs = (attack, evaluate_robustness, denoise, calibrate, evaluate, predict, explain, explain_data, write_report)
    pictures = (fit, class_image, dream, feature_image, fooling_image, invert, style_transfer)
    assert all(callable(one) and not isinstance(one, ModuleType) for one in (*verbs, *pictures))
