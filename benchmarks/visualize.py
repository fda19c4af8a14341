"""Pictures by gradients against bare loops, one by one against together, denoising against descent and scikit-image.

python benchmarks/visualize.py [--quick] [--only NAME]
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from measure import Figure, arguments, at_least, at_most, faster, in_turn, seconds, show
from torch import Tensor

from backlight import load
from backlight.classifier import Classifier
from backlight.denoise import CLASSIC, denoise, loss, quality
from backlight.denoise.primal_dual import solve
from backlight.pixels import Adam, Box, Measure, Pixels, logit, optimize
from backlight.visualize import class_image
from backlight.visualize.style_losses import scaled_gram, style_term

OVERHEAD = 1.05
CLASSES = (1, 15, 76, 107, 130, 281, 291, 340, 417, 555, 817, 949)


def photograph(size: int) -> Tensor:
    """Give scikit-image's cameraman `[1,1,size,size]` in [0, 1]."""
    from skimage import data

    picture = torch.from_numpy(data.camera() / 255).float()[None, None]
    return picture[..., :size, :size].contiguous()


def noisy(size: int) -> Tensor:
    """Add normal noise of standard deviation 0.1."""
    clean = photograph(size)
    return (clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def bare_adam(classifier: Classifier | None, objective: Measure, images: Tensor, steps: int) -> Tensor:
    """Climb an objective by torch's Adam in a plain loop of the same forwards and backwards."""
    from backlight.pixels import View
    from backlight.pixels.view import guarded

    pixels = images.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([pixels], lr=0.01)
    with guarded(classifier):
        for _ in range(steps):
            value = -objective(View(classifier, pixels, layers=objective.layers)).sum()
            pixels.grad = torch.autograd.grad(value, pixels)[0]
            optimizer.step()
            with torch.no_grad():
                pixels.clamp_(0, 1)
        with torch.no_grad():  # the loop judges the last picture too
            objective(View(classifier, pixels, layers=objective.layers))
    return pixels.detach()


def overhead(
    name: str, classifier: Classifier | None, objective: Measure, images: Tensor, steps: int, runs: int
) -> Figure:
    """Compare the loop with the bare one on the same work."""

    def ours() -> None:
        optimize(classifier, objective, Pixels(images), Adam(0.01), steps=steps, constraint=Box())

    times = in_turn({"ours": ours, "bare": lambda: bare_adam(classifier, objective, images, steps)}, runs)
    ratio = times["ours"] / times["bare"]
    note = f"ours {times['ours']:.3g} s, bare loop {times['bare']:.3g} s"
    return at_most(f"overhead {name}", ratio, OVERHEAD, unit="x", n=steps, note=note)


def overheads(quick: bool) -> Iterator[Figure]:
    """Measure what the loop adds for class images, style and denoising by gradient."""
    steps, runs, size = (4, 1, 96) if quick else (20, 5, 224)
    classifier = load()
    images = torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor(CLASSES[:4])
    yield overhead("class images", classifier, logit(targets), images, steps, runs)
    layer = "blocks.2.0.bn2.act"
    grams = scaled_gram(classifier.features(images.flip(0), [layer])[layer].detach())
    yield overhead("style", classifier, -style_term(layer, grams), images, steps, runs)
    picture = noisy(128 if quick else 512)

    def negative(view) -> Tensor:  # type: ignore[no-untyped-def]
        return -loss(view.images, view.pick(picture), 1.0)

    yield overhead("denoise", None, Measure(negative, "-loss", layers=()), picture, 5 * steps, runs)


def together(quick: bool) -> Figure:
    """Make 12 class images in one batch and one by one."""
    classifier, steps, size = load(), 2 if quick else 16, 96 if quick else 224
    times = in_turn(
        {
            "batch": lambda: class_image(classifier, CLASSES, steps=steps, size=size),
            "singly": lambda: [class_image(classifier, one, steps=steps, size=size) for one in CLASSES],
        },
        1 if quick else 3,
    )
    return faster("class images together", times["batch"], times["singly"], "one by one", goal=1.3, n=len(CLASSES))


def denoise_speed(quick: bool) -> Iterator[Figure]:
    """Reach by primal-dual steps the loss that descent ends with, for each classic preset."""
    size, steps = (128, 50) if quick else (512, 1000)
    picture = noisy(size)
    for name, (alpha, lr) in CLASSIC.items():
        found: dict[str, Tensor] = {}

        def descend(alpha: float = alpha, lr: float = lr, found: dict[str, Tensor] = found) -> None:
            found["loss"] = denoise(picture, alpha=alpha, solver="gradient", lr=lr, steps=steps).loss

        peer = seconds(descend)
        alphas, reached, count = torch.tensor([alpha]), float(found["loss"]), 0
        value = float("inf")
        while value > reached and count < 1000:
            count += 1 if count < 20 else 5
            value = float(solve(picture, alphas, data_norm="l1", smooth_norm="l1", steps=count, tolerance=0).loss)
        work = {
            "ours": lambda a=alphas, n=count: solve(picture, a, data_norm="l1", smooth_norm="l1", steps=n, tolerance=0)
        }
        ours = in_turn(work, 1 if quick else 5)["ours"]
        note = f"loss {value:.6g} in {count} steps; descent {reached:.6g} in {steps}"
        yield faster(f"denoise l1/l1 {name}", ours, peer, "descent", goal=50, n=size, note=note)


def denoise_quality(quick: bool) -> Iterator[Figure]:
    """Compare each norm at its best alpha with scikit-image's Chambolle at its best weight, by PSNR."""
    from skimage.restoration import denoise_tv_chambolle

    size = 128 if quick else 512
    clean, picture = photograph(size), noisy(size)
    values = picture[0, 0].double().numpy()
    weights = (0.06, 0.08, 0.1, 0.12, 0.15)
    peers = [torch.from_numpy(denoise_tv_chambolle(values, weight=w, max_num_iter=500)).float() for w in weights]
    best = max(quality(one[None, None], clean).psnr[0] for one in peers)
    grids = {
        ("l2", "l1"): (0.1, 0.12, 0.14, 0.17, 0.2),
        ("l1", "l1"): (0.5, 0.6, 0.7, 0.8),
        ("l2", "l2"): (0.6, 0.9, 1.2, 1.6),
        ("l1", "l2"): (3.0, 4.5, 6.0, 9.0),
    }
    for (data_norm, smooth_norm), alphas in grids.items():
        norms = {"data_norm": data_norm, "smooth_norm": smooth_norm}
        scores = {a: quality(denoise(picture, alpha=a, **norms).images, clean).psnr[0] for a in alphas}
        alpha = max(scores, key=lambda a: scores[a])
        automatic = quality(denoise(picture, **norms).images, clean).psnr[0]
        note = f"alpha {alpha:g}; alpha=auto {automatic:.2f} dB; scikit-image's Chambolle {best:.2f} dB"
        goal = best - 0.3 if data_norm == "l2" and smooth_norm == "l1" else 0.0
        yield at_least(f"denoise PSNR {data_norm}/{smooth_norm}", scores[alpha], goal, unit="dB", n=size, note=note)


def class_images_judged(quick: bool) -> Iterator[Figure]:
    """Let a second network name the class images of the embedded one."""
    steps = 32 if quick else 192
    made = class_image(load(), CLASSES, steps=steps)
    judge = load("efficientnet_lite1")
    size = judge.size
    shown = torch.nn.functional.interpolate(made.images, size=size, mode="bilinear", antialias=True)
    with torch.no_grad():
        named = judge.logits(shown.clamp(0, 1)).argmax(1) == torch.tensor(CLASSES)
    goal = 0 if quick else 10
    yield at_least("class images named by a second network", int(named.sum()), goal, unit="of 12", n=steps)


def figures(quick: bool, only: str) -> Iterator[Figure]:
    """Yield the figures whose group's name contains `only`."""
    if only in "overhead":
        yield from overheads(quick)
    if only in "together":
        yield together(quick)
    if only in "denoise-speed":
        yield from denoise_speed(quick)
    if only in "denoise-psnr":
        yield from denoise_quality(quick)
    if only in "judged":
        yield from class_images_judged(quick)


if __name__ == "__main__":
    options = arguments(__doc__ or "")
    show(figures(options.quick, options.only))
