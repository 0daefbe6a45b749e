"""The job: octaves, guides, journeys, tiles, stop and resume, refusals."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

import impasto
from impasto import images, jobs, samples
from impasto.backbones import load
from impasto.dreaming.frames import Frames, nearer
from impasto.dreaming.run import Dreaming
from impasto.engine import memory
from impasto.engine.dreams import Guided, Loudness
from impasto.engine.optimise import Optimiser
from impasto.errors import InputError, ResourceError, UnknownName, UsageError
from impasto.events import Finished, ScaleStarted, Started, Step
from impasto.images.resize import resize
from impasto.images.tensors import from_tensor, to_tensor
from impasto.specs import DreamSpec, OutputSpec
from impasto.testing import thin_vgg

SMALL = thin_vgg()
PHOTO = images.load(samples.photo("harbour", (72, 96)))
PAINTING = images.load(samples.painting("wheat", (64, 64)))


def job(guide=None, **options) -> Dreaming:
    values = {"layer": "relu2_2", "size": 64, "iterations": 3, "octaves": 3, "device": "cpu"}
    values |= {"guide": "g"} if guide is not None else {}
    return Dreaming(DreamSpec.build(image="p", **values | options), PHOTO, guide, SMALL)


def finish(run: Dreaming) -> Finished:
    *_, last = run.events()
    assert isinstance(last, Finished)
    return last


def test_events():
    events = list(job().events())
    started = events[0]
    assert isinstance(started, Started)
    assert started.scales == ((24, 33, 3), (34, 46, 3), (48, 64, 3))
    assert [e.height for e in events if isinstance(e, ScaleStarted)] == [24, 34, 48]
    steps = [e for e in events if isinstance(e, Step)]
    assert len(steps) == 9 and steps[-1].image().shape == (1, 3, 48, 64)
    last = events[-1]
    assert isinstance(last, Finished) and last.image.shape == (48, 64, 3)
    assert last.image.min() >= 0 and last.image.max() <= 1
    assert json.dumps(last.settings) and not last.others and last.frame_ms == 0


def test_each_octave_gets_louder():
    steps = [e for e in job(iterations=6).events() if isinstance(e, Step)]
    for octave in range(3):
        values = [float(s.terms["excitation"]) for s in steps if s.scale == octave]
        assert values[0] == pytest.approx(-1, rel=0.2) and values[-1] < values[0] - 0.02


def test_the_mean_change_of_a_step():
    run = job(octaves=1, iterations=1, learning_rate=0.01, jitter=0, chroma=1.0)
    dreamt = finish(run).image
    photo = from_tensor(resize(to_tensor(PHOTO), (48, 64)).clamp(0, 1))
    assert np.abs(dreamt - photo).mean() == pytest.approx(0.01, rel=0.1)  # some clamp


def test_what_was_dreamt_small_is_there_large():
    """The second octave begins with the photo plus the enlarged change."""
    run = job(octaves=2, iterations=2)
    small = None
    for event in run.events():
        if isinstance(event, Step) and event.scale == 0:
            small = run.image()
        if isinstance(event, ScaleStarted) and event.index == 1:
            begun = run.image()
            break
    photo = resize(to_tensor(PHOTO), (48, 64)).clamp(0, 1)
    change = small - resize(photo, tuple(small.shape[-2:])).clamp(0, 1)
    expected = (photo + resize(change, (48, 64))).clamp(0, 1)
    torch.testing.assert_close(begun, expected, atol=1e-5, rtol=0)


def test_guided():
    run = job(PAINTING)
    (score,) = run.scores
    assert isinstance(score, Guided) and score.guide.shape[1] == 8
    last = finish(run)
    assert np.abs(last.image - finish(job()).image).max() > 0.01
    assert run.described()["guide"]["size"] == [64, 64]


def test_several_layers_and_channels():
    assert job(layer=["relu1_1", "relu3_1"]).layers == ("relu1_1", "relu3_1")
    assert job(channel=[1, 3]).scores == [Loudness("relu2_2", (1, 3))]
    finish(job(layer=["relu1_1", "relu3_1"]))
    assert finish(job(channel=1)).image.tobytes() != finish(job(channel=2)).image.tobytes()


def test_tiles_give_nearly_the_same_dream():
    """Equal gradients up to rounding: after a few steps, equal pictures to a grey level."""
    whole, tiled = finish(job(size=96)).image, finish(job(size=96, tile="64")).image
    assert np.abs(whole - tiled).max() < 2 / 255
    assert any("tiles of 64" in e.notes[-1] for e in job(size=96, tile="64").events()
               if isinstance(e, Started))  # fmt: skip


def test_tiles_when_memory_is_short(monkeypatch):
    net = load("efficientnet_lite0.in1k")
    need = memory.estimate(net, ["block10"], Optimiser("sgd"), 1536 * 2048)

    def tile(**options):
        return Dreaming(DreamSpec.build(image="p", size=2048, **options), PHOTO, None, net).tile

    monkeypatch.setattr("impasto.engine.memory.available", lambda device: 1.2 * need)
    assert tile() == 2048
    monkeypatch.setattr("impasto.engine.memory.available", lambda device: need)
    assert tile() == 512 and tile(tile="100") == 100
    with pytest.raises(ResourceError):
        tile(tile="off")
    monkeypatch.setattr("impasto.engine.memory.available", lambda device: 7e8)
    with pytest.raises(ResourceError):
        tile()


def test_a_journey():
    run = job(zoom=3, octaves=2, zoom_octaves=1, zoom_rotate=5)
    assert [o.frame for o in run.octaves] == [0, 0, 1, 2]
    last = finish(run)
    assert list(last.others) == ["-0001", "-0002", "-0003"]
    np.testing.assert_allclose(last.others["-0003"], last.image, atol=0.5 / 255 + 1e-6)
    assert last.frame_ms == pytest.approx(1000 / 12)
    first = finish(job(octaves=2)).image
    np.testing.assert_allclose(last.others["-0001"], first, atol=0.5 / 255 + 1e-6)


def test_frames_are_a_mapping_of_pictures():
    frames = Frames([np.full((2, 3, 3), 255, np.uint8), np.zeros((2, 3, 3), np.uint8)])
    assert len(frames) == 2 and frames["-0001"].max() == 1 and frames["-0002"].dtype == np.float32


def test_nearer():
    """A linear picture enlarged about its middle is linear with a smaller slope; and turned."""
    across = torch.linspace(0.2, 0.8, 41, dtype=torch.float64).expand(1, 3, 31, 41).contiguous()
    twice = nearer(across, 2.0, 0.0)
    middle = twice[0, 0, 15]
    torch.testing.assert_close(middle.diff(), torch.full((40,), 0.6 / 40 / 2).double())
    assert float(middle[20]) == pytest.approx(0.5)
    square = across[..., :31, 5:36].contiguous()
    turned = nearer(square, 1.0, 90.0)
    torch.testing.assert_close(turned, square.rot90(-1, (-2, -1)), atol=1e-9, rtol=0)
    torch.testing.assert_close(nearer(across, 1.0, 0.0), across, atol=1e-9, rtol=0)


@pytest.mark.parametrize("stop", [1, 3, 4, 7, 10])
def test_resume_equals_the_uninterrupted_run(stop):
    options = {"zoom": 3, "octaves": 2, "zoom_octaves": 1, "layer": ["relu1_1", "relu2_2"]}
    whole = finish(job(**options))
    half = job(**options)
    events = half.events()
    for _ in range(stop):
        while not isinstance(next(events), Step):
            pass
    events.close()
    file = io.BytesIO()
    torch.save(half.state(), file)
    file.seek(0)
    again = job(**options)
    again.load(torch.load(file, weights_only=True))
    last = finish(again)
    assert last.image.tobytes() == whole.image.tobytes()
    assert all(last.others[k].tobytes() == v.tobytes() for k, v in whole.others.items())


QUICK = {"layer": ["block2"], "size": 48, "iterations": 2, "octaves": 2, "device": "cpu"}


def test_a_gif(tmp_path):
    path = tmp_path / "zoom.gif"
    result = impasto.dream(
        PHOTO.rgb, **QUICK, zoom=3, zoom_octaves=1, zoom_rotate=8, fps=10, output=str(path)
    )
    with Image.open(path) as animation:
        assert animation.n_frames == 3 and animation.size == (48, 36)
        assert animation.info["duration"] == 100 and animation.info["loop"] == 0
    assert images.read_metadata(path)["spec"]["zoom"] == 3
    assert result.array.shape == (36, 48, 3)
    with pytest.raises(UsageError, match="exists already"):
        impasto.dream(PHOTO.rgb, **QUICK, zoom=3, output=str(path))
    with pytest.raises(UsageError, match="no picture format"):
        impasto.dream(PHOTO.rgb, **QUICK, output=str(tmp_path / "still.gif"))
    with pytest.raises(UsageError, match="save-every"):
        impasto.dream(PHOTO.rgb, **QUICK, zoom=3, save_every=1, output=str(tmp_path / "b.gif"))


def test_numbered_frames(tmp_path):
    spec = DreamSpec.build(image="p", **QUICK, zoom=2, zoom_octaves=1)
    output = OutputSpec.build(output=str(tmp_path / "z.png"))
    list(jobs.run(spec, output, {"p": PHOTO.rgb}))
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["z-0001.png", "z-0002.png", "z.png"]
    frame = images.load(tmp_path / "z-0002.png").rgb
    np.testing.assert_allclose(frame, images.load(tmp_path / "z.png").rgb, atol=1 / 255)
    (tmp_path / "z.png").unlink()
    with pytest.raises(UsageError, match=r"z-0001.png exists already"):
        next(jobs.run(spec, output, {"p": PHOTO.rgb}))


def test_stop_and_resume_a_gif(tmp_path):
    spec = DreamSpec.build(image="p", **QUICK, zoom=3, zoom_octaves=1)
    output = {"output": str(tmp_path / "z.gif"), "log": str(tmp_path / "l.jsonl")}
    events = jobs.run(spec, OutputSpec.build(**output), {"p": PHOTO.rgb})
    for event in events:
        if isinstance(event, Step) and event.scale == 2:
            break
    events.close()
    with Image.open(tmp_path / "z.gif") as so_far:
        assert so_far.n_frames == 2
    *_, last = jobs.run(spec, OutputSpec.build(**output, resume=True), {"p": PHOTO.rgb})
    *_, whole = jobs.run(spec, OutputSpec.build(), {"p": PHOTO.rgb})
    assert last.image.tobytes() == whole.image.tobytes()
    assert len((tmp_path / "l.jsonl").read_text().splitlines()) == 8


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"layer": "relu9_1"}, UnknownName, "relu9_1"),
        ({"channel": 8}, UsageError, "channels 0 to 7, not 8"),
        ({"layer": "relu5_3", "size": 8 * 4}, None, ""),
        ({"device": "abacus"}, UsageError, "abacus"),
        ({"layer": ["a", "b"], "channel": 1}, UsageError, "one layer, not several"),
        ({"tile": "12"}, UsageError, "auto, off or a number"),
        ({"channel": -1}, UsageError, "not be negative"),
        ({"octave_scale": 1.0}, UsageError, "octave-scale must be more than 1"),
    ],
)
def test_refusals(options, error, text):
    if error is None:
        assert finish(job(**options)).image.shape == (24, 32, 3)
        return
    with pytest.raises(error, match=text):
        job(**options)


def test_layers_without_positions():
    with pytest.raises(UsageError, match="has no positions"):
        impasto.dream(PHOTO.rgb, layer="logits", size=64)


def test_a_picture_that_is_too_small():
    tiny = images.load(np.full((16, 16, 3), 0.5, np.float32))
    with pytest.raises(InputError, match="too small"):
        Dreaming(DreamSpec.build(image="p", layer="pool5"), tiny, None, SMALL)


def test_transparency_stays():
    rgba = np.dstack([PHOTO.rgb, np.tile(np.linspace(0, 1, 96, dtype=np.float32), (72, 1))])
    alpha = impasto.dream(rgba, **QUICK).alpha
    assert alpha is not None and alpha.shape == (36, 48) and alpha[0, 0] < 0.1 < alpha[0, -1]
