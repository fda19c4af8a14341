"""
What do windows and positions mean to a vision transformer?
===========================================================

A small transformer is trained in four forms, attending over the whole image or in its first block inside windows,
with learned positions or without, and on two questions about the same drawn pictures: is the shape lighter than the
ground, and in which quarter of the picture is it?
"""

import dataclasses

import drawing
import setting
import torch

import backlight
from backlight.evaluate import evaluate
from backlight.train.augment import Augmentation

SPEC = setting.choose(
    "shapes:n=1400,size=16,classes=2@train=0:800,val=800:1000,test=1000:1400",
    "shapes:n=6000,size=16,classes=2@train=0:5000,val=5000:5500,test=5500:6000",
)
base = "vit:depth=2,dim=64,window=2"
forms = {
    "whole image": base,
    "windows": f"{base},window_blocks=0",
    "whole image, no positions": f"{base},positions=none",
    "windows, no positions": f"{base},window_blocks=0,positions=none",
}
QUARTERS = ("top left", "top right", "bottom left", "bottom right")


def ask(question, name):
    """Give a part of the pictures with the answers to a question as its labels."""
    part = setting.data(SPEC).pick(name)
    images, masks = part.read(range(len(part))).float().mean(1), part.mask("object", range(len(part)))
    if question == "lighter?":
        inside, outside = ((images * one).sum((1, 2)) / one.sum((1, 2)) for one in (masks, ~masks))
        labels, names = (inside > outside).long(), ("darker", "lighter")
    else:
        grid = torch.arange(masks.shape[-1]) - (masks.shape[-1] - 1) / 2
        below, right = ((masks * one).sum((1, 2)) > 0 for one in (grid[:, None], grid[None, :]))
        labels, names = 2 * below.long() + right.long(), QUARTERS
    return dataclasses.replace(part, labels=labels, label_names=names).in_memory()


how = setting.recipe(setting.choose(6, 30), lr=2e-3, batch_size=32, augment=Augmentation())
runs, logs, found = {}, {}, {}
for question in ("lighter?", "where?"):
    parts = {name: ask(question, name) for name in ("train", "val", "test")}
    for form, spec in forms.items():
        labels = parts["train"].label_names
        start = backlight.load(spec, random=True, size=(16, 16), labels=labels, mean=0.5, std=0.25, seed=0)
        runs[question, form] = setting.train_classifier(start, parts["train"], parts["val"], how)
        logs[question, form] = setting.epochs_of(runs[question, form])
        found[question, form] = evaluate(runs[question, form].classifier, parts["test"])

figure, axes = drawing.start(2, width=3.6, height=3.0)
for axis, question, title in (
    (axes[0], "lighter?", "lighter than the ground?"),
    (axes[1], "where?", "in which quarter?"),
):
    drawing.curves(axis, {form: logs[question, form]["val_accuracy"] for form in forms})
    chance = 1 / len(runs[question, "windows"].classifier.labels)
    axis.axhline(chance, color=drawing.GRAY, linestyle=":", label="chance")
    axis.set(title=title, ylabel="validation accuracy", ylim=(0, 1.05))
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

# %%
# Why: shuffle the patches of a picture. Without positions, and without windows, the logits stay what they were;
# within windows alone it matters which patches are together, not where.

test = ask("where?", "test")
images = test.read(range(4)).float() / 255
side = images.shape[-1] // 4
patches = images.unfold(2, 4, 4).unfold(3, 4, 4).flatten(2, 3)


def rearranged(order):
    """Put the patches [4,3,places,4,4] in another order."""
    ordered = patches[:, :, order].unflatten(2, (side, side))
    return ordered.permute(0, 1, 2, 4, 3, 5).reshape(images.shape).contiguous()


anyhow = torch.randperm(side * side, generator=torch.Generator().manual_seed(0))
places = torch.arange(side * side).view(side, side)
by_window = torch.cat([places[:, 2:], places[:, :2]], 1).flatten()  # the left windows and the right ones change sides
views = {"patches shuffled": rearranged(anyhow), "windows exchanged": rearranged(by_window)}
figure = drawing.pictures(
    [images, *views.values()], [[f"{QUARTERS[k]}" for k in test.labels[:4]]], ["picture", *views], size=1.2
)

# %%
# What the run found
# ------------------
# Every form answers the question that a bag of patches can answer, so the lines on the left lie on each other. Where
# the shape is, the form without windows and positions hardly learns: to it all orders of the patches are one picture,
# and only how the grid of patches cuts the outline tells a little. Windows are a weak kind of position: exchanging
# them changes nothing, but each sees a larger piece of the shape, and the largest piece tells by its outline on which
# side it lies. Learned positions do best, with windows or without; in a block with windows each patch attends to 4
# patches instead of 16. Whether windows cost accuracy where positions are learned, the last line says.

for (question, form), result in found.items():
    low, high = result.accuracy_interval
    print(f"{question:9} {form:26} test accuracy {result.accuracy:.2f} (95% interval {low:.2f} to {high:.2f})")
moved = {}
for form in forms:
    logits = runs["where?", form].classifier.logits
    moved[form] = {name: float((logits(images) - logits(view)).abs().max()) for name, view in views.items()}
    print(f"{form:26} logits move by", ", ".join(f"{value:.1e} ({name})" for name, value in moved[form].items()))
assert min(found["lighter?", form].accuracy for form in forms) > 0.95
where = {form: found["where?", form].accuracy for form in forms}
assert where["whole image, no positions"] < 0.5 < where["windows, no positions"]
assert where["windows, no positions"] < min(where["whole image"], where["windows"])
assert max(moved["whole image, no positions"].values()) < 1e-4 < min(moved["whole image"].values())
assert moved["windows, no positions"]["windows exchanged"] < 1e-4 < moved["windows, no positions"]["patches shuffled"]
(low, _), (_, high) = (found["where?", form].accuracy_interval for form in ("whole image", "windows"))
told = (
    "the 95% intervals overlap: no difference that so many pictures could show" if low < high else "windows cost some"
)
print(f"where? with positions, {where['whole image']:.2f} and with windows too {where['windows']:.2f}: {told}")
