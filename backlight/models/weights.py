"""A checkpoint's tensors on a known architecture: prefixes found by matching names, compared, loaded strictly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor, nn

from backlight.core.errors import ModelError
from backlight.models.checkpoint import Checkpoint, is_average, some

# What torch puts into names around a part that is compiled, sharded or recomputed, wherever that part is.
_MARKS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
_EXTRA_SHARE = 0.05


def fitted(checkpoint: Checkpoint, module: nn.Module) -> Checkpoint:
    """Return the checkpoint with names as `module` has them.

    The prefix under which most of the module's names are found (`model.`, `module.`, `net.backbone.`) is peeled off,
    and what torch puts around parts (`_orig_mod.`) wherever it stands; one that the module alone has is put before
    every name. What lies outside of it, and a few tensors beside the module's own parts, such as the weights of a loss,
    are left out and listed.

    Raises ModelError where two prefixes fit equally well, or the one asked for does not.

    >>> import torch
    >>> from pathlib import Path
    >>> wrapped = Checkpoint(Path("a.pth"), {f"net.{name}": torch.zeros(2) for name in ("weight", "bias")})
    >>> found = fitted(wrapped, nn.BatchNorm1d(2, track_running_stats=False))
    >>> list(found.tensors), found.peeled
    (['weight', 'bias'], ('net.',))
    """
    known = set(module.state_dict())
    tensors, peeled = checkpoint.tensors, list(checkpoint.peeled)
    for mark in _MARKS:
        if any(mark in name for name in tensors) and not any(mark in name for name in known):
            tensors = {name.replace(mark, ""): one for name, one in tensors.items()}
            peeled.append(mark)
    matches = _matches(tensors, known)
    prefix, added = _choose(checkpoint, matches), ""
    if matches[prefix] < len(known) / 2:
        prefix, added = _deeper(tensors, known, checkpoint.wanted, (prefix, matches[prefix]))
    inside = {added + name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
    beside = _beside_the_module(inside, known)
    averages = [one for one in matches if one != prefix and is_average(one) and matches[one] >= matches[prefix]]
    return replace(
        checkpoint,
        tensors={name: one for name, one in inside.items() if name not in beside},
        peeled=(*peeled, prefix) if prefix else tuple(peeled),
        added=added,
        left_out=(*_outside(tensors, prefix, averages), *sorted(beside)),
        others=(*checkpoint.others, *(one.rstrip(".") for one in averages)),
    )


def _deeper(names: Mapping[str, Tensor], known: set[str], wanted: str, plain: tuple[str, int]) -> tuple[str, str]:
    """Find the prefix to take off and the one to put on with which most names are known: a bare network's weights."""
    best, most = (plain[0], ""), plain[1]
    if wanted:
        return best
    for taken in _shared(names):
        for put in _shared(known)[1:]:
            inside = [name for name in names if name.startswith(taken)]
            count = sum(put + name.removeprefix(taken) in known for name in inside)
            if count > max(most, len(inside) / 2):
                best, most = (taken, put), count
    return best


def _shared(names: Iterable[str]) -> list[str]:
    """List the prefixes up to a dot, and none, that more than half of all names have, the shortest first."""
    counted: Counter[str] = Counter()
    total = 0
    for name in names:
        total += 1
        parts = name.split(".")
        counted.update("".join(f"{part}." for part in parts[:place]) for place in range(len(parts)))
    return sorted((one for one, count in counted.items() if count > total / 2), key=len)


def _outside(names: Mapping[str, Tensor], prefix: str, averages: list[str]) -> list[str]:
    return [name for name in names if not name.startswith((prefix, *averages))]


def _matches(names: Mapping[str, Tensor], known: set[str]) -> Counter[str]:
    """Count, for every prefix up to a dot, how many of the known names follow it."""
    found: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for place in range(len(parts)):
            if ".".join(parts[place:]) in known:
                found["".join(f"{part}." for part in parts[:place])] += 1
    return found


def _choose(checkpoint: Checkpoint, matches: Counter[str]) -> str:
    wanted = checkpoint.wanted
    if wanted:
        asked = [one for one in matches if wanted in one.split(".") or (wanted == "ema" and is_average(one))]
        if not asked:
            there = sorted({*checkpoint.others, *(one.rstrip(".") for one in matches if one)})
            raise ModelError(
                f"{checkpoint.path} has no weights {wanted!r}", hint=f"one of {', '.join(there)}" if there else ""
            )
        return max(asked, key=lambda one: matches[one])
    plain = {one: count for one, count in matches.items() if not is_average(one)} or dict(matches)
    best = [one for one, count in plain.items() if count == max(plain.values())]
    if not best or "" in best:
        return ""
    if len(best) > 1 and plain[best[0]] > 1:
        names = [one.rstrip(".") for one in sorted(best)]
        hint = f"--weights {checkpoint.path}:{names[0]}"
        raise ModelError(f"{checkpoint.path} holds several models: {', '.join(names)}", expected="one", hint=hint)
    return best[0] if len(best) == 1 else ""


def _beside_the_module(names: Mapping[str, Tensor], known: set[str]) -> set[str]:
    """Find tensors that hang beside the module's parts, not inside one of them, and are but a few of all."""
    parts = {name.partition(".")[0] for name in known}
    beside = {
        name
        for name in names
        if name not in known and name.partition(".")[0] not in parts and not name.partition(".")[0].isdigit()
    }
    few = sum(names[name].numel() for name in beside) <= _EXTRA_SHARE * sum(one.numel() for one in names.values())
    # Where something is missing too, what looks superfluous may be what is missing, under another name.
    counted = {name for name in known if not name.endswith("num_batches_tracked")}
    return beside if few and counted <= set(names) else set()


def head_classes(module: nn.Module, checkpoint: Checkpoint, classes: int) -> int | None:
    """Read the number of classes from a checkpoint's head, where it differs from the module's `classes`.

    The head is what has `classes` rows in the module and another number of rows, the same everywhere, in the
    checkpoint. None where no such tensors exist or where other tensors differ as well.

    >>> from pathlib import Path
    >>> head_classes(nn.Linear(4, 1000), Checkpoint(Path("a.pth"), nn.Linear(4, 7).state_dict()), 1000)
    7
    """
    built = module.state_dict()
    differing = [
        (one.shape, built[name].shape)
        for name, one in checkpoint.tensors.items()
        if name in built and built[name].shape != one.shape
    ]
    rows = {given[0] for given, own in differing if len(given) and len(own) and own[0] == classes}
    same_columns = all(given[1:] == own[1:] for given, own in differing)
    return int(rows.pop()) if len(rows) == 1 and same_columns else None


def first_channels(module: nn.Module, checkpoint: Checkpoint) -> int | None:
    """Read the number of input channels from a checkpoint's first convolution, where it differs from the module's.

    >>> from pathlib import Path
    >>> gray = Checkpoint(Path("a.pth"), nn.Conv2d(1, 8, 3).state_dict())
    >>> first_channels(nn.Conv2d(3, 8, 3), gray), first_channels(nn.Conv2d(1, 8, 3), gray)
    (1, None)
    """
    name, own = next(((name, one) for name, one in module.state_dict().items() if one.ndim == 4), ("", None))
    given = checkpoint.tensors.get(name)
    if own is None or given is None or given.ndim != 4 or given.shape[1] == own.shape[1]:
        return None
    same = given.shape[:1] == own.shape[:1] and given.shape[2:] == own.shape[2:]
    return int(given.shape[1]) if same else None


def load_state(module: nn.Module, checkpoint: Checkpoint, *, new_head: int | None = None) -> nn.Module:
    """Copy a checkpoint's tensors into `module` and return it; every name and shape must agree.

    With `new_head`, the module's number of classes, tensors that differ from the module's only in their
    first dimension keep the module's own values: a fresh head on pretrained layers.

    Raises ModelError that lists missing and unexpected names and shapes that differ.

    >>> import torch
    >>> from pathlib import Path
    >>> load_state(nn.Linear(4, 3), Checkpoint(Path("a.pth"), {"weight": torch.zeros(3, 4)}))
    Traceback (most recent call last):
    backlight.core.errors.ModelError: a.pth does not fit the model: missing 1: bias; ...
    """
    built = module.state_dict()
    tensors = checkpoint.tensors
    if new_head is not None:
        tensors = {name: one for name, one in tensors.items() if not _is_old_head(one, built.get(name), new_head)}
        built = {name: one for name, one in built.items() if name in tensors or name not in checkpoint.tensors}
    # Checkpoints from before torch 0.4.1 have no such counters, and only training with momentum=None reads them.
    missing = [name for name in built if name not in tensors and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in tensors if name not in built]
    both = [(name, one, built[name]) for name, one in tensors.items() if name in built]
    differing = [f"{name} {list(one.shape)} for {list(own.shape)}" for name, one, own in both if one.shape != own.shape]
    # Copied as they are, whole numbers of a quantized network would be taken for its weights.
    other = [
        f"{name} {str(one.dtype).removeprefix('torch.')}"
        for name, one, own in both
        if one.dim() and (one.is_complex(), one.is_floating_point()) != (own.is_complex(), own.is_floating_point())
    ]
    problems = [
        f"{kind} {len(names)}: {some(names)}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", differing),
            ("of another type", other),
        )
        if names
    ]
    if problems:
        peeled = f" (peeled {', '.join(checkpoint.peeled)})" if checkpoint.peeled else ""
        found = f"{checkpoint.path}{peeled} does not fit the model: {'; '.join(problems)}"
        raise ModelError(found, expected="the weights of this architecture")
    module.load_state_dict(tensors, strict=False)
    return module


def _is_old_head(given: Tensor, own: Tensor | None, classes: int) -> bool:
    return (
        own is not None
        and own.ndim > 0
        and own.shape[0] == classes
        and own.shape[1:] == given.shape[1:]
        and (own.shape != given.shape)
    )
