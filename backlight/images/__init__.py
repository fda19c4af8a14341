"""Picture files and [0,1] tensors: reading, resizing, rounding, drawing, writing.

picture      a file becomes a tensor and back; the 8-bit lattice
decode       bytes become pixels within limits (flatten: of any mode; budget: of all threads together)
resize       the model's rule and the crop box it leaves
search       which files of a folder are pictures; intake: many files in batches, failures noted
properties   numbers that describe a photograph; samples: photographs for a first look
render       maps and perturbations drawn (colors, sheets); blur
"""

from backlight.images.budget import DECODING
from backlight.images.decode import PIXEL_LIMIT, decode_picture, open_picture, read_size
from backlight.images.picture import (
    Picture,
    read_image,
    round_to_8bit,
    to_floats,
    to_levels,
    to_picture,
    to_tensor,
    write_png,
)
from backlight.images.resize import CropBox, Resize
from backlight.images.search import Search, find_pictures, search_folder

__all__ = [
    "DECODING",
    "PIXEL_LIMIT",
    "CropBox",
    "Picture",
    "Resize",
    "Search",
    "decode_picture",
    "find_pictures",
    "open_picture",
    "read_image",
    "read_size",
    "round_to_8bit",
    "search_folder",
    "to_floats",
    "to_levels",
    "to_picture",
    "to_tensor",
    "write_png",
]
