"""
Why does the l1 norm keep edges when it denoises?
=================================================

Denoising looks for the picture J that is close to the noisy I and smooth, the smallest
distance to I plus alpha times the change from pixel to pixel. Both terms may be measured in l1 or squared l2.
"""

import drawing
import setting
import torch
from PIL import Image

from backlight import Random
from backlight.denoise import denoise, quality, sweep_sheet
from backlight.images import to_tensor
from backlight.lessons import spatial_gradients

side = setting.choose(160, 512)
photograph = Image.open(setting.PICTURES / "astronaut.png").convert("RGB").resize((512, 512))
clean = to_tensor(photograph)[:, :side, 140 : 140 + side][None] if side < 512 else to_tensor(photograph)[None]
noise = Random((0, "noise"), torch.arange(1)).normal(*clean.shape[1:])
noisy = (clean + 0.1 * noise).clamp(0, 1)

norms = [("l1", "l1"), ("l1", "l2"), ("l2", "l1"), ("l2", "l2")]
results = {pair: denoise(noisy, data_norm=pair[0], smooth_norm=pair[1], alpha="auto") for pair in norms}
scores = {pair: quality(result.images, clean) for pair, result in results.items()}
start = quality(noisy, clean)
pictures = [clean[0], noisy[0], *(result.images[0] for result in results.values())]
titles = ["clean", f"noisy\n{start.psnr[0]:.1f} dB"]
titles += [f"data {a}, smooth {b}\n{scores[a, b].psnr[0]:.1f} dB" for a, b in norms]
figure = drawing.pictures([pictures[:3], pictures[3:]], [titles[:3], titles[3:]], size=2.2)

# %%
# An edge under both norms
# ------------------------
# A step from dark to light, with noise. In l1 a jump costs its height however it is spread over pixels, so
# there is no reason to blur it; squared, many small steps are cheaper than one large one.

step = torch.full((1, 1, 16, 48), 0.2)
step[..., 24:] = 0.8
grainy = (step + 0.08 * Random((1, "noise"), torch.arange(1)).normal(1, 16, 48)).clamp(0, 1)
edges = {
    norm: denoise(grainy, data_norm="l2", smooth_norm=norm, alpha=alpha) for norm, alpha in (("l1", 0.3), ("l2", 8.0))
}
sharpest = {
    norm: float(spatial_gradients(found.images).horizontal.abs().amax(-1).mean()) for norm, found in edges.items()
}
figure, axis = drawing.start(width=4.6)
axis.plot(grainy[0, 0, 8], color=drawing.GRAY, linewidth=1, label="noisy")
for color, (norm, found) in zip(drawing.CYCLE, edges.items()):
    axis.plot(found.images[0, 0, 8], color=color, label=f"smooth {norm}")
axis.set(xlabel="pixel", ylabel="value", title="one row across the edge")
axis.legend()

# %%
# Alpha and the learning rate
# ---------------------------
# The same by plain gradient descent: rows are alphas, columns learning rates, the last column is the exact
# solution; captions give the loss in parts of the noisy picture's, and the distance to the clean one. Too small a rate
# leaves noise behind, too large a one never settles.

crop = slice(30, 30 + 96)
sheet = sweep_sheet(noisy[0][:, crop, crop], steps=setting.choose(100, 400), clean=clean[0][:, crop, crop])
figure, axis = drawing.start(width=9, height=9 * sheet.height / sheet.width)
axis.imshow(sheet)
axis.set_axis_off()

# %%
# What the run found
# ------------------
# Every choice of norms removes noise. Smoothing in l1 keeps the edge nearly as steep as it was, smoothing in squared l2
# spreads it over many pixels; on the photograph l1 smoothing comes closer to the clean picture for both data terms.

for pair, found in scores.items():
    print(f"data {pair[0]}, smooth {pair[1]}: {found.psnr[0]:.2f} dB, similarity {found.ssim[0]:.3f}", end=" ")
    print(f"(noisy {start.psnr[0]:.2f} dB, {start.ssim[0]:.3f})")
print("steepest step across the edge of height 0.6:", {norm: round(value, 2) for norm, value in sharpest.items()})
assert max(found.psnr[0] for found in scores.values()) > start.psnr[0] + 3
assert sharpest["l1"] > 2 * sharpest["l2"]
assert all(scores[data, "l1"].psnr[0] > scores[data, "l2"].psnr[0] for data in ("l1", "l2"))
