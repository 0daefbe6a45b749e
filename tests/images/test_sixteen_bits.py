"""Depth that Pillow loses: PNG and TIFF of 16 bits per channel of colour."""

import io
import itertools
import zlib

import numpy as np
import pytest
from PIL import Image

from impasto import images
from impasto.errors import InputError
from impasto.images import png16

from .samples import file_bytes, levels, pattern, png_chunk, png_file, tiff_file

tifffile = pytest.importorskip("tifffile")

ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
COLOUR_TYPE = {2: 4, 3: 2, 4: 6}


def filtered(samples, kinds):
    """PNG rows by the letter of the specification, byte by byte."""
    h, w, channels = samples.shape
    size = 2 * channels
    rows = samples.astype(">u2").view(np.uint8).reshape(h, w * size).astype(int)
    out = bytearray()
    above = [0] * (w * size)
    for y in range(h):
        row, kind = rows[y].tolist(), kinds[y % len(kinds)]
        out.append(kind)
        for i, value in enumerate(row):
            a = row[i - size] if i >= size else 0
            b, c = above[i], above[i - size] if i >= size else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            out.append((value - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
        above = row
    return bytes(out)


def png_of(samples, kinds=(0,), *, interlace=False, **options):
    h, w, channels = samples.shape
    if interlace:
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        raw = b"".join(filtered(part, kinds) for part in parts if part.size)
    else:
        raw = filtered(samples, kinds)
    kind = COLOUR_TYPE[channels]
    return png_file(w, h, 16, kind, zlib.compress(raw), interlace=int(interlace), **options)


def rows_of(picture, channels):
    planes = picture.rgb[:, :, :1] if channels == 2 else picture.rgb
    if channels in (2, 4):
        planes = np.dstack([planes, picture.alpha])
    return planes * 65535.0


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("kinds", [(0,), (1,), (2,), (3,), (4,), (4, 0, 3, 1, 2, 4)])
@pytest.mark.parametrize("interlace", [False, True])
def test_png_of_every_filter_and_colour_type(channels, kinds, interlace):
    samples = levels(pattern(19, 23, channels), 16)
    data = png_of(samples, kinds, interlace=interlace)
    picture = images.load(data)
    np.testing.assert_allclose(rows_of(picture, channels), samples, atol=0.01)
    assert picture.source.mode == {2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}[channels]
    # Pillow reads the same file, but only the upper bytes.
    seen = np.asarray(Image.open(io.BytesIO(data)))[:, :, : min(channels, 3)]
    np.testing.assert_array_equal(seen[:, :, 0], samples[:, :, 0] >> 8)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (5, 3), (600, 3), (3, 600)])
def test_png_of_odd_sizes(size):
    samples = levels(pattern(*size), 16)
    for interlace in (False, True):
        picture = images.load(png_of(samples, (4, 3, 1, 2, 0), interlace=interlace))
        np.testing.assert_allclose(rows_of(picture, 3), samples, atol=0.01)


def test_rows_across_a_block_border_see_the_row_above(monkeypatch):
    monkeypatch.setattr(png16, "_ROWS", 4)
    samples = levels(pattern(19, 23), 16)
    picture = images.load(png_of(samples, (4, 3, 2)))
    np.testing.assert_allclose(rows_of(picture, 3), samples, atol=0.01)


def test_the_transparent_colour_of_a_png_becomes_alpha():
    samples = levels(pattern(5, 6), 16)
    samples[1, 2] = samples[3, 4] = (1, 2, 3)
    key = (b"tRNS", np.array([1, 2, 3], ">u2").tobytes())
    picture = images.load(png_of(samples, before=[key]))
    expected = np.ones((5, 6))
    expected[1, 2] = expected[3, 4] = 0
    np.testing.assert_array_equal(picture.alpha, expected)


def test_a_turned_png_of_sixteen_bits():
    exif = Image.Exif()
    exif[0x0112] = 6
    samples = levels(pattern(5, 6), 16)
    picture = images.load(png_of(samples, after=[(b"eXIf", exif.tobytes()[6:])]))
    np.testing.assert_allclose(picture.rgb, np.rot90(samples, -1) / 65535, atol=1e-6)
    assert picture.source.notes == ("turned by EXIF orientation 6",)


def damaged():
    samples = levels(pattern(9, 8), 16)
    good = png_of(samples, (4,))
    at = good.index(b"IDAT")
    yield "truncated", good[: len(good) // 2]
    yield "broken IDAT", good[: at + 20] + bytes([good[at + 20] ^ 1]) + good[at + 21 :]
    yield "too few rows", png_file(8, 9, 16, 2, zlib.compress(filtered(samples[:5], (0,))))
    yield "filter 7", png_file(8, 9, 16, 2, zlib.compress(b"\x07" + filtered(samples, (0,))[1:]))
    yield "not zlib", png_file(8, 9, 16, 2, b"nonsense")
    yield "no data", good[: at - 4] + png_chunk(b"IEND", b"")
    yield "interlace 2", png_file(8, 9, 16, 2, zlib.compress(filtered(samples, (0,))), interlace=2)


@pytest.mark.parametrize(("name", "data"), list(damaged()))
def test_damaged_png_of_sixteen_bits(name, data):
    with pytest.raises(InputError, match="damaged"):
        images.load(data)


TIFFS = [
    case
    for case in itertools.product(
        (3, 4), (None, "zlib", "lzma"), (False, True), ("contig", "separate"),
        (None, (16, 32)), "<>",
    )
    if not (case[2] and case[1] is None)
]  # fmt: skip


@pytest.mark.parametrize(("channels", "compression", "predictor", "planar", "tile", "order"), TIFFS)
def test_tiff_of_every_layout(channels, compression, predictor, planar, tile, order):
    samples = levels(pattern(45, 67, channels), 16)
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        samples if planar == "contig" else samples.transpose(2, 0, 1).copy(),
        photometric="rgb",
        planarconfig=planar,
        compression=compression,
        predictor=2 if predictor else None,
        tile=tile,
        rowsperstrip=None if tile else 7,
        byteorder=order,
        extrasamples=["unassalpha"] if channels == 4 else None,
        metadata=None,
    )
    picture = images.load(stream.getvalue())
    np.testing.assert_allclose(rows_of(picture, channels), samples, atol=0.01)
    assert picture.source.notes == ()


def wide_strips(samples, compression):
    """Strips as libtiff packs them, taken out of a grey picture of Pillow's."""
    h, w, channels = samples.shape
    grey = Image.fromarray(samples.reshape(h, w * channels))
    data = file_bytes(grey, "TIFF", compression=compression)
    tags = Image.open(io.BytesIO(data)).tag_v2
    return (
        [data[a : a + n] for a, n in zip(tags[273], tags[279], strict=True)],
        tags[278],
        tags[259],
    )


@pytest.mark.parametrize("differenced", [False, True])
@pytest.mark.parametrize("compression", ["tiff_lzw", "zstd", "packbits"])
def test_tiff_of_other_compressions(compression, differenced):
    samples = levels(pattern(45, 67), 16)
    stored = samples.copy()
    if differenced and compression != "packbits":  # where the tag has no meaning
        stored[:, 1:] -= samples[:, :-1]
    strips, rows, code = wide_strips(stored, compression)
    fields = {256: [67], 257: [45], 258: [16] * 3, 259: [code], 262: [2], 277: [3], 278: [rows]}
    fields[317] = [2 if differenced else 1]
    picture = images.load(tiff_file(strips, fields))
    np.testing.assert_allclose(rows_of(picture, 3), samples, atol=0.01)


def test_big_tiff():
    samples = levels(pattern(), 16)
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, photometric="rgb", bigtiff=True, byteorder="<")
    np.testing.assert_allclose(rows_of(images.load(stream.getvalue()), 3), samples, atol=0.01)


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_the_fourth_sample_of_a_tiff(extra):
    """Unspecified samples are no alpha; premultiplied colours are divided by it."""
    samples = levels(pattern(channels=4), 16)
    samples[0, 0] = 0
    colours, alpha = samples[:, :, :3].astype("f8"), samples[:, :, 3:].astype("f8")
    stored = (
        np.dstack([np.round(colours * alpha / 65535), alpha]).astype("u2")
        if extra == 1
        else samples
    )
    fields = {256: [53], 257: [37], 258: [16] * 4, 259: [1], 262: [2], 277: [4], 278: [37]}
    picture = images.load(tiff_file([stored.astype("<u2").tobytes()], {**fields, 338: [extra]}))
    solid = alpha[:, :, 0] > 6000  # little is left of colours that are hardly covered
    np.testing.assert_allclose(picture.rgb[solid], colours[solid] / 65535, atol=1e-4)
    assert (picture.alpha is None) == (extra == 0)
    assert np.isfinite(picture.rgb).all()


def test_a_turned_tiff_of_sixteen_bits():
    samples = levels(pattern(), 16)
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, photometric="rgb", extratags=[(274, 3, 1, 8, True)])
    picture = images.load(stream.getvalue())
    np.testing.assert_allclose(picture.rgb, np.rot90(samples) / 65535, atol=1e-6)
    assert picture.source.notes == ("turned by EXIF orientation 8",)


def test_depth_that_is_lost_is_noted():
    cmyk = levels(pattern(channels=4), 16)
    fields = {256: [53], 257: [37], 258: [16] * 4, 259: [1], 262: [5], 277: [4], 278: [37]}
    picture = images.load(tiff_file([cmyk.astype("<u2").tobytes()], fields))
    assert "16 bits per channel read as 8" in picture.source.notes


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("with_alpha", [False, True])
@pytest.mark.parametrize("size", [(37, 53), (1, 1), (150, 4)])
def test_sixteen_bits_are_saved_and_read_back(tmp_path, name, with_alpha, size):
    values = pattern(*size, channels=4)
    values[0, 0] = (0, 1, 0.5, 0.25)
    images.save(
        values[:, :, :3], tmp_path / name, alpha=values[:, :, 3] if with_alpha else None, bits=16
    )
    back = images.load(tmp_path / name)
    expected = levels(values, 16) / 65535
    np.testing.assert_allclose(back.rgb, expected[:, :, :3], atol=1e-6)
    assert (back.alpha is not None) == with_alpha
    if with_alpha:
        np.testing.assert_allclose(back.alpha, expected[:, :, 3], atol=1e-6)
    with Image.open(tmp_path / name) as seen:  # as others see it
        np.testing.assert_array_equal(np.asarray(seen)[:, :, 0], levels(values, 16)[:, :, 0] >> 8)
    if name.endswith("tif"):
        seen = tifffile.imread(tmp_path / name).reshape(*size, -1)
        np.testing.assert_array_equal(seen[:, :, :3], levels(values, 16)[:, :, :3])
