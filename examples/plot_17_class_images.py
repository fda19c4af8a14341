"""
What does the network think a class looks like?
===============================================

From noise, pixels climb the logit of a class. Two restraints are switched on and off: an l2 penalty, which
discourages large values, and a blur now and then, which discourages fine patterns. Beside them stands the way that is
usual today: the picture is a spectrum of decorrelated colors, and is moved and turned before each look.
"""

import dataclasses

import drawing
import setting
import torch

from backlight.explain import explain
from backlight.lessons import spatial_gradients
from backlight.visualize import Classic, Lucid, class_image

classifier = setting.pretrained()
labels = ["tarantula", "goldfish"]
target = torch.tensor([classifier.class_index(label) for label in labels])
steps = setting.choose(40, 200)
plain = Classic(lr=0.5, l2=0.0, blur_every=10**9)
decay, blur = {"l2": 0.05}, {"blur_every": 3, "blur_sigma": 0.7}
presets = {
    "neither": plain,
    "l2": dataclasses.replace(plain, **decay),
    "blur": dataclasses.replace(plain, **blur),
    "both": dataclasses.replace(plain, **decay, **blur),
    "spectra, moved views": Lucid(),
}
made = {name: class_image(classifier, labels, preset=preset, steps=steps, size=128) for name, preset in presets.items()}

rows = [[found.images[row] for found in made.values()] for row in range(len(labels))]
figure = drawing.pictures(rows, [list(made), []], labels, size=1.7)

# %%
# What each restraint discourages, in numbers: how far values lie from gray, and how much neighbors differ.


def spread(images):
    """Give the mean distance of values from the network's mean color."""
    gray = torch.tensor(classifier.mean).view(1, 3, 1, 1)
    return float((images - gray).abs().mean())


def roughness(images):
    """Give the mean change from pixel to pixel."""
    return float(spatial_gradients(images).magnitude.mean())


values = {}
for name, found in made.items():
    logits = classifier.logits(found.images).gather(1, target[:, None])[:, 0]
    values[name] = (spread(found.images), roughness(found.images), float(logits.min()))
    print(f"{name:21} spread {values[name][0]:.3f}, roughness {values[name][1]:.3f}", end=", ")
    print(f"logits {[round(float(value), 1) for value in logits]}")
assert values["l2"][0] < 0.8 * values["neither"][0]
assert values["blur"][1] < 0.5 * values["neither"][1]
assert values["spectra, moved views"][2] > values["neither"][2]
assert values["both"][0] < 0.8 * values["neither"][0]

# %%
# With the saliency map in place of the gradient
# ----------------------------------------------
# A saliency map is the gradient's magnitude: it says how much a pixel matters, not in which direction. Climbing
# along it can only brighten pixels, so the logit goes wherever brightness takes it.

begin = torch.tensor(classifier.mean).view(1, 3, 1, 1) + 0.02 * torch.randn(
    2, 3, 128, 128, generator=torch.Generator().manual_seed(0)
)
paths = {}
for name in ("gradient", "saliency map"):
    images, logits = begin.clone(), []
    for _ in range(12):
        found = explain(classifier, images, target, methods=["saliency"])
        direction = found["saliency"].attributions if name == "gradient" else found["saliency"].heatmap()[:, None]
        logits.append(float(found.score.mean()))
        length = direction.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        images = (images + 2.0 * direction / length).clamp(0, 1)
    paths[name] = (logits, images)

figure, axis = drawing.start(width=4.0)
for color, (name, (logits, _)) in zip(drawing.CYCLE, paths.items()):
    axis.plot(logits, color=color, label=f"along the {name}")
axis.set(xlabel="step", ylabel="logit of the class, mean of two", title="12 steps of l2 length 2 from faint noise")
axis.legend()
figure = drawing.pictures(
    [images for _, images in paths.values()], [labels, []], [f"along the\n{one}" for one in paths]
)

# %%
# What the run found
# ------------------
# The l2 penalty discourages values far from gray, the blur discourages that neighbors differ. Without either, the
# logit rises on what people take for noise; with either, lines and forms begin to show; the spectra show most of them
# and reach higher logits too. The saliency map in place of the gradient only makes the picture brighter: the logit
# does not rise.

first, last = paths["gradient"][0][0], {name: logits[-1] for name, (logits, _) in paths.items()}
print(f"mean logit {first:.1f} at the start; after 12 steps", {name: round(value, 1) for name, value in last.items()})
print(f"brightness {float(begin.mean()):.3f} at the start;", end=" ")
print({name: round(float(images.mean()), 3) for name, (_, images) in paths.items()})
assert last["gradient"] > first + 5
assert last["saliency map"] < first + 2
assert float(paths["saliency map"][1].mean()) > float(begin.mean()) + 0.05 > float(paths["gradient"][1].mean())
