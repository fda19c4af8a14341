import subprocess
import sys

import backlight


def test_every_public_name_is_listed_once_and_can_be_imported() -> None:
    assert sorted(backlight.__all__) == backlight.__all__ == sorted(set(backlight.__all__))
    assert set(backlight.__all__) == set(backlight._HOMES)
    for name in backlight.__all__:
        assert getattr(backlight, name).__doc__


def test_import_does_not_import_torch() -> None:
    code = "import backlight, sys; print([name for name in ('torch', 'timm', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
