"""What clients bring and take away: paths, bombs, metadata, models, the disk."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import uuid
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from impasto.errors import InputError, ResourceError
from impasto.studio import vault as room

from .serving import Studio, png, raw, serving

SECRET = "top-secret-4711"


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# Paths

SHAPES = [
    "../studio.sqlite",
    "..%2fstudio.sqlite",
    "%2e%2e%2fstudio.sqlite",
    "%2e%2e/studio.sqlite",
    "..%5cstudio.sqlite",
    "..\\studio.sqlite",
    "....//studio.sqlite",
    "..;/studio.sqlite",
    "%252e%252e%252fstudio.sqlite",
    "%c0%ae%c0%ae%c0%afstudio.sqlite",
    "%e0%80%ae%e0%80%ae/studio.sqlite",
    "..%c0%afstudio.sqlite",
    "..%00/studio.sqlite",
    "%00",
    "x%00.png",
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "C:%5cWindows%5cwin.ini",
    "C:/Windows/win.ini",
    "c:secret",
    "%5c%5cserver%5cshare%5cx.png",
    "//server/share/x.png",
    "file:///etc/passwd",
    "~/secret",
    "~root",
    ".",
    "..",
    "...",
    "-",
    "CON",
    "NUL.png",
    "aux.png",
    "studio.sqlite",
    "studio.sqlite::$DATA",
    "..%ef%bc%8fstudio.sqlite",
    "%f0%9f%8e%a8",
    "a" * 300,
    "{00000000-0000-0000-0000-000000000000}/..",
    "00000000-0000-0000-0000-000000000000/../../studio.sqlite",
]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_path_leads_out(studio: Studio, shape):
    """As part of an address, as a picture in a request, and as a name."""
    host = [f"Host: 127.0.0.1:{studio.port}".encode(), b"Connection: close"]
    for place in ("/api/results/", "/api/pictures/", "/static/", "/api/jobs/"):
        line = f"GET {place}{shape} HTTP/1.1".encode()
        status, answer = raw(studio.port, [line, *host])
        assert status in (400, 401, 403, 404, 405, 422), (place, status)
        assert b"SQLite" not in answer
        assert b"root:" not in answer
    for spec in (
        {"name": "kuwahara", "image": shape},
        {"name": shape, "image": str(uuid.uuid4())},
        {"image": [shape]},
    ):
        assert studio.client.post("/api/jobs", json={"verb": "filter", "spec": spec}).is_error


@pytest.mark.parametrize("shape", SHAPES)
def test_names_of_clients_reach_no_disk(studio: Studio, shape):
    before = names_in(studio.root)
    answer = studio.client.post("/api/uploads", params={"name": shape}, content=png(20, 20, 5))
    assert answer.status_code == 201
    made = {n for n in names_in(studio.root) - before if "sqlite" not in n}
    assert all(set(n) <= set("pictures/incoming.0123456789abcdefng") for n in made), made


def test_requests_name_no_files(studio: Studio, photo, painting, tmp_path):
    """Fields that are words on the command line could be files there."""
    (tmp_path / "mine.toml").write_text("x = 1")
    for words in (
        {"recipe": str(tmp_path / "mine.toml")},
        {"recipe": "mine.toml"},
        {"init": "/etc/passwd"},
        {"init": "start.png"},
        {"init": "-"},
        {"keep": "-"},
        {"backbone": "../weights"},
        {"before": "kuwahara:radius=../8"},
        {"mask": ["C:\\mask.png"]},
        {"style": [painting, "http://evil.com/x.png"]},
        {"content": "http://127.0.0.1/x.png"},
    ):
        spec = {"content": photo, "style": [painting]} | words
        answer = studio.client.post("/api/jobs", json={"verb": "stylize", "spec": spec})
        assert answer.status_code == 422, words


def test_links_are_not_followed(tmp_path):
    vault = room.Vault(tmp_path / "v")
    with vault.incoming() as file:
        file.write(b"hello")
        kept = file.commit("png")
    path = vault.path(kept.sha256, "png")
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(InputError):
        vault.path(kept.sha256, "png")
    shutil.rmtree(path.parent)
    path.parent.symlink_to("/etc")
    with pytest.raises(InputError):
        vault.path(kept.sha256, "png")
    for digest, ending in (("../" + "a" * 61, "png"), ("a" * 64, "../x"), ("A" * 64, "png")):
        with pytest.raises(InputError):
            vault.path(digest, ending)
    with pytest.raises(InputError):
        vault.job("../pictures")


# Bombs


def chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png_header(width: int, height: int, depth: int, *more: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(b"IHDR", head), *more, chunk(b"IEND", b"")])


def one_bit_bomb() -> bytes:
    """30 000 x 30 000 pixels in a few kB."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(b"\0" * 3751 * 1000) for _ in range(30)) + rows.flush()
    return png_header(30_000, 30_000, 1, chunk(b"IDAT", data))


def avif_bomb() -> bytes:
    """A real AVIF whose header claims 17 000 x 17 000."""
    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "AVIF")
    at = stream.getvalue().index(b"ispe") + 8
    data = bytearray(stream.getvalue())
    data[at : at + 8] = struct.pack(">II", 17_000, 17_000)
    return bytes(data)


def text_bomb() -> bytes:
    """A small picture with 200 MB of text in it, compressed."""
    text = zlib.compress(b"a" * 200_000_000, 9)
    plain = png(24, 24)
    more = chunk(b"zTXt", b"comment\0\0" + text) + chunk(
        b"iTXt", b"impasto\0\1\0\0\0" + zlib.compress(b"[" * 50_000_000)
    )
    return plain[:33] + more + plain[33:]


def many_frames() -> bytes:
    frames = [Image.new("P", (8, 8), i % 7) for i in range(10_000)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], duration=10)
    return stream.getvalue()


def tiff_loop() -> bytes:
    """A directory that names itself as the next one."""
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "TIFF")
    data = bytearray(stream.getvalue())
    first = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[first : first + 2])[0]
    end = first + 2 + 12 * count
    data[end : end + 4] = struct.pack("<I", first)
    return bytes(data)


@pytest.mark.parametrize(
    ("bomb", "refused"),
    [
        (one_bit_bomb, "pixels"),
        (avif_bomb, "damaged"),
        (text_bomb, "too large"),
        (many_frames, ""),
        (tiff_loop, ""),
    ],
)
def test_bombs_do_no_harm(studio: Studio, bomb, refused):
    """Refused before they unfold, or read as the small picture that they are."""
    answer = studio.client.post("/api/uploads", content=bomb())
    assert answer.status_code == (415 if refused else 201), answer.text
    if refused:
        assert refused in answer.json()["error"]["message"]
    else:
        assert answer.json()["settings"] is None
    assert studio.upload(png(seed=3))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello", "neither"),
        (b"%PDF-1.7", "PDF"),
        (b"<svg onload='alert(1)'/>", "SVG"),
        (png()[:200], "damaged"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 400, "damaged"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "damaged"),
    ],
)
def test_what_is_no_picture_is_refused(studio: Studio, data, words):
    answer = studio.client.post("/api/uploads", content=data)
    assert answer.status_code == 415
    assert words in answer.json()["error"]["message"]
    assert str(studio.root) not in answer.text
    assert not list((studio.root / "incoming").iterdir())


@pytest.mark.slow
def test_a_picture_that_takes_too_long_is_given_up(tmp_path):
    with serving(tmp_path, limits={"decoding": 0.4}) as studio:
        big = io.BytesIO()
        Image.fromarray(np.zeros((7000, 7000, 3), np.uint8)).save(big, "PNG", compress_level=1)
        answer = studio.client.post("/api/uploads", content=big.getvalue())
        assert answer.status_code == 415
        assert "0.4 s" in answer.json()["error"]["message"]


def test_decoding_has_little_memory(tmp_path):
    with serving(tmp_path, limits={"decoding_memory": 250_000_000}) as studio:
        big = io.BytesIO()
        Image.fromarray(np.zeros((6000, 8000, 3), np.uint8)).save(big, "PNG", compress_level=1)
        answer = studio.client.post("/api/uploads", content=big.getvalue())
        assert answer.status_code == 415
        assert "memory" in answer.json()["error"]["message"]
        assert studio.upload(png())


# Metadata


def with_place() -> bytes:
    """A JPEG that says where it was taken, by whom, and more."""
    exif = Image.Exif()
    exif[0x010E] = SECRET
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (47.0, 11.0, 8.15)
    exif.get_ifd(0x8825)[29] = SECRET
    stream = io.BytesIO()
    picture = Image.open(io.BytesIO(png(80, 60, 8)))
    picture.save(stream, "JPEG", exif=exif, comment=SECRET.encode())
    assert SECRET.encode() in stream.getvalue()
    return stream.getvalue()


def test_nothing_of_a_picture_but_pixels_goes_out(studio: Studio):
    photo = studio.upload(with_place(), "holiday.jpg")
    job = studio.add("filter", name="kuwahara", image=photo)
    done = studio.wait(job["id"])
    shown = [f"/api/pictures/{photo}?size={size}" for size in ("thumb", "view")]
    shown += [f"/api/pictures/{done['result']}?size=thumb"]
    shown += [f"/api/results/{done['result']}?format={f}" for f in ("png", "jpg", "webp", "tif")]
    for path in shown:
        answer = studio.client.get(path)
        assert answer.status_code == 200
        assert SECRET.encode() not in answer.content
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert not picture.getexif().get_ifd(0x8825)
            assert SECRET not in repr(picture.info)


# Models


def safetensors(header: dict[str, object] | bytes, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(kind: str, count: int, begin: int = 0) -> dict[str, object]:
    size = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8}[kind]
    return {"dtype": kind, "shape": [count], "data_offsets": [begin, begin + size * count]}


def test_a_model_is_taken(studio: Studio):
    good = np.linspace(-1, 1, 50, dtype="<f4").tobytes()
    answer = studio.client.post("/api/uploads", content=safetensors({"a": entry("F32", 50)}, good))
    assert answer.status_code == 201
    assert answer.json()["kind"] == "model"
    assert studio.client.get(f"/api/pictures/{answer.json()['id']}").status_code == 404
    spec = {"name": "kuwahara", "image": answer.json()["id"]}
    refused = studio.client.post("/api/jobs", json={"verb": "filter", "spec": spec})
    assert refused.status_code == 422


BAD = np.array([0, np.nan, 1], "<f4")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" + b"\0" * 100, "zip"),  # .pt
        (b"\x80\x02}q\x00.", "neither"),  # a pickle
        (struct.pack("<Q", 10**9) + b"{" + b" " * 100, "1000000000"),
        (safetensors({"a": entry("F32", 3)}, BAD.tobytes()), "finite"),
        (safetensors({"a": entry("F16", 3)}, BAD.astype("<f2").tobytes()), "finite"),
        (safetensors({"a": entry("BF16", 2)}, b"\0\0\x80\x7f"), "finite"),
        (safetensors({"a": entry("F32", 100)}, b"\0" * 8), "outside"),
        (safetensors({"a": {"dtype": "F32", "data_offsets": [-8, 4]}}, b"\0" * 8), "outside"),
        (safetensors(b"{" * 100_000), "damaged"),
        (safetensors(b'{"a": 3}'), "damaged"),
        (safetensors({f"t{i}": entry("F32", 0) for i in range(2001)}), "2001"),
    ],
)
def test_other_models_are_refused(studio: Studio, data, words):
    answer = studio.client.post("/api/uploads", params={"name": "model.pt"}, content=data)
    assert answer.status_code == 415
    assert words in answer.json()["error"]["message"]


# Disk


def test_nothing_is_taken_when_the_disk_is_nearly_full(tmp_path):
    with serving(tmp_path, limits={"free_disk": 10**15}) as studio:
        answer = studio.client.post("/api/uploads", content=png())
        assert answer.status_code == 507
        assert "full" in answer.json()["error"]["message"]


FULL = """
import asyncio, shutil, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from tests.studio.serving import png, serving
root = Path(sys.argv[1])
with serving(root, limits={"free_disk": 0, "upload": 3_000_000}) as studio:
    first = studio.upload(png(seed=1))
    filler = root / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(b"x" * 65536); file.flush()
        except OSError:
            pass
    noise = __import__("os").urandom(100_000)
    import io, numpy as np
    from PIL import Image
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)).save(
        stream, "PNG")
    full = studio.client.post("/api/uploads", content=stream.getvalue())
    assert full.status_code == 507, (full.status_code, full.text)
    assert not list((root / "incoming").iterdir())
    job = studio.client.post(
        "/api/jobs", json={"verb": "filter", "spec": {"name": "kuwahara", "image": first}})
    state = "refused" if job.status_code == 507 else studio.wait(job.json()["id"])["state"]
    assert state in ("refused", "failed"), state
    filler.unlink()
    assert studio.client.post("/api/uploads", content=stream.getvalue()).status_code == 201
    assert studio.wait(studio.add("filter", name="kuwahara", image=first)["id"])["state"] == "done"
print("survived")
"""


@pytest.mark.slow
def test_a_full_disk_is_survived(tmp_path):
    """On a small file system of its own; skips where none can be mounted."""
    source = Path(__file__).resolve().parents[2]
    mount = f"mount -t tmpfs -o size=4m tmpfs {tmp_path}"
    probe = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True)
    if probe.returncode:
        pytest.skip("no small file system can be mounted here")
    script = f'{mount} && exec "{sys.executable}" -c "$0" {tmp_path} {source}'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, FULL],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(source / "src")},
    )
    assert done.stdout.endswith("survived\n"), done.stderr[-3000:]


def test_a_file_is_whole_or_not_there(tmp_path):
    vault = room.Vault(tmp_path)
    with pytest.raises(RuntimeError), vault.incoming() as file:
        file.write(b"half of it")
        raise RuntimeError
    assert not list((tmp_path / "incoming").iterdir())
    assert not list((tmp_path / "pictures").rglob("*.png"))
    (tmp_path / "incoming" / "left").write_bytes(b"of a server that was killed")
    room.Vault(tmp_path)
    assert not list((tmp_path / "incoming").iterdir())


def test_a_disk_that_refuses_is_one_line(tmp_path):
    vault = room.Vault(tmp_path, reserve=10**18)
    with pytest.raises(ResourceError, match="nearly full"):
        vault.check_space()


def test_settings_of_others_are_only_read_where_they_make_sense(studio: Studio):
    """Texts in a picture come from anywhere."""
    for text in (
        "[1, 2]",
        "{",
        '{"verb": "filter", "spec": {"name": "x", "image": 3}}',
        '{"verb": "no such", "spec": {}}',
        '{"verb": "filter", "spec": {"evil": "<script>"}}',
        '{"verb": ["filter"], "spec": {"name": "kuwahara"}}',
        json.dumps({"verb": "filter", "spec": {"name": "a", "image": "b"}, "inputs": [1]}),
    ):
        info = PngImagePlugin.PngInfo()
        info.add_itxt("impasto", text)
        answer = studio.client.post("/api/uploads", content=png(26, 26, 6, pnginfo=info))
        assert answer.status_code == 201
        settings = answer.json()["settings"]
        assert settings is None or settings["spec"] == {"name": "a", "image": "b"}
