"""
What does it look at, and can the picture of that be trusted?
=============================================================

The embedded ImageNet network explains a photograph of a cat; then the explanations themselves are tested.
"""
# sphinx_gallery_capture_repr = ("_repr_html_",)

from pathlib import Path

import skimage.data
import torch

import backlight
from backlight.data import Dataset
from backlight.explain import explain
from backlight.explain.request import Request

model = backlight.load()
path = Path(skimage.data.__file__).parent / "chelsea.png"
image = model.read(path).image[None]
for guess in backlight.predict(model, [path]).done[0].predictions[:3]:
    print(f"{guess.label}: {guess.probability:.1%}")

# %%
# Where it looks
# --------------
# Several methods share their passes. Red speaks for the class, blue against it.

methods = ["saliency", "gradcam", "layercam", "occlusion"]
found = explain(model, image, "top", methods=methods)
found

# %%
# Does a map follow the network?
# ------------------------------
# The same method on the same picture, with random weights. A map that stays the same shows the picture, not what the
# network knows (Adebayo et al. 2018).

random = backlight.load("efficientnet_lite0", random=True)
for method in ("saliency", "gradcam"):
    maps = [explain(one, image, "top", methods=[method])[method].heatmap()[0] for one in (model, random)]
    ranks = [one.flatten().argsort().argsort().double() for one in maps]
    print(
        f"{method:<9} rank correlation with the map of random weights: {torch.corrcoef(torch.stack(ranks))[0, 1]:.2f}"
    )

# %%
# Does it name the pixels that matter?
# ------------------------------------
# Hide what a map calls important first, and see how fast the answer goes: each method beside random maps.

data = Dataset.of((image * 255).round().byte(), [285], model.labels)
study = backlight.explain_data(
    model, data, Request(("saliency", "gradcam")), metrics=["deletion", "insertion"], progress=backlight.progress_bar()
)
study
