"""Explanations against captum and pytorch-grad-cam on the embedded model and real photographs.

python benchmarks/explain.py [--quick] [--only NAME]
"""

from __future__ import annotations

import resource
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import torch
from captum.attr import (
    GuidedBackprop,
    GuidedGradCam,
    InputXGradient,
    IntegratedGradients,
    LayerGradCam,
    Occlusion,
    Saliency,
)
from measure import Figure, arguments, at_most, data_folder, faster, in_turn, seconds, show
from pytorch_grad_cam import GradCAM, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

from backlight.classifier import Classifier
from backlight.explain import explain
from backlight.explain.attribution import Attribution, Explanations
from backlight.models import load

SIX = ("saliency", "gradient_x_input", "gradcam", "layercam", "guided_backprop", "guided_gradcam")
LAYER = "bn2"


def photographs(classifier: Classifier, count: int) -> Tensor:
    """Read photographs spread over the classes, or scikit-image's own where there is no data."""
    folder = data_folder()
    if folder is None:
        from skimage import data

        shown = [torch.from_numpy(one).permute(2, 0, 1)[None] / 255 for one in (data.cat(), data.astronaut())]
        sized = [torch.nn.functional.interpolate(one, (224, 224), mode="bilinear", antialias=True) for one in shown]
        return torch.cat(sized * count)[:count]
    paths = sorted((folder / "imagenet_sample").glob("*.jpg"))
    return torch.stack([classifier.read(path).image for path in paths[:: len(paths) // count][:count]])


class Work:
    """The same images and targets for us (the fast copy) and for the peers (the module as it is)."""

    def __init__(self, count: int) -> None:
        self.classifier = load("efficientnet_lite0")
        self.fast = self.classifier.fast(keep=[LAYER])
        self.images = photographs(self.classifier, count)
        self.inputs = self.classifier.normalize(self.images)
        self.module = self.classifier.module.eval()
        self.layer = self.module.get_submodule(LAYER)
        with torch.no_grad():
            self.target = self.classifier.logits(self.images).argmax(1)

    def ours(self, methods: tuple[str, ...], classifier: Classifier | None = None) -> Explanations:
        """Explain in the network's input space, as the peers do."""
        options = {"methods": methods, "space": "input", "layer": LAYER}
        return explain(classifier or self.fast, self.images, self.target, **options)

    def captum(self, attributor: Callable[..., object], **options: object) -> Tensor:
        """Run one captum class on a copy of the inputs."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return attributor.attribute(self.inputs.clone(), target=self.target, **options)

    def gradcam(self, kind: type) -> object:
        """Run one method of pytorch-grad-cam."""
        targets = [ClassifierOutputTarget(int(one)) for one in self.target]
        with kind(self.module, [self.layer]) as method:
            return method(input_tensor=self.inputs.clone(), targets=targets)

    def six_by_peers(self) -> None:
        """Run the six methods one by one, as their users do."""
        self.captum(Saliency(self.module), abs=False)
        self.captum(InputXGradient(self.module))
        self.gradcam(GradCAM)
        self.gradcam(LayerCAM)
        self.captum(GuidedBackprop(self.module))
        self.captum(GuidedGradCam(self.module, self.layer))


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Give the largest difference as a share of the largest value."""
    return float((ours - theirs.detach()).abs().max() / theirs.detach().abs().max())


def shared_pass(count: int, runs: int) -> Iterator[Figure]:
    """Time six methods from shared passes, and Grad-CAM alone."""
    work = Work(count)
    saliency = work.ours(("saliency",))["saliency"].attributions
    same = difference(saliency, work.captum(Saliency(work.module), abs=False))
    medians = in_turn({"ours": lambda: work.ours(SIX), "peers": work.six_by_peers}, runs)
    note = f"{count} photographs; saliency differs by {same:.0e} of its largest value (BatchNorm folded)"
    peer = "captum + pytorch-grad-cam"
    yield faster("six methods", medians["ours"], medians["peers"], peer, goal=3, n=count, note=note)
    layer = LayerGradCam(work.module, work.layer)
    single = {
        "ours": lambda: work.ours(("gradcam",)),
        "grad-cam": lambda: work.gradcam(GradCAM),
        "captum": lambda: work.captum(layer, relu_attributions=True),
    }
    expected = work.captum(layer, relu_attributions=True)
    same = difference(work.ours(("gradcam",))["gradcam"].attributions.relu(), expected)
    medians = in_turn(single, runs)
    note = f"differs from captum by {same:.0e}"
    for name, goal in (("grad-cam", 2.5), ("captum", 1)):
        yield faster(f"gradcam against {name}", medians["ours"], medians[name], name, goal=goal, n=count, note=note)


def hidden_squares(count: int, runs: int) -> Iterator[Figure]:
    """Time occlusion by squares of 32 pixels, 16 apart, on one photograph and on some, and compare the maps."""
    for photographs_together in sorted({1, count}):
        yield _hidden_squares(Work(photographs_together), runs)


def _hidden_squares(work: Work, runs: int) -> Figure:
    spec = "occlusion:window=32,stride=16,baseline=mean"
    squares = {"sliding_window_shapes": (3, 32, 32), "strides": (3, 16, 16)}
    found: dict[str, Tensor] = {}

    def ours() -> None:
        found["ours"] = work.ours((spec,))[spec].attributions

    def theirs() -> None:
        found["captum"] = work.captum(Occlusion(work.module), **squares)

    medians = in_turn({"ours": ours, "captum": theirs}, runs, warm=False)
    same = difference(found["ours"].expand_as(found["captum"]), found["captum"])
    note = f"maps differ by {same:.0e} of the largest value"
    count = len(work.images)
    return faster("occlusion", medians["ours"], medians["captum"], "captum", goal=2, n=count, note=note)


def paths(count: int) -> Iterator[Figure]:
    """Time integrated gradients from black in turn, some images at a time, and give their gaps and points."""
    work = Work(count)
    black = work.classifier.normalize(torch.zeros_like(work.images[:1]))
    with torch.no_grad():
        before = work.module(black)[0]
        change = work.module(work.inputs).gather(1, work.target[:, None])[:, 0] - before[work.target]
    found: list[Attribution] = []
    deltas: list[Tensor] = []

    def ours(rows: slice) -> None:
        part = explain(work.fast, work.images[rows], work.target[rows], methods=["integrated_gradients"])
        found.append(part["integrated_gradients"])

    def theirs(rows: slice) -> None:
        method = IntegratedGradients(work.module)
        for row in range(rows.start, rows.stop):
            options = {"target": int(work.target[row]), "n_steps": 50, "return_convergence_delta": True}
            deltas.append(method.attribute(work.inputs[row : row + 1], black, **options)[1])

    own = peer = 0.0
    for start in range(0, count, 4):
        rows = slice(start, min(start + 4, count))
        own, peer = own + seconds(partial(ours, rows)), peer + seconds(partial(theirs, rows))
    gap = torch.cat([one.gap for one in found])
    points = sum(one.backwards * len(one) for one in found) / count
    other = (torch.cat(deltas) / change).abs()
    note = f"captum, image by image, 50 points: gap {other.median():.1%} median, {other.max():.1%} largest"
    yield faster("integrated gradients", own, peer, "captum", goal=2, n=count, note=note)
    yield at_most("integrated gradients, median gap", float(gap.median()), 0.01, unit="share", n=count)
    yield at_most("integrated gradients, largest gap", float(gap.max()), 0.05, unit="share", n=count)
    yield at_most("integrated gradients, points an image", points, 50, unit="points", n=count)


def memory(quick: bool) -> Iterator[Figure]:
    """Give what five times the points add to the peak memory of methods of many passes."""
    work = Work(2)
    few, many = (8, 24) if quick else (20, 100)
    for spec in ("integrated_gradients:points={}", "smoothgrad:samples={}", "rise:samples={}", "scorecam:channels={}"):
        peaks = []
        for points in (few, few, many):  # the first run also warms the allocator up
            work.ours((spec.format(points),))
            # The peak never falls, so what the larger run adds to it is what it needed more.
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        name = f"{spec.partition(':')[0]}, memory added"
        yield at_most(name, peaks[2] - peaks[1], 100, unit="MB", n=2, note=f"{few} to {many} points")


def main() -> None:
    """Measure everything that was asked for."""
    options = arguments(__doc__ or "")
    count, runs = (4, 1) if options.quick else (16, 5)
    parts: dict[str, Callable[[], Iterator[Figure]]] = {
        "memory": lambda: memory(options.quick),
        "shared": lambda: shared_pass(count, runs),
        "occlusion": lambda: hidden_squares(1 if options.quick else 4, 1 if options.quick else 3),
        "paths": lambda: paths(2 if options.quick else 16),
    }
    show(figure for name, part in parts.items() if options.only in name for figure in part())


if __name__ == "__main__":
    main()
