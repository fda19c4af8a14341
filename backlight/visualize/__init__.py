"""Pictures made by gradients: each function is an assembly for the loop of `backlight.pixels`.

class_image       what a label looks like               classes.py, presets.py
feature_image     what a channel responds to            features.py, presets.py
invert            what a layer still tells              inversion.py
dream             more of what a layer sees             dreams.py
fooling_image     the picture that is taken for another fooling.py
style_transfer    one picture in the style of others    style.py, style_presets.py, style_losses.py
what comes back   Pictures, Frame, Term, Watch          pictures.py
files             the command line's part               export.py
"""

from backlight.visualize.classes import class_image
from backlight.visualize.dreams import dream
from backlight.visualize.features import feature_image
from backlight.visualize.fooling import Fooling, FoolingPreset, fooling_image
from backlight.visualize.inversion import invert
from backlight.visualize.pictures import Frame, Pictures, Term, Watch
from backlight.visualize.presets import Classic, Lucid
from backlight.visualize.style import style_transfer
from backlight.visualize.style_presets import StylePreset

__all__ = [
    "Classic",
    "Fooling",
    "FoolingPreset",
    "Frame",
    "Lucid",
    "Pictures",
    "StylePreset",
    "Term",
    "Watch",
    "class_image",
    "dream",
    "feature_image",
    "fooling_image",
    "invert",
    "style_transfer",
]
