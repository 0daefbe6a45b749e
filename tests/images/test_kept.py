"""What of a photo's file goes with a result, and what never does."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from impasto import images, jobs
from impasto.errors import UsageError
from impasto.images import Kept
from impasto.images.kept import LONGEST
from impasto.specs import FilterSpec, InspectSpec, OutputSpec

from .test_profiles import ADOBE, gamma
from .test_profiles import profile as profile_of

#: Of a wider space than sRGB.
WIDE = profile_of(ADOBE, gamma(563 / 256))
COLOURS = np.stack(np.meshgrid(*[np.linspace(0.1, 0.9, 6)] * 3), -1).reshape(12, 18, 3)


def photo(path, *, profile=b"", artist="Ana", notice="(c) Ana 2026", kind="JPEG"):
    """A file that says who, where and when, with values that stand for ``COLOURS``."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = artist, notice
    exif[ExifTags.Base.DateTime], exif[ExifTags.Base.Model] = "2026:01:02 03:04:05", "Camera 7"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (47.0, 22.0, 1.0)
    levels = Image.fromarray((COLOURS * 255 + 0.5).astype(np.uint8)).resize((90, 60), 0)
    levels.save(path, kind, exif=exif, icc_profile=profile or None, quality=100, subsampling=0)
    return path


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_notices_are_kept_and_nothing_else(tmp_path, ending):
    loaded = images.load(photo(tmp_path / "in.jpg"))
    target = tmp_path / f"out{ending}"
    images.save(loaded, target, keep=loaded.source.kept)
    with Image.open(target) as image:
        exif = image.getexif()
    assert exif[ExifTags.Base.Artist] == "Ana" and exif[ExifTags.Base.Copyright] == "(c) Ana 2026"
    assert ExifTags.IFD.GPSInfo not in exif and not exif.get_ifd(ExifTags.IFD.GPSInfo)
    data = target.read_bytes()
    assert b"Camera 7" not in data and b"2026:01:02" not in data
    images.save(loaded, target, force=True)
    assert b"Ana" not in target.read_bytes()


def test_settings_and_notices_share_a_jpeg(tmp_path):
    loaded = images.load(photo(tmp_path / "in.jpg"))
    images.save(loaded, tmp_path / "out.jpg", metadata={"a": 1}, keep=loaded.source.kept)
    assert images.read_metadata(tmp_path / "out.jpg") == {"a": 1}
    assert b"(c) Ana 2026" in (tmp_path / "out.jpg").read_bytes()


def test_the_profile_comes_back_with_the_same_colours(tmp_path):
    loaded = images.load(photo(tmp_path / "in.jpg", profile=WIDE))
    images.save(loaded, tmp_path / "out.png", keep=loaded.source.kept)
    with Image.open(tmp_path / "out.png") as image:
        assert image.info["icc_profile"] == WIDE
        stored = np.asarray(image).astype(float) / 255
    assert np.abs(stored - loaded.rgb).max() > 0.02  # other numbers for the same colours
    again = images.load(tmp_path / "out.png")
    # Next to black a level of a plain power is several of sRGB.
    assert np.quantile(np.abs(again.rgb - loaded.rgb), 0.999) < 4 / 255
    assert np.abs(again.rgb - loaded.rgb).max() < 12 / 255


@pytest.mark.parametrize("profile", [b"no profile at all" * 20, b"\0" * 200])
def test_a_damaged_profile_is_left_out(tmp_path, profile):
    found = images.load(photo(tmp_path / "in.jpg", profile=profile)).source.kept
    assert found == Kept("Ana", "(c) Ana 2026", b"")


def test_notices_are_one_printable_line(tmp_path):
    name = "A\x07na\n" + "x" * 2000
    found = images.load(photo(tmp_path / "in.jpg", artist=name)).source.kept
    assert found.artist.startswith("Ana xxx") and len(found.artist) == LONGEST


def test_a_job_keeps_only_what_it_is_told_to(tmp_path):
    source = photo(tmp_path / "in.jpg", profile=WIDE)
    spec = FilterSpec.build(name="posterise", image=str(source))
    for keep in (False, True):
        target = tmp_path / f"out-{keep}.png"
        list(jobs.run(spec, OutputSpec.build(output=str(target), keep_metadata=keep)))
        assert (b"(c) Ana 2026" in target.read_bytes()) is keep
        with Image.open(target) as image:
            assert (image.info["icc_profile"] == WIDE) is keep


def test_verbs_without_a_photo_refuse(tmp_path):
    source = str(photo(tmp_path / "in.jpg"))
    with pytest.raises(UsageError, match="inspect takes no keep-metadata"):
        jobs.prepare(InspectSpec.build(image=source), OutputSpec.build(keep_metadata=True))


def test_profiles_of_pillow_are_no_surprise(tmp_path):
    """sRGB as Pillow writes it is kept as it is, with the same pixels to a level."""
    stream = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    loaded = images.load(photo(tmp_path / "in.jpg", profile=stream))
    images.save(loaded, tmp_path / "out.png", keep=loaded.source.kept)
    with Image.open(io.BytesIO((tmp_path / "out.png").read_bytes())) as image:
        stored = np.asarray(image).astype(float) / 255
    assert np.abs(stored - loaded.rgb).max() <= 1.5 / 255
