"""Settings travel with the picture."""

import json
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from impasto import images
from impasto.errors import InputError, UsageError
from impasto.images import metadata as meta

from .samples import file_bytes, levels, names, pattern, png_chunk

RGB = pattern(16, 16)
SETTINGS = {
    "verb": "stylize",
    "sizes": [256, 512],
    "title": "Übermalt \N{ARTIST PALETTE}",
    "x": 0.1,
}
EMBEDDED = ["a.png", "a.jpg", "a.webp"]
BESIDE = ["a.avif", "a.tif"]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", EMBEDDED + BESIDE)
def test_settings_come_back(tmp_path, name, bits):
    if bits == 16 and name not in ("a.png", "a.tif"):
        bits = 8
    saved = images.save(RGB, tmp_path / name, metadata=SETTINGS, bits=bits)
    assert images.read_metadata(tmp_path / name) == SETTINGS
    assert (saved.sidecar is not None) == (name in BESIDE)
    expected = [name, f"{name}.json"] if name in BESIDE else [name]
    assert names(tmp_path) == expected


@pytest.mark.parametrize("name", EMBEDDED + BESIDE)
def test_a_picture_without_settings_has_none(tmp_path, name):
    images.save(RGB, tmp_path / name)
    assert images.read_metadata(tmp_path / name) is None
    assert names(tmp_path) == [name]


def test_other_programs_read_the_settings_too(tmp_path):
    images.save(RGB, tmp_path / "a.png", metadata=SETTINGS)
    with Image.open(tmp_path / "a.png") as seen:
        assert json.loads(seen.text["impasto"]) == SETTINGS
    images.save(RGB, tmp_path / "a.jpg", metadata=SETTINGS)
    with Image.open(tmp_path / "a.jpg") as seen:
        comment = seen.getexif().get_ifd(0x8769)[0x9286]
    assert json.loads(comment.removeprefix(b"ASCII\0\0\0")) == SETTINGS


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_settings_too_long_for_exif_go_beside(tmp_path, name):
    long = {"prompt": "x" * 62_000}
    saved = images.save(RGB, tmp_path / name, metadata=long)
    assert saved.sidecar == tmp_path / f"{name}.json"
    assert images.read_metadata(tmp_path / name) == long


def test_settings_beside_belong_to_one_picture_only(tmp_path):
    path = tmp_path / "a.tif"
    images.save(RGB, path, metadata=SETTINGS)
    images.save(1 - RGB, path, force=True)
    assert images.read_metadata(path) is None
    with pytest.raises(UsageError, match=r"a\.tif\.json exists already"):
        path.unlink()
        images.save(RGB, path, metadata=SETTINGS)
    assert not path.exists()


def test_text_over_the_limit_is_refused_not_parsed(tmp_path):
    long = {"x": "y" * 100_000}
    path = tmp_path / "a.png"
    images.save(RGB, path, metadata=long)
    with pytest.raises(InputError, match="longer than 65536 bytes"):
        images.read_metadata(path)
    assert images.read_metadata(path, limit=1024 * 1024) == long
    with pytest.raises(ValueError, match="limit"):
        images.read_metadata(path, limit=1024 * 1024 + 1)


def with_chunk(kind, body):
    data = file_bytes(Image.fromarray(levels(RGB)), "PNG")
    return data[:33] + png_chunk(kind, body) + data[33:]


def test_compressed_text_is_read_but_a_bomb_is_not_inflated():
    def body(text):
        return b"impasto\0\1\0\0\0" + zlib.compress(text, 9)

    assert images.read_metadata(with_chunk(b"iTXt", body(b'{"a": 1}'))) == {"a": 1}
    bomb = with_chunk(b"iTXt", body(b'{"a": "' + b" " * 50_000_000 + b'"}'))
    tracemalloc.start()
    with pytest.raises(InputError, match="longer than"):
        images.read_metadata(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize(
    "body",
    [
        b"impasto\0\0\0\0\0{",
        b"impasto\0\0\0\0\0[1, 2]",
        b'impasto\0\0\0\0\0"text"',
        b'impasto\0\0\0\0\0{"a": NaN}',
        b'impasto\0\0\0\0\0{"a": ' + b"9" * 5000 + b"}",
        b"impasto\0\0\0\0\0" + b'{"a":' * 9 + b"1" + b"}" * 9,
        b"impasto\0\0\0\0\0" + b"[" * 30_000,
        b"impasto\0\0\0\0\0\xff\xfe{}",
        b"impasto\0\1\0\0\0not zlib",
        b"impasto\0",
        b"impasto\0\0\0",
        b"other\0\0\0\0\0{}",
    ],
)
def test_malformed_settings_are_none(body):
    assert images.read_metadata(with_chunk(b"iTXt", body)) is None


def test_depth_of_eight_is_allowed():
    text = b'{"a":' * 8 + b"1" + b"}" * 8
    assert images.read_metadata(with_chunk(b"iTXt", b"impasto\0\0\0\0\0" + text)) is not None


def test_a_foreign_comment_in_exif_is_none():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0my holiday"
    data = file_bytes(Image.fromarray(levels(RGB)), "JPEG", exif=exif)
    assert images.read_metadata(data) is None
    broken = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 60_000)
    assert (
        images.read_metadata(file_bytes(Image.fromarray(levels(RGB)), "JPEG", exif=broken)) is None
    )


def test_files_that_are_no_pictures(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        images.read_metadata(tmp_path / "none.png")
    (tmp_path / "a.png").write_bytes(b"hello")
    with pytest.raises(InputError, match="not a picture"):
        images.read_metadata(tmp_path / "a.png")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"impasto": {}}', b"\xff"])
def test_a_foreign_file_beside_is_none(tmp_path, text):
    images.save(RGB, tmp_path / "a.tif")
    (tmp_path / "a.tif.json").write_bytes(text)
    assert images.read_metadata(tmp_path / "a.tif") is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_any_json_object_survives_its_text(value):
    back = meta.from_text(meta.to_text(value))
    assert back == value or meta._depth(value) > meta.MAX_DEPTH


@given(st.binary(max_size=60))
def test_no_text_breaks_the_reader(text):
    value = meta.from_text(text)
    assert value is None or isinstance(value, dict)


def test_metadata_is_not_changed(tmp_path):
    value = {"a": [1, {"b": 2}]}
    images.save(RGB, tmp_path / "a.tif", metadata=value)
    assert value == {"a": [1, {"b": 2}]}
    assert np.isfinite(RGB).all()
