import io
import os
import random
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from backlight.core.errors import FileError
from backlight.images.decode import PIXEL_LIMIT, decode_picture, open_picture
from tests.pictures import RGB, chunk, png, png_16, tiff_16

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF", ".tif": "TIFF"}
COLORS = np.array([[[200, 40, 10], [10, 220, 90]], [[0, 0, 0], [255, 255, 255]]], dtype=np.uint8)


def blocks(colors: np.ndarray = COLORS, size: int = 16) -> np.ndarray:
    """Blocks as large as JPEG's, so that lossy formats keep the color in the middle of each."""
    return colors.repeat(size, 0).repeat(size, 1)


def middles(picture: Image.Image, size: int = 16) -> np.ndarray:
    return np.asarray(picture)[size // 2 :: size, size // 2 :: size].astype(int)


def encoded(picture: Image.Image, format: str, **options: object) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_rgb_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(blocks()).save(path, FORMATS[suffix])
    picture = open_picture(path)
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    assert np.abs(middles(picture) - COLORS).max() <= (12 if suffix in (".jpg", ".webp") else 0)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_becomes_three_equal_channels(tmp_path: Path, suffix: str, mode: str) -> None:
    path = tmp_path / f"grey{suffix}"
    source = Image.fromarray(blocks(np.array([[0, 255]], dtype=np.uint8))).convert(mode)
    if suffix in (".jpg", ".webp"):
        source = source.convert("L")  # neither format knows 1-bit pictures
    source.save(path, FORMATS[suffix])
    assert middles(open_picture(path)).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_alpha_lies_over_white(format: str) -> None:  # noqa: A002
    pixels = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [0, 0, 0, 51]]], dtype=np.uint8)
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    picture = decode_picture(encoded(Image.fromarray(pixels), format, **options), "alpha")
    assert np.asarray(picture).tolist() == [[[200, 0, 0], [255, 255, 255], [204, 204, 204]]]


def test_grey_with_alpha_lies_over_white() -> None:
    source = Image.merge("LA", [Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 102)])
    # 255 - (255 - 100) * 102 / 255
    assert decode_picture(encoded(source, "PNG"), "la").getpixel((0, 0)) == (193, 193, 193)


@pytest.mark.parametrize("format", ["PNG", "GIF", "TIFF", "BMP"])
def test_palette_colors_are_looked_up(format: str) -> None:  # noqa: A002
    source = Image.new("P", (2, 1))
    source.putpalette([10, 20, 30, 40, 50, 60])
    source.putdata([1, 0])
    picture = decode_picture(encoded(source, format), "palette")
    assert np.asarray(picture).tolist() == [[[40, 50, 60], [10, 20, 30]]]


@pytest.mark.parametrize(
    ("format", "transparency", "expected"),
    [
        ("PNG", 0, [[255, 255, 255], [40, 50, 60]]),
        ("GIF", 0, [[255, 255, 255], [40, 50, 60]]),
        ("PNG", bytes([255, 0]), [[10, 20, 30], [255, 255, 255]]),
        ("PNG", bytes([51, 255]), [[206, 208, 210], [40, 50, 60]]),
    ],
)
def test_palette_transparency_lies_over_white(format: str, transparency: object, expected: list) -> None:  # noqa: A002
    source = Image.new("P", (2, 1))
    source.putpalette([10, 20, 30, 40, 50, 60])
    source.putdata([0, 1])
    data = encoded(source, format, transparency=transparency)
    assert np.asarray(decode_picture(data, "palette")).tolist() == [expected]


def test_a_transparent_color_lies_over_white() -> None:
    source = Image.fromarray(np.array([[[1, 2, 3], [1, 2, 4]]], dtype=np.uint8))
    picture = decode_picture(encoded(source, "PNG", transparency=(1, 2, 3)), "key")
    assert np.asarray(picture).tolist() == [[[255, 255, 255], [1, 2, 4]]]


def test_gif_shows_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:], duration=40)
    assert open_picture(tmp_path / "moving.gif").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(format: str) -> None:  # noqa: A002
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255]]], dtype=np.uint8)
    data = encoded(Image.fromarray(blocks(inks), mode="CMYK"), format)
    expected = np.array([[[255, 255, 255], [0, 255, 255], [255, 0, 0], [0, 0, 0]]])
    assert np.abs(middles(decode_picture(data, "cmyk")) - expected).max() <= 3


LEVELS = np.array([[0, 1, 128, 129, 257, 32768, 65407, 65535]], dtype=np.uint16)
NEAREST = np.round(LEVELS / 65535 * 255).astype(int)[0].tolist()


@pytest.mark.parametrize(
    "data", [png_16(LEVELS), tiff_16(LEVELS), tiff_16(LEVELS, big_endian=True)], ids=["png", "tiff-ii", "tiff-mm"]
)
def test_16_bit_grey_is_scaled_to_the_nearest_level(data: bytes) -> None:
    pixels = np.asarray(decode_picture(data, "grey16"))
    assert pixels[0, :, 0].tolist() == NEAREST
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("make", [png_16, tiff_16])
def test_16_bit_color_is_scaled_within_one_level(make: object) -> None:
    values = np.stack([LEVELS, LEVELS[:, ::-1], LEVELS // 2], axis=2)
    pixels = np.asarray(decode_picture(make(values), "rgb16")).astype(int)  # type: ignore[operator]
    assert np.abs(pixels - values / 65535 * 255).max() < 1
    assert pixels[0, 0, 0] == 0
    assert pixels[0, -1, 0] == 255


def test_16_bit_alpha_and_transparent_grey_lie_over_white() -> None:
    values = np.array([[[0, 65535], [0, 0]]], dtype=np.uint16)
    assert np.asarray(decode_picture(png_16(values), "la16"))[0, :, 0].tolist() == [0, 255]
    keyed = png_16(np.array([[1000, 1001]], dtype=np.uint16), chunk(b"tRNS", (1000).to_bytes(2, "big")))
    assert np.asarray(decode_picture(keyed, "key16"))[0, :, 0].tolist() == [255, 4]


@pytest.mark.parametrize(
    "source",
    [
        Image.fromarray(np.array([[0.0, 1.0]], dtype=np.float32)),
        Image.fromarray(np.array([[0, 70000]], dtype=np.int32)),
    ],
)
def test_32_bit_pixels_are_refused_rather_than_guessed(source: Image.Image) -> None:
    with pytest.raises(FileError, match=r"32-bit pixels.*expected 8 or 16 bits"):
        decode_picture(encoded(source, "TIFF"), "float.tif")


STORED = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
UPRIGHT = {
    1: STORED,
    2: STORED[:, ::-1],
    3: STORED[::-1, ::-1],
    4: STORED[::-1],
    5: STORED.T,
    6: np.rot90(STORED, -1),
    7: STORED.T[::-1, ::-1],
    8: np.rot90(STORED, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_once(format: str, orientation: int) -> None:  # noqa: A002
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(Image.fromarray(blocks(STORED)).convert("RGB"), format, exif=exif, **options)
    picture = decode_picture(data, "turned")
    assert np.abs(middles(picture)[..., 0] - UPRIGHT[orientation]).max() <= (3 if format == "JPEG" else 0)


ENTRY = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01"  # one entry, the orientation


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0",
        ENTRY + b"\x02\0\x02\0\0\0ab\0\0",
        ENTRY + b"\x05\0\x01\0\0\0\x1a" + bytes(16),
    ],
    ids=["header", "cut", "text", "zero-by-zero"],
)
def test_broken_exif_does_not_cost_the_photograph(format: str, exif: bytes) -> None:  # noqa: A002
    data = encoded(Image.new("RGB", (8, 8), "red"), format, exif=exif)
    filters = list(warnings.filters)
    assert decode_picture(data, "exif").size == (8, 8)
    assert warnings.filters == filters


def test_one_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "one.png")
    assert open_picture(tmp_path / "one.png").getpixel((0, 0)) == (1, 2, 3)


def test_the_pixel_limit_is_checked_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(10_000, 9_000, 8, RGB, b""))  # pixels missing: decoding would say "truncated"
    with pytest.raises(FileError, match=r"large.png: has 10000 x 9000 pixels; expected at most 1,000 pixels"):
        open_picture(path, pixel_limit=1000)
    path.write_bytes(png(4, 4, 8, RGB, bytes(48)))
    assert open_picture(path, pixel_limit=16).size == (4, 4)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(2_000_000, 2_000_000, 8, RGB, b""))
    with pytest.raises(FileError, match=f"bomb.png: has far too many pixels; expected at most {PIXEL_LIMIT:,}"):
        open_picture(path)


def broken(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    good = encoded(Image.effect_noise((64, 64), 80), "JPEG")
    files = {
        "truncated.jpg": (good[: len(good) // 2], "is broken and cannot be decoded"),
        "text.jpg": (b"my holiday", "is not a picture; expected PNG, JPEG"),
        "empty.png": (b"", "is not a picture"),
        "page.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a picture"),
        "print.ps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture"),
    }
    for name, (data, _) in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    cases = {name: (tmp_path / name, reason) for name, (_, reason) in files.items()}
    cases["folder.png"] = (tmp_path / "folder.png", "is a folder")
    cases["missing.png"] = (tmp_path / "missing.png", "does not exist")
    cases["pipe.png"] = (tmp_path / "pipe.png", "is not a regular file")
    return cases


def test_what_is_no_picture_gets_one_line_with_its_path(tmp_path: Path) -> None:
    for path, reason in broken(tmp_path).values():
        with pytest.raises(FileError) as caught:
            open_picture(path)
        assert str(caught.value).startswith(f"{path}: {reason}")
        assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(b"")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(FileError, match=r"locked.png: cannot be read: Permission denied"):
        open_picture(path)


SAMPLES = [encoded(Image.effect_noise((24, 24), 60).convert("RGB"), name) for name in FORMATS.values()]
SAMPLES += [encoded(Image.effect_noise((24, 24), 60).convert("P"), name) for name in ("PNG", "GIF", "TIFF")]


@settings(deadline=None)
@given(st.sampled_from(SAMPLES), st.integers(0, 2**32), st.integers(1, 12), st.floats(0.2, 1.0))
def test_damaged_files_give_a_picture_or_a_file_error(data: bytes, seed: int, hits: int, kept: float) -> None:
    source = random.Random(seed)
    damaged = bytearray(data[: max(1, int(len(data) * kept))])
    for _ in range(hits):
        damaged[source.randrange(min(len(damaged), 400))] = source.randrange(256)
    try:
        mode = decode_picture(bytes(damaged), "damaged", pixel_limit=10**6).mode
    except FileError as error:
        mode = "" if "\n" in str(error) else "RGB"
    assert mode == "RGB"


def test_threads_leave_the_warning_filters_alone() -> None:
    filters = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda data: decode_picture(data, "thread"), SAMPLES * 4))
    assert len(pictures) == 4 * len(SAMPLES)
    assert warnings.filters == filters
