import sys

import numpy as np
import pytest

from impasto import images
from impasto.errors import InputError
from impasto.images import heif

from .heic import heic

GREY = np.full((16, 16), 128)
LUMA = np.arange(32 * 32).reshape(32, 32) % 199 + 20
FILE = heic(LUMA, GREY, GREY)


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(InputError, match=r"pip install 'impasto\[formats\]'") as caught:
        images.load(FILE)
    assert caught.value.exit_code == 4


class TestWithThePackage:
    @pytest.fixture(autouse=True)
    def package(self):
        pytest.importorskip("pi_heif")

    def test_grey_is_read_exactly(self):
        picture = images.load(FILE)
        np.testing.assert_allclose(picture.rgb, LUMA[:, :, None].repeat(3, 2) / 255, atol=1e-6)
        assert picture.source.format == "HEIF"
        assert picture.source.notes == ()

    def test_channels_are_red_green_blue(self):
        # BT.601, full range: pure red is Y 76, Cb 85, Cr 255.
        data = heic(np.full((16, 16), 76), np.full((8, 8), 85), np.full((8, 8), 255))
        np.testing.assert_allclose(images.load(data).rgb[4, 4], [1, 0, 0], atol=3 / 255)

    @pytest.mark.parametrize("turn", [1, 2, 3])
    def test_turns_are_applied_once(self, turn):
        picture = images.load(heic(LUMA[:16], GREY[:8], GREY[:8], turn=turn))
        np.testing.assert_allclose(picture.rgb[:, :, 0], np.rot90(LUMA[:16], turn) / 255, atol=1e-6)

    def test_limits_hold_before_decoding(self):
        with pytest.raises(InputError, match=r"1024 pixels \(32 x 32\)"):
            images.load(FILE, images.Limits(max_pixels=1023))
        with pytest.raises(InputError, match="an edge may have 31"):
            images.load(FILE, images.Limits(max_edge=31))

    @pytest.mark.parametrize("keep", [30, 200, 500])
    def test_damaged_files_are_refused(self, keep):
        with pytest.raises(InputError, match="damaged"):
            images.load(FILE[:keep])

    def test_a_crash_of_the_decoder_is_a_damaged_file(self, monkeypatch, tmp_path):
        crashing = tmp_path / "crash.py"
        crashing.write_text("import os; os.abort()")
        monkeypatch.setattr(heif, "_CHILD", crashing)
        with pytest.raises(InputError, match=r"damaged.*crashed"):
            images.load(FILE)

    def test_a_decoder_that_hangs_is_stopped(self, monkeypatch, tmp_path):
        hanging = tmp_path / "hang.py"
        hanging.write_text("import time; time.sleep(60)")
        monkeypatch.setattr(heif, "_CHILD", hanging)
        monkeypatch.setattr(heif, "_SECONDS", 0.2)
        with pytest.raises(InputError, match=r"not decoded within 0\.2 s"):
            images.load(FILE)

    @pytest.mark.parametrize("depth", [10, 12])
    def test_full_scale_of_deep_pictures_is_one(self, monkeypatch, tmp_path, depth):
        """pi-heif gives depths above 8 in the upper bits of 16."""
        top = (2**depth - 1) << (16 - depth)
        answer = tmp_path / "answer.py"
        answer.write_text(
            "import json, sys\n"
            f"head = dict(size=[2, 1], depth={depth}, mode='RGB;16', shape=[1, 2, 3],"
            " type='<u2', profile='')\n"
            "sys.stdout.buffer.write(json.dumps(head).encode() + b'\\n'"
            f" + ({top // 4}).to_bytes(2, 'little') * 3 + ({top}).to_bytes(2, 'little') * 3)"
        )
        monkeypatch.setattr(heif, "_CHILD", answer)
        values = images.load(FILE).rgb[0]
        np.testing.assert_allclose(values, [[0.25] * 3, [1] * 3], atol=1e-4)
        assert values.max() == 1
