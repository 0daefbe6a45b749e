"""What is saved is what is read, and a file is there whole or not at all."""

import errno
import io
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from impasto import images
from impasto.errors import ImpastoError, ResourceError, UsageError
from impasto.images import writing
from impasto.images.encoding import quantise
from impasto.images.srgb import srgb_profile

from .samples import file_bytes, levels, names, pattern

NAMES = ["a.png", "a.jpg", "a.jpeg", "a.webp", "a.avif", "a.tif", "a.tiff", "a.PNG"]
RGB = pattern()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_lossless_formats_keep_every_level(tmp_path, name, with_alpha):
    values = pattern(channels=4)
    alpha = values[:, :, 3] if with_alpha else None
    saved = images.save(values[:, :, :3], tmp_path / name, alpha=alpha)
    back = images.load(tmp_path / name)
    expected = levels(values) / 255
    np.testing.assert_allclose(back.rgb, expected[:, :, :3], atol=1e-6)
    if with_alpha:
        np.testing.assert_allclose(back.alpha, expected[:, :, 3], atol=1e-6)
    else:
        assert back.alpha is None
    assert saved.size == (tmp_path / name).stat().st_size
    assert (saved.path, saved.sidecar, saved.notes) == (tmp_path / name, None, ())


@pytest.mark.parametrize("name", NAMES)
def test_every_format_is_close_and_says_that_it_is_srgb(tmp_path, name):
    smooth = np.repeat(np.repeat(pattern(8, 8), 8, 0), 8, 1)
    images.save(smooth, tmp_path / name)
    back = images.load(tmp_path / name)
    assert np.abs(back.rgb - smooth).mean() < 0.02
    with Image.open(tmp_path / name) as seen:
        assert seen.info["icc_profile"] == srgb_profile()
        assert ImageCms.ImageCmsProfile(io.BytesIO(seen.info["icc_profile"]))


def test_jpeg_and_avif_keep_chroma_at_full_size(tmp_path):
    """Red and blue columns one pixel wide: with 4:2:0 both turn purple."""
    stripes = np.zeros((32, 32, 3))
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 1
    for name in ("a.jpg", "a.avif"):
        images.save(stripes, tmp_path / name)
        assert np.abs(images.load(tmp_path / name).rgb - stripes).mean() < 0.05


def test_rounding_is_half_up_and_clamped():
    values = np.array([-0.5, 0, 0.5 / 255, 1.5 / 255, 2.4999 / 255, 0.5, 1, 7])
    np.testing.assert_array_equal(quantise(values, 8), [0, 0, 1, 2, 2, 128, 255, 255])
    np.testing.assert_array_equal(quantise(np.array([0.5, 1.0]), 16), [32768, 65535])
    assert quantise(values, 8).dtype == np.uint8


def test_reading_and_saving_again_changes_no_level(tmp_path):
    ramp = np.arange(256, dtype="u1").reshape(16, 16)[:, :, None].repeat(3, 2)
    images.save(images.load(ramp), tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), ramp)


def test_a_picture_keeps_its_own_alpha_unless_another_is_given(tmp_path):
    picture = images.load(levels(pattern(channels=4)))
    images.save(picture, tmp_path / "a.png")
    np.testing.assert_allclose(images.load(tmp_path / "a.png").alpha, picture.alpha)
    other = np.full((37, 53), 0.2)
    images.save(picture, tmp_path / "b.png", alpha=other)
    np.testing.assert_allclose(images.load(tmp_path / "b.png").alpha, other)


def test_jpeg_lays_alpha_on_white(tmp_path):
    saved = images.save(np.zeros((32, 32, 3)), tmp_path / "a.jpg", alpha=np.full((32, 32), 0.25))
    np.testing.assert_allclose(images.load(tmp_path / "a.jpg").rgb, 0.75, atol=0.01)
    assert saved.notes == ("alpha laid on white: JPEG has none",)


def test_inputs_are_not_changed(tmp_path):
    values, alpha = pattern() * 1.2 - 0.1, pattern()[:, :, 0].copy()
    before = values.copy(), alpha.copy()
    for name in ("a.png", "a.jpg", "a.tif"):
        images.save(values, tmp_path / name, alpha=alpha)
    np.testing.assert_array_equal(values, before[0])
    np.testing.assert_array_equal(alpha, before[1])


def test_the_same_picture_is_the_same_bytes(tmp_path):
    for name in ("a.png", "a.jpg", "a.webp", "a.tif"):
        images.save(RGB, tmp_path / name, metadata={"seed": 1})
        first = (tmp_path / name).read_bytes()
        images.save(RGB, tmp_path / name, metadata={"seed": 1}, force=True)
        assert (tmp_path / name).read_bytes() == first


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_inputs_exif_is_carried_over(tmp_path, name):
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 29.5)
    exif.get_ifd(0x8825)[29] = "2001:01:01"
    data = file_bytes(Image.fromarray(levels(RGB)), "TIFF", exif=exif)
    assert b"SecretCamera" in data
    images.save(images.load(data), tmp_path / name, metadata={"a": 1})
    written = (tmp_path / name).read_bytes()
    assert b"SecretCamera" not in written
    assert b"2001:01:01" not in written
    with Image.open(tmp_path / name) as seen:
        assert 0x8825 not in seen.getexif()


# Whole or not at all


def test_an_existing_file_is_kept_without_force(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"exists already .*--force") as caught:
        images.save(RGB, path)
    assert caught.value.exit_code == 2
    assert path.read_bytes() == b"mine"
    images.save(RGB, path, force=True)
    assert images.load(path).size == (37, 53)
    assert names(tmp_path) == ["a.png"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch):
    """The check before the work is not the last word."""
    path = tmp_path / "a.png"
    encode = writing.encode

    def slow(*args):
        path.write_bytes(b"theirs")
        return encode(*args)

    monkeypatch.setattr(writing, "encode", slow)
    with pytest.raises(UsageError, match="exists already"):
        images.save(RGB, path)
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("links", [True, False])
def test_of_many_writers_without_force_one_wins(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*args):
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", refuse)
    results = []

    def write(value):
        try:
            images.save(np.full((8, 8, 3), value / 10), tmp_path / "a.png")
            results.append(value)
        except UsageError:
            pass

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 1
    np.testing.assert_allclose(images.load(tmp_path / "a.png").rgb, results[0] / 10, atol=0.002)
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, ResourceError), (errno.EIO, ImpastoError)]
)
def test_a_failing_disk_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, code, kind):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind, match=r"a\.png"):
        images.save(RGB, path, force=True)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.png"]


def test_a_really_full_disk_is_said_so(tmp_path):
    """/dev/full refuses every byte, as a full disk does."""
    link = tmp_path / "a.png"
    link.symlink_to("/dev/full")
    with pytest.raises(UsageError, match="device"):
        images.save(RGB, link, force=True)
    code = "from impasto import images; import numpy as np; images.save(np.zeros((4, 4, 3)), '-')"
    env = {**os.environ, "PYTHONPATH": str(Path(images.__file__).parents[2])}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=-1, env=env)
    assert b"ImpastoError: standard output: No space left" in done.stderr


def test_the_file_has_the_permissions_of_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        images.save(RGB, tmp_path / "a.png")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "b.png"
    real.write_bytes(b"old")
    link = tmp_path / "a.png"
    link.symlink_to(real)
    images.save(RGB, link, force=True)
    assert link.is_symlink()
    assert images.load(real).size == (37, 53)


def test_the_longest_name_there_is(tmp_path):
    path = tmp_path / ("x" * 251 + ".png")
    images.save(RGB, path)
    assert images.load(path).size == (37, 53)
    emoji = tmp_path / "\N{ARTIST PALETTE} été.png"
    images.save(RGB, emoji)
    assert images.load(emoji).source.name == str(emoji)


def test_output_may_be_the_input(tmp_path):
    path = tmp_path / "a.png"
    images.save(RGB, path)
    images.save(images.load(path), path, force=True)
    np.testing.assert_allclose(images.load(path).rgb, levels(RGB) / 255, atol=1e-6)


def test_standard_output():
    code = (
        "import numpy as np, sys; from impasto import images\n"
        "saved = images.save(np.full((4, 5, 3), 0.5), '-', format=sys.argv[1] or None)\n"
        "print(saved.path, saved.format, file=sys.stderr)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(images.__file__).parents[2])}
    for asked, kind in (("", "PNG"), ("jpg", "JPEG")):
        done = subprocess.run([sys.executable, "-c", code, asked], capture_output=True, env=env)
        picture = images.load(done.stdout)
        assert (picture.source.format, picture.size) == (kind, (4, 5))
        assert done.stderr.decode().split() == ["None", kind]


# What is refused before the work


def test_check_writable_says_what_would_happen(tmp_path):
    assert images.check_writable(tmp_path / "a.jpeg", force=False) == "JPEG"
    assert images.check_writable("-", force=False) == "PNG"
    assert images.check_writable(tmp_path / "a.xyz", force=False, format="webp") == "WEBP"
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.xyz", r"extension \.xyz is no picture format \(use one of \.png, \.jpg"),
        ("a", "a name without extension is no picture format"),
        ("", "a name without extension is no picture format"),
        ("none/a.png", r"folder .*none does not exist \(mkdir -p"),
        ("folder.png", "is a folder"),
        ("old.png", "exists already"),
        ("old.png/a.png", "a file stands where a folder should be"),
        ("x" * 300 + ".png", "cannot be written"),
        ("a\0.png", "cannot be written"),
    ],
)
def test_names_that_cannot_be_written(tmp_path, name, message):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "old.png").touch()
    for attempt in (
        lambda path: images.check_writable(path, force=False),
        lambda path: images.save(RGB, path),
    ):
        with pytest.raises(UsageError, match=message):
            attempt(f"{tmp_path}/{name}" if name else "")
    assert names(tmp_path) == ["folder.png", "old.png"]


def test_devices_are_never_replaced(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="is a device"):
        images.save(RGB, pipe, force=True)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_without_permission(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    for parent in list(folder.parents)[:4]:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    code = (
        "import os, sys; from impasto import images; from impasto.errors import UsageError\n"
        "os.getuid() or os.setuid(65534)\n"
        "try: images.check_writable(sys.argv[1], force=False)\n"
        "except UsageError as e: print(e)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(images.__file__).parents[2])}
    command = [sys.executable, "-c", code, str(folder / "a.png")]
    assert b"may not be written to" in subprocess.run(command, capture_output=True, env=env).stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "bmp"}, r"does not write bmp \(it writes AVIF, JPEG, PNG"),
        ({"quality": 0}, r"quality must be within 1\.\.100, got 0"),
        ({"quality": 101}, "quality must be"),
        ({"bits": 12}, "holds 8 or 16 bits per channel, not 12"),
        ({"bits": 16, "format": "jpeg"}, "JPEG holds 8 bits per channel, not 16"),
        ({"metadata": {"a": float("nan")}}, "cannot be written as JSON"),
        ({"metadata": {"a": object()}}, "cannot be written as JSON"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        images.save(RGB, tmp_path / "a.png", **options)
    assert names(tmp_path) == []


def test_a_picture_too_long_for_its_format(tmp_path):
    with pytest.raises(UsageError, match=r"WEBP holds at most 16383 pixels .* not 16384"):
        images.save(np.zeros((1, 16_384, 3)), tmp_path / "a.webp")


def test_values_that_are_no_picture(tmp_path):
    with pytest.raises(ImpastoError, match="not finite"):
        images.save(np.full((4, 4, 3), np.nan), tmp_path / "a.png")
    for shape in ((4, 4), (4, 4, 4), (0, 4, 3)):
        with pytest.raises(ValueError, match="expected colours"):
            images.save(np.zeros(shape), tmp_path / "a.png")
    with pytest.raises(ValueError, match="does not fit"):
        images.save(np.zeros((4, 4, 3)), tmp_path / "a.png", alpha=np.zeros((4, 5)))
    assert names(tmp_path) == []
