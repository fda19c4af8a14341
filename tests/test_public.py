import importlib
import inspect
import pkgutil
import subprocess
import sys

import torch
from torch import nn

import backlight
from backlight.data import Dataset
from tests.processes import run_script


def exported() -> dict[str, object]:
    """List what the packages export: the public names, as the API pages show them."""
    found = pkgutil.walk_packages(backlight.__path__, "backlight.")
    packages = [backlight, *(importlib.import_module(one.name) for one in found if one.ispkg)]
    return {f"{one.__name__}.{name}": getattr(one, name) for one in packages for name in getattr(one, "__all__", ())}


def test_every_public_function_and_class_has_an_example() -> None:
    names = {name: thing for name, thing in exported().items() if inspect.isfunction(thing) or inspect.isclass(thing)}
    assert len(names) > 150
    assert [name for name, thing in names.items() if ">>>" not in (inspect.getdoc(thing) or "")] == []


def test_every_public_name_is_listed_once_and_can_be_imported() -> None:
    assert sorted(backlight.__all__) == backlight.__all__ == sorted(set(backlight.__all__))
    assert set(backlight.__all__) == set(backlight._HOMES)
    for name in backlight.__all__:
        assert getattr(backlight, name).__doc__


def test_import_does_not_import_torch() -> None:
    code = "import backlight, sys; print([name for name in ('torch', 'timm', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rooms_named_as_verbs_are_called_whatever_was_imported_first() -> None:
    code = (
        "import sys\n"
        "for name in sys.argv[1:]: __import__(name)\n"
        "import inspect\n"
        "from backlight import attack, denoise, evaluate, explain, report\n"
        "import backlight, backlight.explain.study as study\n"
        "from backlight.explain import explain as function\n"
        "assert backlight.explain.explain is function and backlight.explain.study is study\n"
        "assert inspect.signature(explain) == inspect.signature(function)\n"
        "print(all(map(callable, (attack, denoise, evaluate, explain, report))))\n"
    )
    for first in ([], ["backlight.explain.study", "backlight.report.writing"], ["backlight.tasks.attacking"]):
        done = run_script(code, *first)
        assert (done.status, done.out.strip()) == (0, "True"), done.err


def test_a_newcomer_finds_the_verbs() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    classifier = backlight.Classifier.from_module(net, size=8)
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    maps = backlight.explain(classifier, images, methods=["saliency"])
    same = backlight.explain.explain(classifier, images, methods=["saliency"])
    assert torch.equal(maps["saliency"].attributions, same["saliency"].attributions)
    assert backlight.attack(classifier, images, method="fgsm").images.shape == images.shape
    assert {"explain", "attack", "evaluate", "fit", "predict", "report", "class_image"} <= set(backlight.__all__)
    assert backlight.audit(classifier, Dataset.of((images * 255).byte()), depth="quick").findings
    assert set(backlight.__all__) <= set(dir(backlight))


def test_analyses_of_the_audit_stand_alone_with_their_sources() -> None:
    names = ("conformal_sets", "detect_unknown", "estimate_accuracy", "find_label_errors", "find_near_duplicates")
    assert {"audit", *names} <= set(backlight.__all__)
    for name in names:
        told = inspect.getdoc(getattr(backlight, name)) or ""
        assert "arXiv:" in told, name
        assert "Raises InputError" in told, name
        assert ">>>" in told, name
