"""Sparse-RS: change few pixels, a patch or a frame at random, and keep what helps (Croce et al. 2022)."""

from __future__ import annotations

from functools import partial

from backlight.attack.black_box.queries import Place, Walk, ask
from backlight.attack.black_box.regions import Draft, Frame, Patch, Pixels, frame_size
from backlight.attack.challenge import Challenge
from backlight.attack.gradient import bound_of
from backlight.attack.nearest import check_in_norm
from backlight.core.errors import UsageError, did_you_mean
from backlight.pixels import Result

KINDS: dict[str, type[Draft]] = {"pixels": Pixels, "patch": Patch, "frame": Frame}


def sparse_rs(
    challenge: Challenge, *, queries: int = 5000, kind: str = "pixels", after: Result | None = None
) -> Result:
    """Run Sparse-RS (Croce et al. 2022, arXiv:2006.12834), l0: it reads scores and keeps what lowers the margin.

    l0 counts values, so that of eps as many are spent on a pixel as it has channels. The pixels lie anywhere
    (`pixels`), in the largest square (`patch`), whose place is looked for too, or in the widest `frame` along the edges
    that eps allows. Every value that changes becomes 0 or 1. The published schedules are stretched to the budget.

    Raises UsageError in another norm, without an eps, for another kind, and for an eps that is too small for it.

    >>> from backlight.testing import small_challenge
    >>> bool((sparse_rs(small_challenge("l0", 3), queries=20).forwards <= 20).all())
    True
    """
    check_in_norm(challenge, "sparse-rs", "l0")
    if kind not in KINDS:
        raise UsageError(f"sparse-rs:kind={kind}", hint=did_you_mean(kind, list(KINDS)))
    channels, height, width = challenge.images.shape[1:]
    eps = bound_of(challenge, "sparse-rs")
    count = min(int(eps) // channels, height * width)
    least = frame_size(1, height, width) if kind == "frame" else 1
    if eps > 0 and count < least:
        size = challenge.threat.text(eps)
        raise UsageError(f"sparse-rs:kind={kind} with an eps of {size} values", expected=f"{least * channels} or more")
    walk = partial(_walk, kind=KINDS[kind], count=count)
    return ask(challenge, f"sparse-rs {kind}", walk, queries=queries, after=after)


def _walk(place: Place, *, kind: type[Draft], count: int) -> Walk:
    if not count:
        return  # an eps of 0: there is nothing to ask
    kept: Draft = kind.begin(place, count)
    answers = yield kept.picture(place.original)[None]
    gain, turn = float(answers.gain[0]), 1
    while True:
        tried = kept.changed(place, turn)
        answers = yield tried.picture(place.original)[None]
        if float(answers.gain[0]) > gain:
            kept, gain = tried, float(answers.gain[0])
        turn += 1
