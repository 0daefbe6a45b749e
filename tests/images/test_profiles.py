"""Colour profiles, against lcms and against the definitions."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from impasto import images
from impasto.images import icc
from impasto.images.srgb import _assemble, _fixed, srgb_profile

from .samples import file_bytes, levels, pattern

# Adapted to D50, as in the published profiles.
P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB_CURVE = struct.pack(">4sIHH", b"para", 0, 3, 0) + _fixed(
    (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
)


def gamma(value):
    return struct.pack(">4sIIH", b"curv", 0, 1, round(value * 256))


def para(kind, *numbers):
    return struct.pack(">4sIHH", b"para", 0, kind, 0) + _fixed(numbers)


def table(function, n=1024):
    values = np.round(function(np.linspace(0, 1, n)) * 65535).astype(">u2")
    return struct.pack(">4sII", b"curv", 0, n) + values.tobytes()


def profile(columns, curve):
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _fixed((0.9642, 1.0, 0.8249))}
    for name, xyz in zip((b"r", b"g", b"b"), columns, strict=True):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + _fixed(xyz)
        tags[name + b"TRC"] = curve
    return _assemble(tags)


def grey_profile(curve):
    data = bytearray(
        _assemble({b"wtpt": b"XYZ \0\0\0\0" + _fixed((0.9642, 1.0, 0.8249)), b"kTRC": curve})
    )
    data[16:20] = b"GRAY"
    return bytes(data)


def by_lcms(rgb8, data, mode="RGB"):
    source = ImageCms.ImageCmsProfile(io.BytesIO(data))
    image = Image.fromarray(rgb8)
    target = ImageCms.createProfile("sRGB")
    # Perceptual intent would move the black point.
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    out = ImageCms.profileToProfile(image, source, target, intent, outputMode="RGB")
    return np.asarray(out) / 255


RGB8 = levels(pattern())


@pytest.mark.parametrize("columns", [P3, ADOBE])
@pytest.mark.parametrize(
    "curve",
    [
        gamma(2.19921875),
        SRGB_CURVE,
        table(lambda v: v**1.8),
        para(0, 2.0),
        para(1, 2.0, 0.9, 0.1),
        para(2, 2.0, 0.8, 0.1, 0.05),
        para(4, 2.2, 0.9, 0.05, 0.2, 0.1, 0.02, 0.01),
    ],
    ids=["gamma", "srgb", "table", "para0", "para1", "para2", "para4"],
)
def test_matrix_profiles_agree_with_lcms(columns, curve):
    data = profile(columns, curve)
    picture = images.load(file_bytes(Image.fromarray(RGB8), "PNG", icc_profile=data))
    # lcms rounds to 8 bits on the way; in the dark one level of linear light is several of sRGB.
    error = np.abs(picture.rgb - by_lcms(RGB8, data))
    assert error.max() < 3 / 255
    assert error.mean() < 0.4 / 255
    assert np.abs(picture.rgb - RGB8 / 255).max() > 5 / 255
    assert any(
        note.startswith("converted from the colour profile") for note in picture.source.notes
    )


def test_display_p3_red_of_sixteen_bits_has_its_known_value(tmp_path):
    """(0.9, 0.2, 0.2) of Display P3, by the definitions of both spaces."""
    from impasto.images import png

    values = np.full((4, 5, 3), (0.9, 0.3, 0.3))
    data = png.write16(levels(values, 16), profile=profile(P3, SRGB_CURVE), text=None)
    linear = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)[0, 0]
    p3_to_srgb = np.array(  # CSS Color 4, section 10
        [[1.2249401763, -0.2249401763, 0], [-0.0420569547, 1.0420569547, 0],
         [-0.0196375546, -0.0786360456, 1.0982736001]]
    )  # fmt: skip
    expected = p3_to_srgb @ linear
    expected = np.clip(1.055 * np.maximum(expected, 0) ** (1 / 2.4) - 0.055, 0, 1)
    picture = images.load(data)
    np.testing.assert_allclose(picture.rgb[0, 0], expected, atol=1e-3)
    assert picture.source.mode == "RGB;16"


def decoded(v):
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(
    "data",
    [
        srgb_profile(),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        profile(tuple(icc._SRGB.T), table(decoded)),
    ],
)
def test_srgb_by_any_name_changes_nothing(data):
    picture = images.load(file_bytes(Image.fromarray(RGB8), "PNG", icc_profile=data))
    np.testing.assert_array_equal(picture.rgb, RGB8.astype("f4") / np.float32(255))
    assert picture.source.notes == ()


def test_our_profile_is_one_for_lcms_and_does_not_change():
    ours = srgb_profile()
    assert int.from_bytes(ours[:4], "big") == len(ours)
    assert (
        ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(ours))).strip() == "sRGB"
    )
    assert np.abs(by_lcms(RGB8, ours) - RGB8 / 255).max() <= 1 / 255 + 1e-9
    assert ours[36:40] == b"acsp"
    assert struct.unpack(">6H", ours[24:36]) == (2020, 1, 1, 0, 0, 0)


def test_grey_profiles():
    grey = RGB8[:, :, 0]
    data = grey_profile(gamma(1.0))
    picture = images.load(file_bytes(Image.fromarray(grey), "PNG", icc_profile=data))
    linear = grey / 255
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(picture.rgb, np.repeat(expected[:, :, None], 3, 2), atol=2e-4)


def test_lab_profiles_by_tables_go_through_lcms():
    """A profile whose connection space is Lab cannot be three curves and a matrix."""
    data = bytearray(profile(P3, SRGB_CURVE))
    data[20:24] = b"Lab "
    assert icc.parse(bytes(data)) is None


def test_cmyk_without_and_with_a_useless_profile():
    image = Image.fromarray(RGB8).convert("CMYK")
    plain = images.load(file_bytes(image, "JPEG", quality=95))
    assert plain.source.notes == ("converted from CMYK",)
    other = images.load(file_bytes(image, "JPEG", quality=95, icc_profile=srgb_profile()))
    assert "broken colour profile ignored" in other.source.notes
    np.testing.assert_array_equal(plain.rgb, other.rgb)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d[:50],
        lambda d: d[:140],
        lambda d: d[:36] + b"nope" + d[40:],
        lambda d: d[:16] + b"CMYK" + d[20:],
        lambda d: d[:128] + b"\xff\xff\xff\xff" + d[132:],
        lambda d: d.replace(b"rTRC", b"xTRC"),
        lambda d: d.replace(b"para\0\0\0\0\0\x03", b"para\0\0\0\0\0\x09"),
        lambda d: d.replace(b"XYZ \0\0\0\0", b"ABC \0\0\0\0"),
        lambda d: b"junk",
        lambda d: d.replace(_fixed((2.4,)), _fixed((-30_000.0,))),
    ],
)
def test_broken_profiles_are_noted_and_left_out(spoil):
    data = spoil(profile(P3, SRGB_CURVE))
    picture = images.load(file_bytes(Image.fromarray(RGB8), "PNG", icc_profile=data))
    np.testing.assert_array_equal(picture.rgb, RGB8.astype("f4") / np.float32(255))
    assert picture.source.notes == ("broken colour profile ignored",)


def test_huge_profiles_are_left_out():
    limits = images.Limits(profile_bytes=100)
    data = file_bytes(Image.fromarray(RGB8), "PNG", icc_profile=profile(P3, SRGB_CURVE))
    assert "bytes ignored" in images.load(data, limits).source.notes[0]


def test_alpha_is_untouched_by_profiles():
    values = levels(pattern(channels=4))
    data = file_bytes(Image.fromarray(values), "PNG", icc_profile=profile(P3, SRGB_CURVE))
    np.testing.assert_allclose(images.load(data).alpha, values[:, :, 3] / 255, atol=1e-6)
