"""Any attribution class of captum, with our targets, pixel space, baselines, chunks and keyed randomness.

captum hooks the modules of the network: it works on a private copy, whose rectifiers are not in place.
"""

from __future__ import annotations

import importlib.util
import inspect
import random as python_random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.recording import LOGITS, split_call
from backlight.classifier.wrapping import copy_of
from backlight.core.chunks import in_chunks, is_out_of_memory
from backlight.core.errors import ModelError, UsageError, did_you_mean
from backlight.core.random import Random
from backlight.explain.attribution import Attribution, upsample
from backlight.explain.layout import find_layout
from backlight.explain.methods.baselines import make_baseline
from backlight.explain.methods.superpixels import superpixels
from backlight.explain.session import Session

PREFIX = "captum:"
OWN_OPTIONS = {"baseline": "mean", "segments": 50}
"""What every class understands besides its own numbers, where it takes baselines or a feature mask."""

_GIVEN = {"self", "inputs", "target", "additional_forward_args", "baselines", "feature_mask", "kwargs"}
# The others draw random numbers: they see one image at a time, so that these depend on the image alone.
_BATCHED = {
    "DeepLift", "InputXGradient", "LRP", "Saliency", "IntegratedGradients", "GuidedBackprop", "Deconvolution",
    "LayerDeepLift", "LayerLRP", "LayerGradCam", "LayerIntegratedGradients", "LayerConductance", "LayerActivation",
    "LayerGradientXActivation", "InternalInfluence", "GuidedGradCam",
}  # fmt: skip
# They need what a name cannot say (other images, text, another method), so they are not offered.
_NOT_OFFERED = ("Permutation", "LLM", "Neuron", "NoiseTunnel", "DataLoader", "LimeBase")


def captum_class(name: str) -> type:
    """Find an attribution class of captum by name.

    Raises UsageError where captum is missing, for unknown names (with near ones), and for classes that need more
    than images, a target and a layer.
    """
    if importlib.util.find_spec("captum") is None:
        raise UsageError(f"{PREFIX}{name} without captum", expected="captum", hint="pip install 'backlight[captum]'")
    import captum.attr

    offered = {key: one for key, one in vars(captum.attr).items() if _is_offered(key, one)}
    if name not in offered:
        raise UsageError(f"captum has no class {name!r} for images", hint=did_you_mean(name, offered) or "DeepLift")
    missing = [
        key
        for key, one in _parameters(offered[name]).items()
        if one.default is inspect.Parameter.empty
        and one.kind is not inspect.Parameter.VAR_KEYWORD
        and key not in _GIVEN
    ]
    if missing:
        own = {"Occlusion": "occlusion"}.get(name, "")
        raise UsageError(f"{PREFIX}{name} needs {', '.join(missing)}", expected="a class without", hint=own)
    return offered[name]


def needs_layer(found: type) -> bool:
    """Whether a class of captum reads a layer."""
    return "layer" in inspect.signature(found.__init__).parameters  # type: ignore[misc]


def allowed_options(found: type) -> dict[str, Any]:
    """List the options of a class that are numbers or words, with their defaults, and our own."""
    own = {name: one.default for name, one in _parameters(found).items() if isinstance(one.default, (int, float, str))}
    fits = {"baseline": "baselines", "segments": "feature_mask"}
    ours = {name: value for name, value in OWN_OPTIONS.items() if fits[name] in _parameters(found)}
    return {**{name: one for name, one in own.items() if not name.startswith(("return_", "show_", "verbose"))}, **ours}


def attribute(session: Session, *, found: type, **options: Any) -> Attribution:
    """Run one attribution class of captum on the images of a session.

    In the space `input` the class sees the normalized input, as if called on the network itself; in the space
    `pixel` it sees pixels, and the normalization is a first step of the network.

    Raises ModelError where the class cannot handle the network, with captum's own reason.
    """
    name = found.__name__
    copied = _private_copy(session.classifier)
    _check_shared(copied, name)
    layer = session.recording.layers[0] if needs_layer(found) else ""
    runner = partial(_run, session, copied, found, layer, options)
    size = session.chunk if name in _BATCHED else 1
    before = session.forwards
    raw = torch.cat(list(in_chunks(runner, len(session.images), size)))
    return Attribution(
        f"{PREFIX}{name}",
        raw.to(session.images),
        "sum",
        session.image_size,
        layer=layer or None,
        forwards=1 + (session.forwards - before) / len(raw),
        notes=("backward passes inside of captum are not counted",),
    )


class Scored(nn.Module):
    """Map images in some space to the score that is explained; `rows` are their places in the batch."""

    def __init__(self, session: Session, classifier: Classifier) -> None:
        super().__init__()
        self.network = classifier.module
        self._session, self._classifier = [session], [classifier]

    def forward(self, values: Tensor, rows: Tensor) -> Tensor:
        """Score `values` [A,C,H,W]."""
        session = self._session[0]
        session.forwards += len(values)
        return session.objective.score(self._classifier[0].record(session.pixels(values), (LOGITS,))[LOGITS], rows)


def _run(
    session: Session, classifier: Classifier, found: type, layer: str, options: Mapping[str, Any], part: slice
) -> Tensor:
    rows = torch.arange(part.start, part.stop, device=session.images.device)
    model = Scored(session, classifier)
    inputs = session.values(session.images[part]).detach().clone()
    arguments = [classifier.module.get_submodule(split_call(layer)[0])] if layer else []
    keyed = _keyed_generators(session.random.take(part).fork(found.__name__))
    with keyed, warnings.catch_warnings(), torch.inference_mode(False), torch.enable_grad():
        warnings.simplefilter("ignore")
        try:
            method = found(model, *arguments)
            result = method.attribute(
                inputs.requires_grad_(True),
                additional_forward_args=(rows,),
                **_arguments(session, found, options, part),
            )
        except (AssertionError, AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            raise ModelError(f"captum's {found.__name__} cannot explain {classifier.name}: {error}") from error
    # Channels that are hidden together get one value, which is the region's.
    result = result.detach()[:, :1] if "feature_mask" in _parameters(found) else result.detach()
    return _as_map(session, result, layer)


def _arguments(session: Session, found: type, options: Mapping[str, Any], part: slice) -> dict[str, Any]:
    parameters, images = _parameters(found), session.images[part]
    given = {key: value for key, value in options.items() if key not in OWN_OPTIONS}
    if "baselines" in parameters:
        name = options.get("baseline", OWN_OPTIONS["baseline"])
        hidden = make_baseline(name, images, session.classifier, session.random.take(part))
        given["baselines"] = session.values(hidden).detach().clone()
    if "feature_mask" in parameters:
        count = options.get("segments", OWN_OPTIONS["segments"])
        regions = torch.stack([superpixels(image, count) for image in images])
        given["feature_mask"] = regions[:, None].to(images.device).expand(-1, images.shape[1], -1, -1).contiguous()
    for key in ("internal_batch_size", "perturbations_per_eval"):
        if key in parameters and key not in given:
            given[key] = max(1, session.chunk.size // (1 if key == "internal_batch_size" else len(images)))
    # captum's saliency drops the sign by default.
    return {"abs": False, **given} if "abs" in parameters else given


def _as_map(session: Session, result: Tensor, layer: str) -> Tensor:
    if not layer or result.shape[1:] == session.images.shape[1:]:
        return result
    found = find_layout(session.classifier, layer, tuple(result.shape), session.image_size).to_map(result)
    return upsample(found.sum(1, keepdim=True), session.image_size)


def _private_copy(classifier: Classifier) -> Classifier:
    from captum.attr._utils.lrp_rules import EpsilonRule

    module = copy_of(classifier.module).eval().requires_grad_(True)
    for part in module.modules():
        if "inplace" in vars(part):
            part.inplace = False  # type: ignore[assignment]
        if isinstance(part, (nn.Flatten, nn.Identity)):
            part.rule = EpsilonRule()  # relevance passes through; captum's LRP has no rule for them
    return classifier.replace(module=module)


def _check_shared(classifier: Classifier, name: str) -> None:
    # Their hooks keep one input per module: a second call would silently be explained by the first one's.
    if not name.endswith(("DeepLift", "DeepLiftShap", "LRP")):
        return
    shared = [layer.name for layer in classifier.layers() if layer.calls > 1 and layer.type != "Identity"]
    if shared:
        raise ModelError(
            f"layer {shared[0]!r} runs several times", expected=f"each module once, for captum's {name}", hint="gradcam"
        )


@contextmanager
def _keyed_generators(random: Random) -> Iterator[None]:
    """Key the global generators, which captum draws from, by the first image; leave them as they were."""
    seed = int(random.integer(2**31, stream="captum")[0])
    state, numbers = python_random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        python_random.seed(seed)
        try:
            yield
        finally:
            python_random.setstate(state)
            np.random.set_state(numbers)  # noqa: NPY002


def _parameters(found: type) -> Mapping[str, inspect.Parameter]:
    function: Callable[..., Any] = inspect.unwrap(found.attribute)  # type: ignore[attr-defined]
    return inspect.signature(function).parameters


def _is_offered(name: str, one: object) -> bool:
    from captum.attr import Attribution as Base

    return (
        isinstance(one, type)
        and issubclass(one, Base)
        and one.__name__ == name
        and "attribute" in dir(one)
        and "inputs" in _parameters(one)
        and not any(word in name for word in _NOT_OFFERED)
    )
