"""Ctrl-C and SIGTERM in real runs on the real network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from impasto import images
from impasto.cli.verbs import _stopped
from impasto.outputs import checkpoint_path
from impasto.specs import OutputSpec

from .commands import SMALL, command, default_signals, environment

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

JOB = ("stylize", "photo.png", "painting.png", "--iterations", "40", *SMALL)


def start(folder, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*JOB, *more),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=default_signals,
    )


def interrupt_after_first_step(process: subprocess.Popen[bytes], number: int) -> tuple[str, str]:
    """Wait for the first line of progress, send the signal; returns stdout and stderr."""
    first = process.stderr.readline()
    assert b"step 1/40" in first, first + process.stderr.read()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return out.decode("latin1"), err.decode()


@pytest.mark.parametrize(
    ("optimizer", "number"),
    [
        ("adam", signal.SIGINT),
        pytest.param("lbfgs", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_stop_and_resume_end_like_a_run_without_a_stop(run, folder, optimizer, number):
    more = ("--optimizer", optimizer)
    whole = run(*JOB, *more, "-o", "whole.png")
    assert whole.returncode == 0, whole.stderr
    process = start(folder, *more, "-o", "cut.png")
    out, err = interrupt_after_first_step(process, number)
    assert process.returncode == 130
    assert out == ""
    assert "the picture so far is cut.png, the checkpoint cut.png.checkpoint" in err
    assert "--resume continues" in err.splitlines()[-1]
    assert images.read_metadata(folder / "cut.png")["complete"] is False
    assert (folder / "cut.png").read_bytes() != (folder / "whole.png").read_bytes()

    other = run(*JOB, *more, "-o", "cut.png", "--resume", "--seed", "1")
    assert other.returncode == 2
    assert "belongs to other settings" in other.stderr
    assert (folder / "cut.png.checkpoint").exists()

    rest = run(*JOB, *more, "-o", "cut.png", "--resume")
    assert rest.returncode == 0, rest.stderr
    assert "step 1/40" not in rest.stderr
    assert (folder / "cut.png").read_bytes() == (folder / "whole.png").read_bytes()
    assert not (folder / "cut.png.checkpoint").exists()

    again = run(*JOB, *more, "-o", "cut.png", "--resume")
    assert again.returncode == 4
    assert "no checkpoint" in again.stderr


def test_stopped_pipe_gets_the_picture_so_far_and_leaves_no_file(folder):
    before = set(folder.iterdir())
    process = start(folder, "-o", "-")
    out, err = interrupt_after_first_step(process, signal.SIGINT)
    assert process.returncode == 130
    assert images.load(out.encode("latin1")).size == (51, 64)
    assert "went to standard output" in err
    assert set(folder.iterdir()) == before


@pytest.mark.slow
def test_json_tells_of_the_stop(folder):
    process = start(folder, "-o", "out.png", "--json")
    out, _ = interrupt_after_first_step(process, signal.SIGINT)
    error = json.loads(out)["error"]
    assert (error["type"], error["exit_code"]) == ("Cancelled", 130)


def test_while_loading_it_stops_at_once_and_writes_nothing(folder):
    before = set(folder.iterdir())
    python, *rest = command(*JOB, "-o", "out.png")
    process = subprocess.Popen(
        [python, "-X", "importtime", *rest],  # says which module it has just loaded
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=default_signals,
    )
    for line in process.stderr:
        if b" torch._C" in line or b" torch._utils" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"stopped at once" in err
    assert b"Traceback" not in err
    assert b"torch.optim.lbfgs" not in err  # among the last that torch loads
    assert set(folder.iterdir()) == before


BUSY = """
import hashlib, os
from impasto.cli.interrupts import Interrupts
with Interrupts() as interrupts:
    interrupts.graceful()
    interrupts.announce = lambda: os.write(1, b"announced ")
    os.write(1, b"ready ")
    # Like a step of torch: one call that releases the lock but lets no signal handler run.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


def test_second_ctrl_c_ends_even_a_process_that_is_busy_in_c():
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY],
        env=environment(),
        stdout=subprocess.PIPE,
        preexec_fn=default_signals,
    )
    assert process.stdout.read(6) == b"ready "
    try:
        process.send_signal(signal.SIGINT)
        assert process.stdout.read(10) == b"announced "
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    finally:
        process.kill()
        process.communicate()


def test_signals_that_are_ignored_stay_so():
    code = (
        "import signal; from impasto.cli.interrupts import Interrupts\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with Interrupts(): assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN\n"
        "old = signal.getsignal(signal.SIGTERM)\n"
        "with Interrupts(): assert signal.getsignal(signal.SIGTERM) is not old\n"
        "assert signal.getsignal(signal.SIGTERM) is old\n"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


def test_a_checkpoint_is_named_only_where_there_is_one(tmp_path):
    path = str(tmp_path / "out.png")
    checkpoint = checkpoint_path(path)
    for there in (False, True):
        if there:
            checkpoint.write_bytes(b"")
        stopped = _stopped(OutputSpec.build(output=path), True, " at step 3", "picture")
        assert path in stopped.message
        assert (str(checkpoint) in stopped.message) == there
        assert ("--resume" in stopped.hint) == there
