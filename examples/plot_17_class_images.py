"""
What does the network think a class looks like?
===============================================

From noise, pixels climb the logit of a class. Two restraints are switched on and off: an l2 penalty, which
discourages large values, and a blur now and then, which discourages fine patterns.
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
presets = {
    "neither": plain,
    "l2": dataclasses.replace(plain, l2=1e-3),
    "blur": dataclasses.replace(plain, blur_every=3, blur_sigma=0.7),
    "both": dataclasses.replace(plain, l2=1e-3, blur_every=3, blur_sigma=0.7),
}
made = {name: class_image(classifier, labels, preset=preset, steps=steps, size=128) for name, preset in presets.items()}
made["Fourier, moved views"] = class_image(classifier, labels, preset=Lucid(lr=0.001), steps=steps, size=128)

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


for name, found in made.items():
    print(f"{name:21} spread {spread(found.images):.3f}, roughness {roughness(found.images):.3f}", end=" ")
    logits = classifier.logits(found.images).gather(1, target[:, None])[:, 0]
    print(f"logits {[round(float(value), 1) for value in logits]}")
assert spread(made["l2"].images) <= spread(made["neither"].images)
assert roughness(made["blur"].images) < roughness(made["neither"].images)

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
        direction = found["saliency"].raw if name == "gradient" else found["saliency"].heat()[:, None]
        logits.append(float(found.score.mean()))
        length = direction.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        images = (images + 2.0 * direction / length).clamp(0, 1)
    paths[name] = (logits, images)

figure, axis = drawing.start(width=4.0)
for color, (name, (logits, _)) in zip(drawing.CYCLE, paths.items()):
    axis.plot(logits, color=color, label=f"along the {name}")
axis.set(xlabel="step", ylabel="mean logit of the class")
axis.legend()
figure = drawing.pictures(
    [[*paths["gradient"][1], *paths["saliency map"][1]]], [["gradient"] * 2 + ["saliency map"] * 2]
)

# %%
# What the run found

first, last = paths["gradient"][0][0], {name: logits[-1] for name, (logits, _) in paths.items()}
print(f"mean logit {first:.1f} at the start; after 12 steps", {name: round(value, 1) for name, value in last.items()})
print(f"brightness {float(begin.mean()):.3f} at the start;", end=" ")
print({name: round(float(images.mean()), 3) for name, (_, images) in paths.items()})
assert last["gradient"] > last["saliency map"] + 5
assert float(paths["saliency map"][1].mean()) > float(begin.mean())
