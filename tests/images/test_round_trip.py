"""What is saved is what is read."""

import numpy as np
import pytest

from impasto import images


def pattern(h=37, w=53, channels=3, seed=0):
    y, x = np.mgrid[0:h, 0:w]
    rng = np.random.default_rng(seed)
    planes = [(np.sin(x / (5 + c)) * np.cos(y / (7 - c)) + 1) / 2 for c in range(channels)]
    return np.clip(np.stack(planes, 2) + rng.normal(0, 0.02, (h, w, channels)), 0, 1).astype("f4")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
@pytest.mark.parametrize("bits", [8])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_lossless_formats_keep_every_level(tmp_path, name, bits, with_alpha):
    values = pattern(channels=4)
    alpha = values[:, :, 3] if with_alpha else None
    saved = images.save(values[:, :, :3], tmp_path / name, alpha=alpha, bits=bits)
    back = images.load(tmp_path / name)
    top = 2**bits - 1
    expected = np.floor(values.astype("f8") * top + 0.5) / top
    np.testing.assert_allclose(back.rgb, expected[:, :, :3], atol=1e-6)
    if with_alpha:
        np.testing.assert_allclose(back.alpha, expected[:, :, 3], atol=1e-6)
    else:
        assert back.alpha is None
    assert saved.size == (tmp_path / name).stat().st_size
