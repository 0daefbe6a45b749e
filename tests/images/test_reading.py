import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from impasto import images
from impasto.errors import InputError

from .samples import MODES, file_bytes, jpeg, levels, pattern, png_file, tiff_file

SRC = Path(__file__).resolve().parents[2] / "src"
RGB8 = levels(pattern())


def run(code, *args, **options):
    env = {**os.environ, "PYTHONPATH": str(SRC)}
    return subprocess.run(
        [sys.executable, "-c", code, *args], env=env, capture_output=True, **options
    )


def test_a_lossless_file_is_read_exactly(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RGB8).save(path)
    picture = images.load(path)
    np.testing.assert_array_equal(picture.rgb, RGB8.astype("f4") / np.float32(255))
    assert picture.rgb.dtype == np.float32
    assert picture.alpha is None
    assert (picture.size, picture.height, picture.width) == ((37, 53), 37, 53)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert picture.source == images.Source(str(path), digest, "PNG", "RGB", ())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_every_format_is_read(kind):
    options = {"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}
    data = file_bytes(Image.fromarray(levels(pattern() * 0 + 0.5)), kind, **options)
    picture = images.load(data)
    assert picture.source.format == kind
    np.testing.assert_allclose(picture.rgb, 0.5, atol=4 / 255)


def as_mode(mode):
    """An image of ``mode`` and the sRGB that it should be read as."""
    grey = pattern()[:, :, 0]
    if mode.startswith("I;16"):
        order = ">" if mode.endswith("B") else "<"
        image = Image.frombytes(mode, (53, 37), levels(grey, 16).astype(f"{order}u2").tobytes())
        return image, np.repeat(levels(grey, 16)[:, :, None] / 65535, 3, 2)
    if mode == "I":
        return Image.fromarray(levels(grey, 16).astype("i4")), np.repeat(grey[:, :, None], 3, 2)
    if mode == "F":
        return Image.fromarray(grey), np.repeat(grey[:, :, None], 3, 2)
    if mode == "1":
        image = Image.fromarray(grey > 0.5)
        return image, np.repeat((grey > 0.5)[:, :, None], 3, 2).astype("f8")
    rgb = Image.fromarray(RGB8)
    if mode == "LAB":
        from skimage.color import rgb2lab

        lab = rgb2lab(RGB8, illuminant="D50")
        raw = np.stack([lab[..., 0] * 2.55, lab[..., 1] + 128, lab[..., 2] + 128], 2)
        stored = np.round(raw).astype("u1")
        stored[..., 1:] ^= 0x80  # a and b are signed bytes
        return Image.frombytes("LAB", (53, 37), stored.tobytes()), None
    if mode == "PA":
        image = rgb.quantize(64).convert("PA")
    elif mode == "P":
        image = rgb.quantize(64)
    else:
        image = rgb.convert(mode)
    return image, np.asarray(image.convert("RGB")) / 255


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_read(mode):
    image, expected = as_mode(mode)
    picture = images.load(image)
    assert picture.source.mode == mode
    assert picture.rgb.shape == (37, 53, 3)
    if expected is not None:
        np.testing.assert_allclose(picture.rgb, expected, atol=2e-5 if mode == "I" else 1e-6)


def test_sixteen_bit_grey_is_not_clipped_to_white(tmp_path):
    ramp = np.linspace(0, 65535, 256 * 4).astype("u2").reshape(4, 256)
    for kind in ("PNG", "TIFF"):
        picture = images.load(file_bytes(Image.fromarray(ramp), kind))
        np.testing.assert_allclose(picture.rgb[:, :, 1], ramp / 65535, atol=1e-6)


def test_transparent_palette_entries_become_alpha():
    image = Image.fromarray(np.array([[0, 1], [2, 1]], "u1"), "L").convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture = images.load(file_bytes(image, "PNG", transparency=1))
    np.testing.assert_array_equal(picture.alpha, [[1, 0], [1, 0]])
    np.testing.assert_array_equal(picture.rgb[:, 0], [[1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_alpha_is_kept_aside_and_not_multiplied(mode):
    image = Image.fromarray(levels(pattern(channels=4)), "RGBA")
    if mode == "LA":
        image = image.convert("LA")
    if mode == "PA":
        index = np.stack([np.zeros((37, 53), "u1"), levels(pattern(channels=4))[:, :, 3]], 2)
        image = Image.frombytes("PA", (53, 37), index.tobytes())
        image.putpalette([10, 20, 30])
    picture = images.load(image)
    np.testing.assert_allclose(picture.alpha, np.asarray(image)[:, :, -1] / 255, atol=1e-6)
    np.testing.assert_allclose(
        picture.rgb, np.asarray(image.convert("RGBA"))[..., :3] / 255, atol=1e-6
    )


def test_opaque_alpha_is_dropped():
    assert images.load(Image.fromarray(RGB8).convert("RGBA")).alpha is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_all_orientations_are_applied(kind, orientation):
    image = Image.fromarray(levels(pattern(48, 64)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(kind, {})
    if kind == "AVIF":
        lossless = {"quality": 100, "subsampling": "4:4:4"}
    picture = images.load(file_bytes(image, kind, exif=exif, **lossless))
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image)) / 255
    error = np.abs(picture.rgb - expected)
    assert error.mean() < (0.02 if kind in ("JPEG", "AVIF") else 1e-6)
    noted = f"turned by EXIF orientation {orientation}" in picture.source.notes
    assert noted == (orientation != 1)


def test_a_compressed_turned_tiff_is_turned_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(RGB8)
    picture = images.load(file_bytes(image, "TIFF", exif=exif, compression="tiff_lzw"))
    np.testing.assert_allclose(picture.rgb, np.rot90(RGB8, -1) / 255, atol=1e-6)
    assert picture.source.notes == ("turned by EXIF orientation 6",)


def test_alpha_turns_with_the_colours():
    exif = Image.Exif()
    exif[0x0112] = 8
    values = levels(pattern(channels=4))
    picture = images.load(file_bytes(Image.fromarray(values), "PNG", exif=exif))
    np.testing.assert_allclose(picture.alpha, np.rot90(values[:, :, 3]) / 255, atol=1e-6)


def test_a_broken_exif_block_does_not_spoil_the_pixels():
    data = jpeg(exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\x12\x01" * 20)
    assert images.load(data).size == (37, 53)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_first_frame_is_read(kind):
    frames = [Image.new("RGB", (16, 16), c) for c in ("red", "lime", "blue")]
    data = file_bytes(frames[0], kind, save_all=True, append_images=frames[1:])
    picture = images.load(data)
    assert "animated: first of 3 frames" in picture.source.notes
    np.testing.assert_allclose(picture.rgb[8, 8], [1, 0, 0], atol=0.05)


def test_of_several_pages_the_first_is_read():
    pages = [Image.new("RGB", (16, 16), c) for c in ("red", "lime")]
    picture = images.load(file_bytes(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert picture.source.notes == ("first of 2 pages",)
    np.testing.assert_allclose(picture.rgb[8, 8], [1, 0, 0])


def test_a_tiff_whose_pages_form_a_loop_ends():
    data = bytearray(file_bytes(Image.new("L", (4, 4)), "TIFF"))
    at = int.from_bytes(data[4:8], "little")
    end = at + 2 + 12 * int.from_bytes(data[at : at + 2], "little")
    data[end : end + 4] = at.to_bytes(4, "little")
    assert images.load(bytes(data)).source.notes == ("first of many pages",)


def test_white_is_zero_in_sixteen_bits_is_inverted():
    ramp = np.arange(0, 60000, 1000, dtype="u2").reshape(6, 10)
    fields = {256: [10], 257: [6], 258: [16], 259: [1], 262: [0], 277: [1], 278: [6]}
    picture = images.load(tiff_file([ramp.astype("<u2").tobytes()], fields))
    np.testing.assert_allclose(picture.rgb[:, :, 0], 1 - ramp / 65535, atol=1e-6)


def test_floats_outside_the_unit_range_are_stretched_with_a_note():
    picture = images.load(Image.fromarray(np.array([[-10.0, 0.0], [10.0, 30.0]], "f4")))
    np.testing.assert_allclose(picture.rgb[:, :, 0], [[0, 0.25], [0.5, 1]], atol=1e-6)
    assert picture.source.notes == ("values from -10 to 30 stretched to 0..1",)


def test_floats_that_are_not_finite_are_noted():
    picture = images.load(Image.fromarray(np.array([[np.nan, 0.5], [np.inf, 1.0]], "f4")))
    np.testing.assert_allclose(picture.rgb[:, :, 0], [[0, 0.5], [0, 1]])
    assert picture.source.notes == ("values that are not finite set to 0",)


@pytest.mark.parametrize(
    "array",
    [
        levels(pattern()),
        levels(pattern(), 16),
        pattern(),
        pattern().astype("f8"),
        pattern()[:, :, 0],
        pattern(channels=4),
        pattern(channels=2),
        pattern()[:, :, :1] > 0.5,
    ],
)
def test_arrays_are_pictures(array):
    before = array.copy()
    picture = images.load(array)
    assert picture.rgb.shape == (37, 53, 3)
    top = {"u1": 255, "u2": 65535}.get(array.dtype.str[1:], 1)
    first = array if array.ndim == 2 else array[:, :, 0]
    np.testing.assert_allclose(picture.rgb[:, :, 0], first / top, atol=1e-6)
    assert (picture.alpha is not None) == (array.ndim == 3 and array.shape[2] in (2, 4))
    np.testing.assert_array_equal(array, before)
    assert not np.shares_memory(array, picture.rgb)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 4, 3)),
        np.zeros((4, 4, 5)),
        np.zeros(4),
        np.full((4, 4), 2.0),
        np.full((4, 4), np.nan),
        np.zeros((4, 4), "i8"),
        np.zeros((4, 4), complex),
        np.array([["a"]]),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array):
    with pytest.raises(InputError, match="array"):
        images.load(array)


def test_streams_and_bytes_and_standard_input(tmp_path):
    data = jpeg()
    expected = images.load(data).rgb

    class Dribble(io.RawIOBase):
        """A pipe that gives a few bytes per call."""

        def __init__(self):
            self.left = io.BytesIO(data)

        def read(self, count=-1):
            return self.left.read(7 if count >= 0 else -1)

    for source in (io.BytesIO(data), Dribble(), bytearray(data)):
        np.testing.assert_array_equal(images.load(source).rgb, expected)
    done = run(
        "import sys; from impasto import images; p = images.load('-');"
        "print(p.size, p.source.name, 'torch' in sys.modules)",
        input=data,
    )
    assert done.stdout.decode().strip() == "(37, 53) - False", done.stderr


def test_a_pipe_by_name_is_read(tmp_path):
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())",
            pipe,
        ],
        stdin=subprocess.PIPE,
    )
    writer.stdin.write(jpeg())
    writer.stdin.close()
    assert images.load(pipe).size == (37, 53)
    assert writer.wait() == 0


def test_reading_and_refusing_load_no_torch(tmp_path):
    code = (
        "import sys; from impasto import images; from impasto.errors import InputError\n"
        "try: images.load('nothing.png')\n"
        "except InputError as e: print(e, 'torch' in sys.modules)"
    )
    assert run(code).stdout.decode().strip() == "nothing.png does not exist False"


def test_lazy_names_resolve():
    assert images.fit_size(600, 800, 400) == (300, 400)
    assert callable(images.to_tensor)
    assert set(images.__all__) <= set(dir(images)) | {"to_tensor", "from_tensor"} | set(
        images._LAZY
    )
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = images.nonsense


# What is refused, and how it is said


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "<bytes> is empty"),
        (b"hello, world", "<bytes> is not a picture"),
        (b"%PDF-1.7 ...", "<bytes> is a PDF"),
        (b"  <svg xmlns=''>", "<bytes> is an SVG drawing"),
        (b"<!DOCTYPE html><html>", "<bytes> is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "<bytes> is a video"),
        (b"8BPS\0\x01", "a Photoshop document"),
    ],
)
def test_what_is_no_picture_is_named(data, message):
    with pytest.raises(InputError, match=message) as caught:
        images.load(data)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        images.load(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        images.load(tmp_path / "none.png")
    with pytest.raises(InputError, match="cannot be read"):
        images.load(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="cannot be read"):
        images.load("a\0b.png")
    with pytest.raises(InputError, match="is a device"):
        images.load("/dev/zero")
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="cannot be read"):
        images.load(loop)


def test_a_file_without_permission(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(jpeg())
    path.chmod(0)
    tmp_path.chmod(0o755)
    # As root everything can be read, so root becomes someone else after importing.
    code = (
        "import os, sys; from impasto import images; from impasto.errors import InputError\n"
        "os.geteuid() or os.seteuid(65534)\n"
        "try: images.load(sys.argv[1])\n"
        "except InputError as e: print(e)"
    )
    for parent in list(path.parents)[1:4]:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    assert "may not be read" in run(code, str(path)).stdout.decode()


def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "a\x1b[31m\n.png"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError) as caught:
        images.load(path)
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_files_are_refused(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "u1")
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    data = file_bytes(Image.fromarray(noise), kind, **options)
    with pytest.raises(InputError, match=r"damaged|truncated"):
        images.load(data[: int(len(data) * share)])


def test_too_many_pixels_names_the_limit_and_the_option():
    data = file_bytes(Image.new("L", (200, 100)), "PNG")
    with pytest.raises(InputError, match=r"20000 pixels \(200 x 100\).*19999.*--max-pixels"):
        images.load(data, images.Limits(max_pixels=19_999))
    assert images.load(data, images.Limits(max_pixels=20_000)).size == (100, 200)
    with pytest.raises(InputError, match="an edge may have 199"):
        images.load(data, images.Limits(max_edge=199))
    with pytest.raises(InputError, match="20000 pixels"):
        images.load(Image.new("L", (200, 100)), images.Limits(max_pixels=19_999))


def test_too_many_bytes(tmp_path):
    data = jpeg()
    limits = images.Limits(max_bytes=len(data) - 1)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    for source in (data, path, io.BytesIO(data)):
        with pytest.raises(InputError, match="bytes are read"):
            images.load(source, limits)
    assert images.load(io.BytesIO(data), images.Limits(max_bytes=len(data))).size == (37, 53)


def test_a_bomb_is_refused_from_its_header():
    # 30000 x 30000 pixels of one bit; the data are never inflated, so they need not exist.
    bomb = png_file(30_000, 30_000, 1, 0, b"")
    with pytest.raises(InputError, match="30000 x 30000"):
        images.load(bomb)
    deep = png_file(16_000, 16_000, 16, 6, b"")
    with pytest.raises(InputError, match="256000000 pixels"):
        images.load(deep)


def test_the_limit_can_be_raised_above_that_of_pillow():
    """Pillow warns above 89 million pixels; warnings are errors here."""
    limit = Image.MAX_IMAGE_PIXELS
    data = png_file(9_500, 9_500, 1, 0, b"")
    with pytest.raises(InputError, match="damaged"):  # not "too large": it went on to decode
        images.load(data, images.Limits(max_pixels=100_000_000))
    assert limit == Image.MAX_IMAGE_PIXELS


def test_libtiff_does_not_write_to_the_terminal(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "u1")
    data = file_bytes(Image.fromarray(noise), "TIFF", compression="tiff_lzw")
    path = tmp_path / "a.tif"
    path.write_bytes(data[:8] + b"\xaa" * 200 + data[208:])
    code = (
        "import sys; from impasto import images; from impasto.errors import InputError\n"
        "try: images.load(sys.argv[1])\n"
        "except InputError as e: print('refused')\n"
        "print('still here', file=sys.stderr)"
    )
    done = run(code, str(path))
    assert done.stdout.decode().strip() == "refused"
    assert done.stderr.decode().strip() == "still here"


def test_pictures_are_read_only():
    picture = images.load(RGB8)
    with pytest.raises(ValueError, match="read-only"):
        picture.rgb[0, 0] = 0


def test_many_threads_read_at_once():
    from concurrent.futures import ThreadPoolExecutor

    exif = Image.Exif()
    exif[0x0112] = 3
    files = [jpeg(), file_bytes(Image.fromarray(RGB8), "TIFF", exif=exif, compression="tiff_lzw")]
    with ThreadPoolExecutor(8) as pool:
        sizes = {p.size for p in pool.map(images.load, files * 20)}
    assert sizes == {(37, 53)}


def test_the_build_of_pillow_has_what_the_formats_need():
    assert all(features.check(name) for name in ("webp", "avif", "libtiff", "littlecms2"))
