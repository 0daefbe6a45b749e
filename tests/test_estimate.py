"""Share and time left, with clocks that the tests turn."""

from __future__ import annotations

import pytest

from impasto.estimate import Estimate, clock

SCALES = ((10, 10, 4), (20, 20, 5))  # 400 and 2000 pixel steps


def test_nothing_is_known_before_the_second_step():
    estimate = Estimate(SCALES)
    assert (estimate.share, estimate.left) == (0.0, None)
    estimate.begin(0, now=100.0)
    estimate.update(0, 1, now=101.0)
    assert estimate.left is None
    estimate.update(0, 2, now=102.0)
    assert estimate.share == pytest.approx(200 / 2400)
    assert estimate.left == pytest.approx(2200 / 100)  # 100 pixel steps a second


def test_speed_is_learned_anew_at_every_scale():
    estimate = Estimate(SCALES)
    estimate.begin(0, now=0.0)
    for step in range(1, 5):
        estimate.update(0, step, now=float(step))
    estimate.begin(1, now=50.0)  # a pause between the scales does not count
    estimate.update(1, 1, now=51.0)
    assert estimate.left == pytest.approx(1600 / 100)  # the speed before, until there is another
    estimate.update(1, 2, now=52.0)
    assert estimate.left == pytest.approx(1200 / 400)
    estimate.update(1, 5, now=55.0)
    assert (estimate.share, estimate.left) == (1.0, 0.0)


def test_a_resumed_run_counts_only_its_own_steps():
    estimate = Estimate(SCALES)
    estimate.begin(1, now=0.0)
    estimate.update(1, 3, now=2.0)
    assert estimate.share == pytest.approx(1600 / 2400)
    estimate.update(1, 4, now=4.0)
    assert estimate.left == pytest.approx(400 / (800 / 4))


def test_no_scales_and_no_time():
    assert Estimate(()).share == 1.0
    estimate = Estimate(((10, 10, 3),))
    estimate.begin(0, now=0.0)
    estimate.update(0, 2, now=0.0)
    assert estimate.left is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-:--"), (0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")],
)
def test_clock(seconds, text):
    assert clock(seconds) == text
