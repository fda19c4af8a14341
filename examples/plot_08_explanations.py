"""
How do saliency and Grad-CAM differ, and do they agree with captum's?
=====================================================================

Five methods explain the same photographs from shared passes: where does the network look?
"""

import drawing
import setting
import torch
from scipy.stats import spearmanr

from backlight.explain import explain
from backlight.explain.figures import overlays

classifier = setting.pretrained()
images = setting.photographs(classifier, "chelsea.png", "coffee.png", "camera.png")
methods = ["saliency", "guided_backprop", "gradcam", "guided_gradcam", "integrated_gradients:points=16"]
found = explain(classifier, images, "top", methods=methods)

shown = [overlays(found, name) for name in found]
rows = [[image, *(column[row] for column in shown)] for row, image in enumerate(images)]
titles = [[found.labels[row], *(name.split(":")[0].replace("_", " ") for name in found)] for row in range(len(images))]
figure = drawing.pictures(rows, titles, size=1.55)

# %%
# The same by captum
# ------------------
# captum works on the normalized input; asked for the same, the maps must be the same numbers. Guided
# backpropagation is left out: captum replaces `nn.ReLU` modules only, and this network rectifies by ReLU6, so
# captum's map is the plain gradient.

from captum.attr import GuidedBackprop, LayerGradCam, Saliency

layer = found["gradcam"].layer
target = found.target
normalized = classifier.normalize(images).requires_grad_()
network = classifier.module.eval()
ours = explain(classifier, images, "top", methods=["saliency", "gradcam", "guided_backprop"], space="input")


def agreement(a, b):
    """Give the mean correlation of two maps [B,...] over the images."""
    pairs = zip(a.flatten(1), b.flatten(1))
    return float(torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs]).mean())


module = dict(network.named_modules())[layer.split(" ")[0]]
theirs = {
    "saliency": Saliency(network).attribute(normalized, target, abs=False),
    "gradcam": LayerGradCam(network, module).attribute(normalized, target, relu_attributions=True),
    "guided_backprop": GuidedBackprop(network).attribute(normalized, target),
}
agreements = {name: agreement(ours[name].raw, other.detach()) for name, other in theirs.items()}
plain = agreement(theirs["guided_backprop"].detach(), theirs["saliency"].detach())
for name, value in agreements.items():
    print(f"{name:16} correlation with captum's {value:.4f}")
print(f"captum's guided backpropagation against captum's plain gradient: {plain:.4f}")
assert min(agreements["saliency"], agreements["gradcam"]) > 0.999
assert plain > 0.999 > agreements["guided_backprop"]

# %%
# How saliency and Grad-CAM differ
# --------------------------------
# Saliency has a value for every pixel and is concentrated on few; Grad-CAM has one for every cell of a coarse
# layer and covers regions.

heat = {name: found[name].heat() for name in ("saliency", "gradcam")}
half = {}
for name, maps in heat.items():
    ordered = maps.clamp(min=0).flatten(1).sort(descending=True).values.cumsum(1)
    half[name] = float((ordered < 0.5 * ordered[:, -1:]).float().mean())
cells = {name: tuple(found[name].raw.shape[2:]) for name in heat}
rank = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(*heat.values())]

figure, axis = drawing.start(width=4.2, height=2.4)
for color, (name, maps) in zip(drawing.CYCLE, heat.items()):
    ordered = maps.clamp(min=0).flatten(1).sort(descending=True).values.cumsum(1)
    share = (ordered / ordered[:, -1:]).mean(0)
    axis.plot(torch.linspace(0, 1, len(share)), share, color=color, label=name)
axis.set(xlabel="share of the pixels, strongest first", ylabel="share of the map", title="how concentrated maps are")
axis.legend()

# %%
# What the run found

print(f"half of the map lies on {half['saliency']:.1%} of the pixels (saliency), {half['gradcam']:.1%} (Grad-CAM)")
print(f"resolution {cells['saliency']} against {cells['gradcam']}")
print(f"rank correlation of the two maps: {[round(float(value), 2) for value in rank]}")
print(f"{found.forwards:g} forward and {found.backwards:g} backward passes per photograph for all five methods")
assert cells["saliency"] > cells["gradcam"]
