"""Which models there are, what each needs, and which of them work here without a network."""

from __future__ import annotations

from dataclasses import dataclass

from backlight.core.errors import UsageError, did_you_mean
from backlight.models import networks
from backlight.models.registry import MODEL_SOURCES
from backlight.models.sources import embedded, timm_zoo, torchvision_zoo


@dataclass(frozen=True)
class ModelEntry:
    """One model, or one form of specification: what it is, what it needs, whether it works offline here.

    `offline` is True where the trained weights are on this machine, False where they must be fetched or trained,
    None for a form that stands for many models. Random weights and files of weights never need a network.

    >>> ModelEntry("vit", "a network", "training", False).offline
    False
    """

    spec: str
    summary: str
    needs: str
    offline: bool | None

    def to_json(self) -> dict[str, object]:
        """Return `{"spec", "summary", "needs", "offline"}`."""
        return dict(vars(self))


def list_models(name_contains: str = "") -> tuple[ModelEntry, ...]:
    """List the embedded models, our networks and the forms of specification; or the models of any zoo by name.

    With `name_contains` the entries are single models, timm's and torchvision's among them, whose names contain it.

    Raises UsageError with the nearest names where none does.

    >>> [entry.spec for entry in list_models()][:2]
    ['efficientnet_lite0', 'efficientnet_lite1']
    """
    own = (*_embedded(), *_own())
    if not name_contains:
        return (*own, *_forms())
    wanted = name_contains.lower()
    found = (*(entry for entry in own if wanted in entry.spec), *_zoo(wanted))
    if not found:
        import timm

        names = [*(entry.spec for entry in own), *timm.list_models(), *torchvision_zoo.names()]
        raise UsageError(f"no model's name contains {name_contains!r}", hint=did_you_mean(wanted, names))
    return found


def _embedded() -> list[ModelEntry]:
    entries = []
    for name, package in embedded.PACKAGES.items():
        needs = f"the package {package.module.replace('_', '-')}"
        entries.append(ModelEntry(name, "ImageNet, 1000 classes, on this machine", needs, embedded.is_installed(name)))
    return entries


def _own() -> list[ModelEntry]:
    entries = []
    for name in networks.names():
        network = networks.describe(name)
        height, width = network.size
        summary = f"{network.summary}; {height}x{width}, {network.classes} classes unless told otherwise"
        entries.append(ModelEntry(name, summary, "training, or --weights FILE", False))
    return entries


def _forms() -> list[ModelEntry]:
    import timm

    counts = {
        "timm:NAME": f"{len(timm.list_models())} architectures, "
        f"{len(timm.list_models(pretrained=True))} published weights",
        "torchvision:NAME": f"{len(torchvision_zoo.names())} architectures with published weights",
    }
    entries = []
    for source in MODEL_SOURCES.values():
        if source.form.isidentifier():
            continue  # listed by name above
        network = source.prefix != ""
        needs = "the network once, then the cache; none with --random or --weights" if network else "the file"
        summary = "; ".join(filter(None, (source.summary, counts.get(source.form))))
        entries.append(ModelEntry(source.form, summary, needs, None))
    return entries


def _zoo(wanted: str) -> list[ModelEntry]:
    import timm

    published = timm.list_models(f"*{wanted}*", pretrained=True)
    bare = set(timm.list_models(f"*{wanted}*")) - {name.partition(".")[0] for name in published}
    entries = [_fetched("timm", name, timm_zoo.is_cached(name)) for name in published]
    entries += [ModelEntry(f"timm:{name}", "no published weights", "--weights FILE", False) for name in sorted(bare)]
    names = [name for name in torchvision_zoo.names() if wanted in name]
    return entries + [_fetched("torchvision", name, torchvision_zoo.is_cached(name)) for name in names]


def _fetched(zoo: str, name: str, cached: bool) -> ModelEntry:
    return ModelEntry(f"{zoo}:{name}", "published weights", "nothing more" if cached else "the network once", cached)
