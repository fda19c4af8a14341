"""
The studies that everybody repeats
==================================

Saliency, a fooling image by steepest ascent, and a class image, first in five lines of PyTorch and then by Backlight,
which must agree.
"""
# sphinx_gallery_capture_repr = ("_repr_html_",)

from pathlib import Path

import skimage.data
import torch

import backlight

model = backlight.load()
image = model.read(Path(skimage.data.__file__).parent / "chelsea.png").image[None]

# %%
# Saliency
# --------
# The gradient of the winning score by the pixels, the largest of three colors (Simonyan et al. 2014).

pixels = image.clone().requires_grad_()
logits = model.logits(pixels)
logits.max().backward()
by_hand = pixels.grad.abs().amax(1)
found = backlight.explain(model, image, "top", methods=["saliency"])["saliency"]
print(f"largest difference: {(found.heatmap() - by_hand).abs().max():.1e}")

# %%
# A fooling image
# ---------------
# Climb the score of another class until it wins. The picture hardly changes; the answer does.

other = model.logits(image).argsort(1, descending=True)[:, 1]
fooled = backlight.fooling_image(model, image, other)
names = [model.labels[int(model.logits(one).argmax())] for one in (image, fooled.images)]
print(f"{names[0]} became {names[1]}")
assert names[0] != names[1]
fooled

# %%
# A class image
# -------------
# From gray, climb the score of a class: what would the network like to see?

banana = backlight.class_image(model, "banana", steps=64)
banana

# %%
# Convolution, written out
# ------------------------
# Patches in rows, weights in columns, one product: PyTorch's numbers, and its gradients.

from backlight.layers import unfold_conv2d  # noqa: E402

generator = torch.Generator().manual_seed(0)
pictures = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=generator)
weights = torch.randn(4, 3, 3, 3, dtype=torch.float64, generator=generator)
difference = (unfold_conv2d(pictures, weights) - torch.nn.functional.conv2d(pictures, weights)).abs().max()
print(f"largest difference: {difference:.1e}")
assert difference < 1e-12
