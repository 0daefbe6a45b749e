"""Downloads against a server on this machine, with everything that goes wrong."""

import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from impasto.backbones import ENTRIES, PREPROCESSING, Entry, download, weights
from impasto.backbones.download import Source, fetch
from impasto.errors import ResourceError, WeightsError

CONTENT = random.Random(1).randbytes(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()
NAME = "vgg11.tested"
FILE = f"vgg11-{SHA[:8]}.pth"


@pytest.fixture
def site(make_site):
    site = make_site()
    site.files[f"/{FILE}"] = CONTENT
    return site


@pytest.fixture
def entry(site, monkeypatch, weights_folder):
    """An entry whose only mirror is the server."""
    return put(monkeypatch, (f"{site.url}/{FILE}",))


def put(monkeypatch, urls, sha=SHA[:8], megabytes=3):
    made = Entry(
        NAME, FILE, sha, PREPROCESSING.get("imagenet"), "MIT", "a test", megabytes, urls=urls
    )
    monkeypatch.setitem(ENTRIES._items, NAME, made)
    return made


def test_a_download_arrives_whole_with_its_full_hash(entry, site, weights_folder):
    seen = []
    path = fetch(NAME, progress=lambda have, total: seen.append((have, total)))
    assert path == weights_folder / FILE and path.read_bytes() == CONTENT
    assert (weights_folder / f"{FILE}.sha256").read_text() == f"{SHA}  {FILE}\n"
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)
    assert sorted(p.name for p in weights_folder.iterdir()) == [FILE, f"{FILE}.sha256"]
    assert fetch(NAME) == path and len(site.requests) == 1


def test_a_wrong_file_is_refused_and_not_kept(entry, site, weights_folder):
    site.files[f"/{FILE}"] = b"x" + CONTENT[1:]
    with pytest.raises(WeightsError, match=r"wrong file, its sha256 is \w{12}\.\.\., not"):
        fetch(NAME)
    assert list(weights_folder.iterdir()) == []


def test_a_cut_connection_goes_on_where_it_stopped(entry, site):
    site.cut[f"/{FILE}"] = [1_200_000, 700_000, None]
    assert fetch(NAME).read_bytes() == CONTENT
    starts = [wanted for _, wanted in site.requests]
    assert starts[0] == "" and starts[1].startswith("bytes=1") and len(starts) == 3


def test_a_later_run_goes_on_where_the_last_one_stopped(entry, site, weights_folder):
    site.cut[f"/{FILE}"] = [500_000]
    with pytest.raises(WeightsError, match=r"cut after 1500000 of 3000000 bytes"):
        fetch(NAME)
    assert (weights_folder / f"{FILE}.part").stat().st_size == 1_500_000
    site.cut.clear()
    assert fetch(NAME).read_bytes() == CONTENT
    assert site.requests[-1][1] == "bytes=1500000-"
    assert not (weights_folder / f"{FILE}.part").exists()


def test_a_server_without_ranges_is_read_from_the_start(entry, site):
    site.cut[f"/{FILE}"] = [1_200_000, None]
    site.ranges = False
    assert fetch(NAME).read_bytes() == CONTENT


def test_rubbish_left_by_another_run_is_thrown_away(entry, site, weights_folder):
    weights_folder.mkdir()
    part = weights_folder / f"{FILE}.part"
    part.write_bytes(b"rubbish" * 1000)
    assert fetch(NAME).read_bytes() == CONTENT
    (weights_folder / FILE).unlink()
    part.write_bytes(CONTENT + b"too long")
    assert fetch(NAME).read_bytes() == CONTENT


def test_a_finished_part_is_not_downloaded_again(entry, site, weights_folder):
    weights_folder.mkdir()
    (weights_folder / f"{FILE}.part").write_bytes(CONTENT)
    assert fetch(NAME).read_bytes() == CONTENT
    assert [wanted for _, wanted in site.requests] == [f"bytes={len(CONTENT)}-"]


def test_a_dead_first_mirror_and_a_cut_second_one(site, make_site, monkeypatch, weights_folder):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/{FILE}"
    half = make_site()
    half.files[f"/{FILE}"] = CONTENT
    half.cut[f"/{FILE}"] = [400_000]
    wrong = make_site()
    put(monkeypatch, (dead, f"{wrong.url}/{FILE}", f"{half.url}/{FILE}", f"{site.url}/{FILE}"))
    assert fetch(NAME).read_bytes() == CONTENT
    assert site.requests == [(f"/{FILE}", "bytes=1200000-")]
    assert len(wrong.requests) == 1


def test_when_all_mirrors_fail_each_says_why(make_site, monkeypatch, weights_folder):
    empty, other = make_site(), make_site()
    other.files[f"/{FILE}"] = b"something else"
    put(monkeypatch, (f"{empty.url}/{FILE}", f"{other.url}/{FILE}", f"ftp://host/{FILE}"))
    with pytest.raises(WeightsError) as caught:
        fetch(NAME)
    message = str(caught.value)
    assert "answered 404" in message and "wrong file" in message
    assert "not an http, https or file address" in message and "IMPASTO_MIRROR" in message
    assert "\n" not in message


def test_the_users_mirror_comes_first(entry, site, make_site, monkeypatch, tmp_path):
    mine = make_site()
    mine.files[f"/deep/{FILE}"] = CONTENT
    monkeypatch.setenv("IMPASTO_MIRROR", f"{site.url}/no/such/place {mine.url}/deep/")
    assert fetch(NAME).read_bytes() == CONTENT
    assert [p for p, _ in site.requests] == [f"/no/such/place/{FILE}"] and mine.requests


def test_a_folder_can_be_a_mirror(monkeypatch, weights_folder, tmp_path):
    put(monkeypatch, ("http://127.0.0.1:9/nothing",))
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / FILE).write_bytes(CONTENT)
    monkeypatch.setenv("IMPASTO_MIRROR", stick.as_uri())
    assert fetch(NAME).read_bytes() == CONTENT


def test_more_bytes_than_there_can_be_are_refused(site, monkeypatch, weights_folder):
    put(monkeypatch, (f"{site.url}/{FILE}",), megabytes=1)
    with pytest.raises(WeightsError, match="3000000 bytes, more than the 2000000"):
        fetch(NAME)


def test_the_recorded_hash_binds_although_the_publisher_gives_eight_digits(entry, weights_folder):
    path = fetch(NAME)
    record = weights.record_path(path)
    other = SHA[:8] + "0" * 56
    record.write_text(f"{other}  {FILE}\n")
    with pytest.raises(WeightsError, match="is damaged"):
        weights.verify(weights.locate(entry))
    record.write_text("0" * 64)
    assert weights.verify(weights.locate(entry)) == SHA  # contradicts the entry: ignored


def test_a_damaged_file_is_fetched_again(entry, site, weights_folder):
    path = fetch(NAME)
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(
        WeightsError, match=rf"damaged.*delete it, then impasto weights fetch {NAME}"
    ):
        weights.verify(weights.locate(entry))
    assert fetch(NAME).read_bytes() == CONTENT and len(site.requests) == 2


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_offline_opens_no_socket(entry, site, monkeypatch, how, weights_folder):
    def refused(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    if how == "environment":
        monkeypatch.setenv("IMPASTO_OFFLINE", "1")
    with pytest.raises(WeightsError, match=rf"not to be used .*put it into {weights_folder}"):
        fetch(NAME, offline=how == "flag")
    weights_folder.mkdir()
    (weights_folder / FILE).write_bytes(CONTENT)
    assert fetch(NAME, offline=how == "flag") == weights_folder / FILE


def test_online_would_have_opened_one(entry, monkeypatch):
    """The test above can fail: without the flag the same patch is reached."""

    def refused(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "create_connection", refused)
    with pytest.raises(AssertionError, match="a socket was opened"):
        fetch(NAME)


def test_torchs_own_cache_is_found(entry, site, tmp_path):
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(CONTENT)
    assert fetch(NAME) == folder / FILE and site.requests == []
    (folder / FILE).write_bytes(b"damaged")
    assert fetch(NAME).parent != folder  # theirs is left alone, ours is right


def test_a_folder_that_cannot_be_written_says_so(entry, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(tmp_path / "file" / "weights"))
    with pytest.raises(WeightsError, match=r"cannot write to .*set IMPASTO_WEIGHTS to"):
        fetch(NAME)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_lack_of_resources(entry, weights_folder):
    weights_folder.mkdir()
    (weights_folder / f"{FILE}.part").symlink_to("/dev/full")
    with pytest.raises(ResourceError, match="No space left"):
        fetch(NAME)


WORKER = """
import sys
from impasto.backbones import ENTRIES, PREPROCESSING, Entry
from impasto.backbones.download import fetch
name, file, sha, url = sys.argv[1:]
ENTRIES.add(name, Entry(name, file, sha, PREPROCESSING.get("imagenet"), "MIT", "t", 3, urls=(url,)))
print(fetch(name))
"""


def test_two_processes_at_once_end_with_one_good_file(entry, site, weights_folder):
    site.delay = threading.Event()
    command = [sys.executable, "-c", WORKER, NAME, FILE, SHA[:8], f"{site.url}/{FILE}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    environment |= {"OMP_NUM_THREADS": "1"}
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        until = time.monotonic() + 60
        while not site.requests and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(1.0)
        site.delay.set()
        outputs = [run.communicate(timeout=60)[0].strip() for run in runs]
    finally:
        for run in runs:
            run.kill()
    assert outputs == [str(weights_folder / FILE)] * 2
    assert len(site.requests) == 1
    assert (weights_folder / FILE).read_bytes() == CONTENT
    assert sorted(p.name for p in weights_folder.iterdir()) == [FILE, f"{FILE}.sha256"]


def test_the_lock_excludes_and_is_released(tmp_path):
    target = tmp_path / "file"
    order = []

    def other():
        with download.lock(target):
            order.append("other")

    with download.lock(target):
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.3)
        order.append("mine")
    thread.join(5)
    assert order == ["mine", "other"] and list(tmp_path.iterdir()) == []


def test_an_abandoned_lock_file_does_not_block(entry, weights_folder):
    weights_folder.mkdir()
    (weights_folder / f"{FILE}.lock").write_text("left by a process that was killed")
    assert fetch(NAME).read_bytes() == CONTENT


def test_embedded_weights_need_no_download():
    assert fetch("vgg16_bn.craft", offline=True).name == "craft_mlt_25k.pth"


def test_converted_weights_say_how_they_are_made(weights_folder):
    with pytest.raises(WeightsError, match=r"weights convert imagenet-vgg-verydeep-19\.mat"):
        fetch("vgg19.matconvnet")


def test_download_alone(site, tmp_path):
    source = Source((f"{site.url}/{FILE}",), SHA, 10**7)
    assert download.download(source, tmp_path / "x") == SHA
