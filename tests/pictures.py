"""Picture files made by hand, byte by byte, for what no encoder here writes."""

from __future__ import annotations

import struct
import zlib

import numpy as np

GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6


def png(width: int, height: int, depth: int, color: int, raw: bytes, extra: bytes = b"") -> bytes:
    """Make a PNG of unfiltered rows; `extra` goes between header and pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    stride = len(raw) // height if raw else 0
    rows = b"".join(b"\0" + raw[start : start + stride] for start in range(0, len(raw), stride or 1))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_16(values: np.ndarray, extra: bytes = b"") -> bytes:
    """Make a 16-bit PNG of uint16 [H,W] or [H,W,C]."""
    channels = 1 if values.ndim == 2 else values.shape[2]
    color = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGBA}[channels]
    return png(values.shape[1], values.shape[0], 16, color, values.astype(">u2").tobytes(), extra)


def tiff_16(values: np.ndarray, *, big_endian: bool = False) -> bytes:
    """Make an uncompressed 16-bit TIFF of uint16 [H,W] or [H,W,3]."""
    order, mark = (">", b"MM") if big_endian else ("<", b"II")
    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else 3
    pixels = values.astype(order + "u2").tobytes()
    bits_at, pixels_at = 8, 16
    directory_at = pixels_at + len(pixels) + len(pixels) % 2
    bits = (258, 3, 1, 16) if channels == 1 else (258, 3, 3, bits_at)
    tags = [(256, 4, 1, width), (257, 4, 1, height), bits, (259, 3, 1, 1), (262, 3, 1, 1 if channels == 1 else 2)]
    tags += [(273, 4, 1, pixels_at), (277, 3, 1, channels), (278, 4, 1, height), (279, 4, 1, len(pixels))]
    entries = b""
    for tag, kind, count, value in tags:
        inline = kind == 3 and count == 1
        packed = struct.pack(order + "HH", value, 0) if inline else struct.pack(order + "I", value)
        entries += struct.pack(order + "HHI", tag, kind, count) + packed
    head = mark + struct.pack(order + "HI", 42, directory_at) + struct.pack(order + "HHHH", 16, 16, 16, 0)
    body = (head + pixels).ljust(directory_at, b"\0")
    return body + struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", 0)
