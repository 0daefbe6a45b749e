"""Whatever happens to the bytes of a file, reading works or raises InputError."""

import io
import struct
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from impasto import images
from impasto.errors import InputError
from impasto.images import png
from impasto.images.srgb import srgb_profile

from .samples import file_bytes, levels, pattern

LIMITS = images.Limits(max_pixels=1_000_000, max_bytes=1_000_000)


def corpus():
    rgb = Image.fromarray(levels(pattern(20, 24)))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9286] = b'ASCII\0\0\0{"a": 1}'
    options = {"exif": exif, "icc_profile": srgb_profile()}
    for kind in ("PNG", "JPEG", "WEBP", "AVIF"):
        yield file_bytes(rgb, kind, **options)
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield file_bytes(rgb, "TIFF", compression=compression, **options)
    yield file_bytes(rgb, "GIF", save_all=True, append_images=[rgb.rotate(90), rgb.rotate(180)])
    yield file_bytes(rgb, "PNG", save_all=True, append_images=[rgb.rotate(90)])
    yield file_bytes(rgb, "BMP")
    yield file_bytes(rgb.quantize(16), "PNG", transparency=1)
    yield file_bytes(rgb.convert("CMYK"), "JPEG")
    yield file_bytes(Image.fromarray(levels(pattern(20, 24)[:, :, 0], 16)), "TIFF")
    yield png.write16(levels(pattern(20, 24), 16), profile=srgb_profile(), text=("impasto", "{}"))
    deep = io.BytesIO()
    from impasto.images import tiff

    deep.write(tiff.write(levels(pattern(20, 24, 4), 16), profile=srgb_profile()))
    yield deep.getvalue()


CORPUS = list(corpus())


def try_all(data):
    """Both readers, with the guarantee under test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            picture = images.load(data, LIMITS)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert picture.rgb.ndim == 3
            assert picture.rgb.dtype == np.float32
            assert np.isfinite(picture.rgb).all()
            assert 0 <= picture.rgb.min() <= picture.rgb.max() <= 1
            if picture.alpha is not None:
                assert picture.alpha.shape == picture.size
        try:
            found = images.read_metadata(data)
        except InputError:
            return
        assert found is None or isinstance(found, dict)


edits = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(CORPUS), edits)
def test_changed_bytes(data, changes):
    broken = bytearray(data)
    for place, value in changes:
        # Squared: most structure, and so most trouble, is near the beginning.
        broken[int(place**2 * len(broken))] = value
    try_all(bytes(broken))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(CORPUS),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([b"", b"\0" * 40, b"\xff" * 40, b"\x7f\xff\xff\xff" * 4]),
)
def test_removed_and_replaced_stretches(data, a, b, filling):
    first, last = sorted((int(a * len(data)), int(b * len(data))))
    try_all(data[:first] + filling + data[last:])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([data for data in CORPUS if data[:2] in (b"II", b"MM")]),
    st.integers(0, 30),
    st.integers(0, 3),
    st.sampled_from([0, 1, 2, 3, 8, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1]),
)
def test_wild_numbers_in_tiff_directories(data, entry, field, value):
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    place = at + 2 + 12 * entry + (0, 2, 4, 8)[field]
    width = "H" if field < 2 else "I"
    broken = bytearray(data)
    if place + 4 <= len(broken):
        struct.pack_into(
            f"{order}{width}", broken, place, value % (2 ** (16 if width == "H" else 32))
        )
    try_all(bytes(broken))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([data[:16] for data in CORPUS]), st.binary(max_size=200))
def test_a_good_beginning_and_anything_after(head, rest):
    try_all(head + rest)


@pytest.mark.parametrize("index", range(len(CORPUS)))
def test_the_corpus_itself_is_sound(index):
    assert images.load(CORPUS[index], LIMITS).size in ((20, 24), (24, 20))
