"""
How do saliency and Grad-CAM differ, and do they agree with captum's?
=====================================================================

Five methods explain the same three photographs, ours from passes that they share, captum's one by one. Where does
the network look?
"""

import copy
import warnings

import drawing
import setting
import torch
from captum.attr import GuidedBackprop, GuidedGradCam, IntegratedGradients, LayerGradCam, Saliency
from scipy.ndimage import label as separate_regions
from scipy.stats import spearmanr

from backlight.explain import explain
from backlight.explain.attribution import reduce_map
from backlight.explain.figures import draw, overlays

POINTS = setting.choose(8, 50)
classifier = setting.pretrained()
images = setting.photographs(classifier, "chelsea.png", "coffee.png", "camera.png")
integrated = f"integrated_gradients:points={POINTS}"
methods = ["saliency", "guided_backprop", "gradcam", "guided_gradcam", integrated]
found = explain(classifier, images, "top", methods=methods, space="input")

# %%
# The same by captum
# ------------------
# captum works on the normalized input, which is what ``space="input"`` asks of ours. Its guided backpropagation
# finds rectifiers by their class, `nn.ReLU`. This network rectifies by ReLU6, which is none, so captum's two guided
# methods get the plain gradient, silently. They are therefore run twice: on the network as it is, and on a copy in
# which every rectifier is a subclass of `nn.ReLU` that computes the same.


class Rectifier(torch.nn.ReLU):
    """Compute ReLU or ReLU6, whichever stood here, in a module that captum recognizes."""

    def __init__(self, plain):
        super().__init__()
        self.highest = 6.0 if isinstance(plain, torch.nn.ReLU6) else torch.inf

    def forward(self, x):
        return x.clamp(0, self.highest)


def with_recognized_rectifiers(module):
    """Copy a network and exchange its rectifiers."""
    twin = copy.deepcopy(module)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, (torch.nn.ReLU, torch.nn.ReLU6)):
                setattr(parent, name, Rectifier(child))
    return twin


def guided_by_captum(network):
    """Run captum's two guided methods, which warn about their hooks."""
    layer = network.get_submodule(layer_name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "guided_backprop": GuidedBackprop(network).attribute(normalized, target),
            "guided_gradcam": GuidedGradCam(network, layer).attribute(normalized, target, interpolate_mode="bilinear"),
        }


target, layer_name = found.target, found["gradcam"].layer.split(" ")[0]
normalized = classifier.normalize(images).requires_grad_()
network = with_recognized_rectifiers(classifier.module).eval()
black = classifier.normalize(torch.zeros_like(images))
theirs = {
    "saliency": Saliency(network).attribute(normalized, target, abs=False),
    "gradcam": LayerGradCam(network, network.get_submodule(layer_name)).attribute(normalized, target),
    integrated: IntegratedGradients(network).attribute(normalized, black, target, n_steps=POINTS),
    **guided_by_captum(network),
}
as_it_is = guided_by_captum(copy.deepcopy(classifier.module).eval())


def agreement(a, b):
    """Give the lowest correlation of two maps [B,...] over the images."""
    pairs = zip(a.detach().flatten(1), b.detach().flatten(1))
    return min(float(torch.corrcoef(torch.stack(pair).double())[0, 1]) for pair in pairs)


for name in methods:
    extra = (
        f"; on the network as it is {agreement(found[name].attributions, as_it_is[name]):+.4f}"
        if name in as_it_is
        else ""
    )
    same = agreement(found[name].attributions, theirs[name])
    print(f"{name:29} correlation with captum's, lowest of three: {same:.6f}{extra}")
plain = agreement(as_it_is["guided_backprop"], theirs["saliency"])
print(f"captum's guided backpropagation on the network as it is, against its plain gradient: {plain:.4f}")
assert min(agreement(found[name].attributions, theirs[name]) for name in methods) > 0.999
assert classifier.name != "efficientnet_lite0" or plain > 0.999 > agreement(
    found["guided_backprop"].attributions, as_it_is["guided_backprop"]
)

# %%
# All of them, ours above captum's. Integrated gradients have a sign: evidence for the class and evidence against it
# are in two colors. The others show how much a pixel or a region matters.

rows, titles, names = [], [], []
heads = [name.split(":")[0].replace("_", " ") for name in methods]
for row, image in enumerate(images):
    other = []
    for name in methods:
        reduced = reduce_map(theirs[name].detach(), found[name].reduction, images.shape[2:])[row]
        other.append(draw(image, reduced, signed=found[name].reduction == "sum"))
    rows += [[image, *(overlays(found, name)[row] for name in methods)], [image, *other]]
    titles += [[found.labels[row], *heads], []]
    names += ["ours", "captum"]
figure = drawing.pictures(rows, titles, names, size=1.55)

# %%
# How saliency and Grad-CAM differ
# --------------------------------
# The strongest tenth of the pixels of both maps, and into how many separate regions they fall:

heat = {name: found[name].heatmap() for name in ("saliency", "gradcam")}
strongest = {name: maps >= maps.flatten(1).quantile(0.9, 1)[:, None, None] for name, maps in heat.items()}
regions = {name: [separate_regions(one.numpy())[1] for one in masks] for name, masks in strongest.items()}
shown = {"saliency": "saliency", "gradcam": "Grad-CAM"}
figure = drawing.pictures(
    [[*images], *([1 - one.float() for one in masks] for masks in strongest.values())],
    [list(found.labels), *([f"{count} regions" for count in counts] for counts in regions.values())],
    ["photograph", *(f"{shown[name]},\nstrongest tenth" for name in regions)],
    size=1.5,
)

# %%
# What the run found
# ------------------
# Asked for the same, both libraries give the same maps. Saliency has a value for every pixel and scatters over the
# picture in hundreds of specks; Grad-CAM has one for every cell of a coarse layer, blown up, and marks a few
# connected regions. They rank the pixels of a photograph in different orders, so they are answers to
# different questions: which pixels would change the score, and which region spoke for it.

cells = {name: "x".join(map(str, found[name].attributions.shape[2:])) for name in heat}
rank = [float(spearmanr(a.flatten(), b.flatten()).statistic) for a, b in zip(*heat.values())]
print(f"values per map: {cells['saliency']} (saliency), {cells['gradcam']} (Grad-CAM)")
print(f"separate regions in the strongest tenth: {regions['saliency']} against {regions['gradcam']}")
print(f"rank correlation of the two maps: {[round(value, 2) for value in rank]}")
print(f"ours: {found.forwards:g} forward and {found.backwards:g} backward passes per photograph for all five methods")
assert min(regions["saliency"]) > 20 * max(regions["gradcam"])
assert max(rank) < 0.5
