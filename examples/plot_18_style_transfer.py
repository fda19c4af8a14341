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
from backlight.visualize import style_transfer
from backlight.visualize.style_losses import STATISTICS, style_term
from backlight.visualize.style_presets import PRESETS, choose_layers

classifier = setting.pretrained()
content = setting.photographs(classifier, "chelsea.png")
if "BACKLIGHT_STYLES" in os.environ:
    files = find_pictures([os.environ["BACKLIGHT_STYLES"]])[:3]
    names, styles = [file.stem for file in files], [classifier.read(file).image for file in files]
else:
    files = {"Hubble deep field": "hubble_deep_field.jpg", "stained tissue": "ihc.png", "gravel": "gravel.png"}
    names, styles = list(files), list(setting.photographs(classifier, *files.values()))
print("Gram matrices of", ", ".join(choose_layers(classifier, PRESETS["default"])[1]))

preset = dataclasses.replace(PRESETS["default"], steps=setting.choose(40, 150))
painted = [style_transfer(classifier, content, style[None], preset=preset) for style in styles]

rows = [[None, *styles], [content[0], *(found.images[0] for found in painted)]]
titles = [["", *(f"style: {name}" for name in names)], ["photograph", *["painted"] * len(names)]]
figure = drawing.pictures(rows, titles, size=2.1)

# %%
# How far the Gram matrices of photograph and painting are from the style's, layer by layer:


def distances(style, pictures):
    """Give the squared distance of each layer's Gram matrix to the style's, in parts of the style's own, [layers]."""
    layers = choose_layers(classifier, preset)[1]
    features = classifier.features(style[None], layers)
    target = {layer: STATISTICS["gram"](features[layer]) for layer in layers}
    terms = [style_term(layer, target[layer], "gram", True) for layer in layers]
    return torch.cat([term.evaluate(classifier, pictures) for term in terms])


figure, axes = drawing.start(len(names), width=2.9, height=2.6)
for axis, name, style, found in zip(axes, names, styles, painted):
    before, after = distances(style, content), distances(style, found.images)
    places = torch.arange(len(before)) + 1
    axis.bar(places - 0.2, before, 0.4, color=drawing.BLUE, label="photograph")
    axis.bar(places + 0.2, after, 0.4, color=drawing.ORANGE, label="painted")
    axis.set(title=name, xlabel="layer, from shallow to deep", xticks=places)
    print(
        f"{name}: mean distance of the five layers {float(before.mean()):.3f} before, {float(after.mean()):.3f} after"
    )
    assert bool((after < before).all())
    assert float(after.mean()) < 0.5 * float(before.mean())
axes[0].set_ylabel("distance to the style")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %%
# What the run found
# ------------------
# In every layer the painting is nearer to the style than the photograph was, by the numbers above, while the
# cat stays where it was: places were never part of the style, and the content layer holds them.
