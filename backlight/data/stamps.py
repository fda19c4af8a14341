"""What tells that a picture is still the same, without decoding it, and that a data set is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor

from backlight.core.errors import FileError
from backlight.core.fingerprint import fingerprint
from backlight.data.decoded import Decoded
from backlight.data.drawn import Drawing
from backlight.data.fitted import Fitted
from backlight.data.pictures import Joined, PictureSource, Selected, try_one


def stamps(pictures: PictureSource, rows: Sequence[int]) -> list[str]:
    """Return a text per picture that is another one when its pixels are others, in any process and on any machine.

    Files and encoded pictures are told by their bytes and how they are made to fit, drawings by their description,
    all others by their pixels.

    >>> from backlight.data.pictures import Memory
    >>> first, second = stamps(Memory(torch.tensor([0, 1], dtype=torch.uint8).view(2, 1, 1, 1)), [0, 1])
    >>> first == second
    False
    """
    if isinstance(pictures, Selected):
        return stamps(pictures.inner, pictures.rows[torch.as_tensor(rows, dtype=torch.int64)].tolist())
    if isinstance(pictures, Fitted):
        # Fingerprints of several things stand one behind the other: what all pictures share is hashed once.
        shared = fingerprint(pictures.resize, pictures.channels)
        return [shared + fingerprint(one) for one in stamps(pictures.inner, rows)]
    return [_stamp(pictures, int(row)) for row in rows]


def _stamp(pictures: PictureSource, row: int) -> str:
    if isinstance(pictures, Joined):
        for part in pictures.parts:
            if row < len(part):
                return stamps(part, [row])[0]
            row -= len(part)
    if isinstance(pictures, Drawing):
        return fingerprint(repr(pictures.shapes), pictures.part, row)
    if isinstance(pictures, Decoded) and pictures.stamp is not None:
        try:
            return fingerprint(pictures.resize, pictures.channels, pictures.stamp(row))
        except FileError as error:
            return str(error)
    found = try_one(pictures, row)
    return fingerprint(found if isinstance(found, Tensor) else str(found))


def hash_data(
    pictures: PictureSource, ids: Sequence[str], labels: Tensor, label_names: Sequence[str], targets: Tensor | None
) -> str:
    """Hash ids, labels, names and the pixels of 16 pictures."""
    digest = hashlib.blake2b(digest_size=16)
    for text in chain(ids, ("",), label_names):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    digest.update(labels.numpy().tobytes())
    if targets is not None:
        digest.update(targets.numpy().tobytes())
    for row in torch.linspace(0, len(ids) - 1, min(16, len(ids))).long().tolist():
        image = try_one(pictures, row)
        if isinstance(image, Tensor):
            digest.update(str(tuple(image.shape)).encode() + image.contiguous().numpy().tobytes())
    return digest.hexdigest()
