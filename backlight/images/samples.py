"""Sample photographs for a first look: those that scikit-image is installed with."""

from __future__ import annotations

from pathlib import Path

_NAMES = ("chelsea.png", "astronaut.png", "coffee.png", "rocket.jpg")


def sample_pictures() -> list[Path]:
    """List four photographs: a cat, an astronaut, a cup of coffee and a rocket. No network is used.

    >>> [path.name for path in sample_pictures()]
    ['chelsea.png', 'astronaut.png', 'coffee.png', 'rocket.jpg']
    """
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return [folder / name for name in _NAMES]
