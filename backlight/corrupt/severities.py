"""The constants of every corruption at five severities, for photographs and for small pictures.

Hendrycks and Dietterich 2019 (arXiv:1903.12261), the code of ImageNet-C and CIFAR-10-C: `photograph` is the first,
made for 224 pixels, `small` the second, made for 32. Later collections use the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from backlight.core.errors import UsageError, did_you_mean

SEVERITIES = (1, 2, 3, 4, 5)
SMALL = 96
"""Pictures whose shorter side is at most this take the constants made for small ones."""

Constants = tuple[float, ...]


def _rows(*rows: float | Constants) -> tuple[Constants, ...]:
    return tuple(row if isinstance(row, tuple) else (row,) for row in rows)


def _scaled(by: float, *rows: Constants) -> tuple[Constants, ...]:
    return tuple(tuple(by * value for value in row) for row in rows)


PHOTOGRAPH: Mapping[str, tuple[Constants, ...]] = {
    "gaussian_noise": _rows(0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": _rows(60, 25, 12, 5, 3),
    "impulse_noise": _rows(0.03, 0.06, 0.09, 0.17, 0.27),
    "speckle_noise": _rows(0.15, 0.2, 0.35, 0.45, 0.6),
    "gaussian_blur": _rows(1, 2, 3, 4, 6),
    "defocus_blur": _rows((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    "glass_blur": _rows((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "motion_blur": _rows((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    "zoom_blur": _rows((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    "snow": _rows(
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "frost": _rows((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    "fog": _rows((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    "brightness": _rows(0.1, 0.2, 0.3, 0.4, 0.5),
    "spatter": _rows(
        (0.65, 0.3, 4, 0.69, 0.6, 0),
        (0.65, 0.3, 3, 0.68, 0.6, 0),
        (0.65, 0.3, 2, 0.68, 0.5, 0),
        (0.65, 0.3, 1, 0.65, 1.5, 1),
        (0.67, 0.4, 1, 0.65, 1.5, 1),
    ),
    "contrast": _rows(0.4, 0.3, 0.2, 0.1, 0.05),
    "saturate": _rows((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    # 244, not 224: so it is in the published code.
    "elastic": _scaled(244, (2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)),
    "pixelate": _rows(0.6, 0.5, 0.4, 0.3, 0.25),
    "jpeg": _rows(25, 18, 15, 10, 7),
}

SMALL_PICTURE: Mapping[str, tuple[Constants, ...]] = {
    "gaussian_noise": _rows(0.04, 0.06, 0.08, 0.09, 0.10),
    "shot_noise": _rows(500, 250, 100, 75, 50),
    "impulse_noise": _rows(0.01, 0.02, 0.03, 0.05, 0.07),
    "speckle_noise": _rows(0.06, 0.1, 0.12, 0.16, 0.2),
    "gaussian_blur": _rows(0.4, 0.6, 0.7, 0.8, 1),
    "defocus_blur": _rows((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    "glass_blur": _rows((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    "motion_blur": _rows((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    "zoom_blur": _rows((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "snow": _rows(
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    "frost": _rows((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    "fog": _rows((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    "brightness": _rows(0.05, 0.1, 0.15, 0.2, 0.3),
    "spatter": _rows(
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ),
    "contrast": _rows(0.75, 0.5, 0.4, 0.3, 0.15),
    "saturate": _rows((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    "elastic": _scaled(32, (0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    "pixelate": _rows(0.95, 0.9, 0.85, 0.75, 0.65),
    "jpeg": _rows(80, 65, 58, 50, 40),
}

TABLES: Mapping[str, Mapping[str, tuple[Constants, ...]]] = {"photograph": PHOTOGRAPH, "small": SMALL_PICTURE}


def table_for(height: int, width: int) -> str:
    """Return which table pictures of this size take: `photograph`, or `small` up to 96 pixels.

    >>> table_for(224, 224), table_for(32, 32)
    ('photograph', 'small')
    """
    return "small" if min(height, width) <= SMALL else "photograph"


def constants_of(kind: str, severity: int, table: str) -> Constants:
    """Return the constants of a kind at a severity 1 to 5.

    Raises UsageError for another severity, and for a table or kind that has none.

    >>> constants_of("defocus_blur", 2, "photograph")
    (4, 0.5)
    """
    check_severity(severity)
    if table not in TABLES:
        raise UsageError(f"no table of severities {table!r}", hint=did_you_mean(table, TABLES))
    if kind not in TABLES[table]:
        raise UsageError(f"no published severities of {kind!r}", hint=did_you_mean(kind, TABLES[table]))
    return TABLES[table][kind][severity - 1]


def check_severity(severity: int) -> int:
    """Return a severity that there is; raises UsageError for others.

    >>> check_severity(3)
    3
    """
    if isinstance(severity, bool) or severity not in SEVERITIES:
        raise UsageError(f"severity {severity!r}", expected="1, 2, 3, 4 or 5")
    return severity
