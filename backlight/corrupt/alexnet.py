"""AlexNet's accuracy under every published corruption: by its errors the mean corruption error is weighed.

RobustBench's measurement on its 5,000 pictures of ImageNet-C, severities 1 to 5.
"""

from __future__ import annotations

from collections.abc import Mapping

ALEXNET_ACCURACY: Mapping[str, tuple[float, ...]] = {
    "gaussian_noise": (0.311, 0.1814, 0.0724, 0.0214, 0.0058),
    "shot_noise": (0.2944, 0.1598, 0.0726, 0.0196, 0.012),
    "impulse_noise": (0.2234, 0.1154, 0.0556, 0.014, 0.0054),
    "defocus_blur": (0.3404, 0.262, 0.1502, 0.085, 0.0522),
    "glass_blur": (0.3486, 0.2412, 0.1126, 0.08, 0.0636),
    "motion_blur": (0.4174, 0.295, 0.1794, 0.1022, 0.0698),
    "zoom_blur": (0.3028, 0.2308, 0.1936, 0.163, 0.1312),
    "snow": (0.2788, 0.114, 0.132, 0.085, 0.0502),
    "frost": (0.3788, 0.1976, 0.1052, 0.0994, 0.0616),
    "fog": (0.3154, 0.2324, 0.157, 0.1214, 0.0556),
    "brightness": (0.5504, 0.514, 0.464, 0.3886, 0.2906),
    "contrast": (0.3496, 0.2334, 0.1094, 0.0266, 0.0094),
    "elastic": (0.471, 0.3022, 0.44, 0.3568, 0.1898),
    "pixelate": (0.4754, 0.4502, 0.267, 0.1288, 0.0858),
    "jpeg": (0.4858, 0.4522, 0.4228, 0.3488, 0.2564),
}
