"""
How is a photograph painted in the style of another picture?
============================================================

Style is what is left of a layer's features when places are forgotten: their Gram matrix. Pixels move until the
Gram matrices are those of the style and one deeper layer still is that of the photograph. Styles here are
textures that come with scikit-image; BACKLIGHT_STYLES names a folder of paintings.
"""

import dataclasses
import os

import drawing
import setting
import torch

from backlight.images import find_pictures
from backlight.pixels import gram
from backlight.visualize import style_transfer
from backlight.visualize.style_presets import PRESETS, choose_layers

classifier = setting.pretrained()
content = setting.photographs(classifier, "chelsea.png")
if "BACKLIGHT_STYLES" in os.environ:
    files = find_pictures([os.environ["BACKLIGHT_STYLES"]])[:3]
    names, styles = [file.stem for file in files], [classifier.read(file).image for file in files]
else:
    names = ["hubble_deep_field.jpg", "ihc.png", "gravel.png"]
    styles = list(setting.photographs(classifier, *names))
print(gram.__name__, "matrices of", choose_layers(classifier, PRESETS["default"])[1])

preset = dataclasses.replace(PRESETS["default"], steps=setting.choose(40, 150))
painted = [style_transfer(classifier, content, style[None], preset=preset) for style in styles]

rows = [[content[0], *styles], [content[0], *(found.images[0] for found in painted)]]
figure = drawing.pictures(rows, [["photograph", *names], ["", *["painted"] * len(names)]], size=2.1)

# %%
# What the run found

for name, found in zip(names, painted):
    for term in found.terms:
        print(f"{name:22} {term.name:12} {float(term.before[0]):10.4g} -> {float(term.after[0]):10.4g}")
    style = [term for term in found.terms if "style" in term.name]
    assert sum(float(term.after[0]) for term in style) < 0.5 * sum(float(term.before[0]) for term in style)
assert all(torch.isfinite(found.images).all() for found in painted)
