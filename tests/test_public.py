import importlib
import inspect
import pkgutil
import subprocess
import sys

import backlight


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
