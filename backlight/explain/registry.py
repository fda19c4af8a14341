"""Every method: what it needs, what it costs, where it comes from, and when not to use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from backlight.core.errors import InputError
from backlight.core.options import Option, options_of
from backlight.core.plugins import UNSTATED, Registry
from backlight.explain.attribution import Attribution
from backlight.explain.methods import (
    cam,
    captum_classes,
    channels,
    fullgrad,
    gradients,
    noise,
    path,
    perturbation,
    superpixels,
    transformers,
)
from backlight.explain.session import Session


@dataclass(frozen=True)
class Card:
    """One method as the verb `methods` prints it.

    `function` takes a session and options (its keyword-only parameters) and returns an `Attribution`, or a signed map
    `[B,H,W]` or `[B,C,H,W]` at the images' size, whose channels add up. `needs` is some of gradient (at the pixels),
    layer, ReLU, biases, attention, captum, or nothing; `passes` the cost per image in words, the shared pass included.

    >>> METHODS["gradcam"].needs
    frozenset({'layer'})
    """

    name: str
    function: Callable[..., Attribution | Tensor]
    needs: frozenset[str] = frozenset({"gradient"})
    passes: str = UNSTATED
    reference: str = UNSTATED
    avoid: str = UNSTATED

    @property
    def options(self) -> Mapping[str, Option]:
        """Return the options that the method understands besides the session, by name."""
        return options_of(self.function)

    def run(self, session: Session, **options: Any) -> Attribution:
        """Explain the images of a session; raises InputError where the method returns no map of their size."""
        found = self.function(session, **options)
        if isinstance(found, Attribution):
            return found
        count, size = len(session.images), session.image_size
        maps = found[:, None] if isinstance(found, Tensor) and found.ndim == 3 else found
        if not isinstance(maps, Tensor) or maps.ndim != 4 or (len(maps), *maps.shape[2:]) != (count, *size):
            seen = f"shape {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            expected = f"an Attribution, or a map [{count},{size[0]},{size[1]}]"
            raise InputError(f"{self.name} returned {seen}", expected=expected)
        forwards, backwards = session.forwards / count, session.backwards / count
        return Attribution(self.name, maps, "sum", size, forwards=forwards, backwards=backwards)


def _card(name: str, function: Callable[..., Attribution], needs: str, passes: str, reference: str, avoid: str) -> Card:
    return Card(name, function, frozenset(needs.split()), passes, reference, avoid)


def _cam(name: str, formula: cam.Formula, reference: str, avoid: str) -> Card:
    return _card(name, cam.from_formula(name, formula), "layer", "1 forward, 1 backward", reference, avoid)


_CARDS = (
    _card(
        "saliency",
        gradients.saliency,
        "gradient",
        "1 forward, 1 backward",
        "Simonyan et al., 2014, arXiv:1312.6034",
        "saturated scores: a gradient near 0 does not say that a pixel is unimportant; noisy on deep networks",
    ),
    _card(
        "gradient_x_input",
        gradients.gradient_x_input,
        "gradient",
        "1 forward, 1 backward",
        "Shrikumar et al., 2016, arXiv:1605.01713",
        "dark pixels: black (or the mean, in input space) gets nothing whatever it does",
    ),
    _card(
        "integrated_gradients",
        path.integrated_gradients,
        "gradient",
        "about 28 forwards, 12 to 100 forwards and backwards; fixed: `points` of each",
        "Sundararajan et al., 2017, arXiv:1703.01365",
        "an arbitrary baseline: pixels that equal it get nothing; look at two baselines",
    ),
    _card(
        "smoothgrad",
        noise.smoothgrad,
        "gradient",
        "1 + `samples` (50) forwards and backwards",
        "Smilkov et al., 2017, arXiv:1706.03825",
        "comparing noise levels: the map depends on `level`; squares and variances lose the sign",
    ),
    _card(
        "guided_backprop",
        gradients.guided_backprop,
        "ReLU",
        "1 forward, 1 backward",
        "Springenberg et al., 2015, arXiv:1412.6806",
        "asking which class: it shows edges that hardly depend on the class or the weights (Adebayo et al., 2018)",
    ),
    _card(
        "deconvnet",
        gradients.deconvnet,
        "ReLU",
        "1 forward, 1 backward",
        "Zeiler and Fergus, 2014, arXiv:1311.2901",
        "faithfulness: it ignores which units were active",
    ),
    _cam(
        "gradcam",
        cam.gradcam,
        "Selvaraju et al., 2017, arXiv:1610.02391",
        "small objects on coarse maps; several objects whose gradients average out",
    ),
    _cam(
        "gradcam++",
        cam.gradcam_plus_plus,
        "Chattopadhyay et al., 2018, arXiv:1710.11063",
        "contrasts of classes: only positive gradients count",
    ),
    _cam(
        "hirescam",
        cam.hirescam,
        "Draelos and Carin, 2020, arXiv:2011.08891",
        "early layers: exact only where the rest of the network is nearly linear",
    ),
    _cam(
        "layercam",
        cam.layercam,
        "Jiang et al., 2021, doi:10.1109/TIP.2021.3089943",
        "evidence against a class: negative gradients are dropped",
    ),
    _cam(
        "xgradcam",
        cam.xgradcam,
        "Fu et al., 2020, arXiv:2008.02312",
        "layers whose activations sum to nearly 0, as before a ReLU",
    ),
    _cam(
        "eigencam",
        cam.eigencam,
        "Muhammad and Yeasin, 2020, arXiv:2008.00299",
        "asking which class: the map does not depend on it",
    ),
    _card(
        "scorecam",
        channels.scorecam,
        "layer",
        "1 forward and one for each channel of the layer, 1 backward",
        "Wang et al., 2020, arXiv:1910.01279",
        "in a hurry: a layer of 2048 channels costs 2048 forwards; `channels` keeps the widest",
    ),
    _card(
        "ablationcam",
        channels.ablationcam,
        "layer",
        "1 forward and one for each channel of the layer, 1 backward",
        "Desai and Ramaswamy, 2020, doi:10.1109/WACV45572.2020.9093360",
        "in a hurry; scores near 0, by which each drop is divided",
    ),
    _card(
        "fullgrad",
        fullgrad.fullgrad,
        "gradient biases",
        "1 forward, 1 backward",
        "Srinivas and Fleuret, 2019, arXiv:1905.00780",
        "evidence against a class: only magnitudes are added; networks with GELU, SiLU or attention (see its gap)",
    ),
    _card(
        "guided_gradcam",
        cam.guided_gradcam,
        "layer ReLU",
        "1 forward, 2 backwards",
        "Selvaraju et al., 2017, arXiv:1610.02391",
        "judging fine detail: its texture comes from guided backpropagation, its place from Grad-CAM",
    ),
    _card(
        "rollout",
        transformers.rollout,
        "attention",
        "1 forward, 1 backward",
        "Abnar and Zuidema, 2020, arXiv:2005.00928",
        "asking which class: attention alone does not depend on it",
    ),
    _card(
        "gradient_attention",
        transformers.gradient_attention,
        "attention",
        "1 forward, 1 backward",
        "Chefer et al., 2021, arXiv:2103.15679",
        "evidence against a class: negative gradients are dropped",
    ),
    _card(
        "legrad",
        transformers.legrad,
        "attention",
        "one forward and one backward for each block",
        "Bousselham et al., 2024, arXiv:2404.03214",
        "networks whose head makes nothing of early blocks",
    ),
    _card(
        "occlusion",
        perturbation.occlusion,
        "nothing",
        "1 forward and one for each place of the window: 196 for 224 px, window 32, stride 16",
        "Zeiler and Fergus, 2014, arXiv:1311.2901",
        "objects larger or much smaller than the window; squares are a sight the model never trained on",
    ),
    _card(
        "rise",
        perturbation.rise,
        "nothing",
        "1 + `samples` (4000) forwards",
        "Petsiuk et al., 2018, arXiv:1806.07421",
        "fine detail: the masks are soft blobs; few samples leave visible noise",
    ),
    _card(
        "lime",
        superpixels.lime,
        "nothing",
        "1 + `samples` (1000) forwards",
        "Ribeiro et al., 2016, arXiv:1602.04938",
        "fine detail: a superpixel has one value; other seeds, widths and superpixels give other maps",
    ),
    _card(
        "kernelshap",
        superpixels.kernelshap,
        "nothing",
        "3 + `samples` (2000) forwards",
        "Lundberg and Lee, 2017, arXiv:1705.07874",
        "fine detail: a superpixel has one value; hidden superpixels are a sight the model never trained on",
    ),
    _card(
        "captum:NAME",
        captum_classes.attribute,
        "captum",
        "those of the class NAME of captum.attr, as captum:DeepLift or captum:GradientShap:n_samples=20",
        "Kokhlikyan et al., 2020, arXiv:2009.07896",
        "networks with a module that runs twice, or with layers that the class has no rule for: it says so",
    ),
)
METHODS = Registry("methods", "method", _CARDS, Card, wrap=Card)
