"""The critic: a value that learns, and a picture that learns to deceive it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.losses import MarkovianAdversarial


def stripes(angle: str, seed: int, size: int = 24) -> Tensor:
    """Noisy stripes, (1, 4, H, W)."""
    line = torch.sin(torch.arange(size) * 1.6)
    wave = line.expand(size, size) if angle == "down" else line[:, None].expand(size, size)
    noise = torch.randn(1, 4, size, size, generator=torch.Generator().manual_seed(seed))
    return torch.stack([wave, -wave, wave**2, wave * 0])[None] + 0.3 * noise


LOSS = MarkovianAdversarial(hidden=8, lr=1e-2, patches=400)


def taught(picture: Tensor, steps: int) -> tuple[Tensor, ...]:
    target = LOSS.target(stripes("down", 0))
    for _ in range(steps):
        target = LOSS.learn(picture, target)
    return target


def test_the_critic_learns_to_tell_textures_apart() -> None:
    picture = stripes("across", 1)
    before, after = LOSS.target(stripes("down", 0)), taught(picture, 60)
    assert LOSS(picture, before) < 1.6
    assert LOSS(picture, after) > 1.8
    # It knows the textures, not the pictures: both are new to it.
    assert LOSS.scores(stripes("down", 7), after).mean() > 0.7
    assert LOSS.scores(stripes("across", 8), after).mean() < -0.7


def test_the_picture_learns_to_deceive_it() -> None:
    picture = stripes("across", 1)
    target = taught(picture, 60)
    start = LOSS(picture, target)
    x = picture.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([x], lr=0.06)
    for _ in range(20):
        target = LOSS.learn(x, target)
        optimiser.zero_grad()
        LOSS(x, target).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    frozen = taught(picture, 60)
    assert LOSS(x, frozen) < 0.7 * start


def test_learning_makes_a_new_value_and_is_repeatable() -> None:
    picture = stripes("across", 1)
    target = LOSS.target(stripes("down", 0))
    before = [t.clone() for t in target]
    one, two = LOSS.learn(picture, target), LOSS.learn(picture, target)
    assert all(torch.equal(a, b) for a, b in zip(before, target, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[2], target[2])
    assert float(one[2][3, 0]) == 1
    assert not any(t.requires_grad for t in one)


def test_its_steps_are_those_of_adam() -> None:
    picture = stripes("across", 1)
    target = LOSS.target(stripes("down", 0))
    row = target[2][0].clone().requires_grad_(True)
    optimiser = torch.optim.Adam([row], lr=LOSS.lr, betas=(0.5, 0.999))
    for _ in range(5):
        mean = target[0].mean((0, 2, 3), keepdim=True)
        std = target[0].var((0, 2, 3), correction=0, keepdim=True).sqrt()
        real = LOSS._judge((target[0] - mean) / std, row)
        fake = LOSS._judge(
            torch.nn.functional.pad((picture - mean) / std, (1, 1, 1, 1), mode="replicate"), row
        )
        optimiser.zero_grad()
        ((1 - real).clamp_min(0).mean() + (1 + fake).clamp_min(0).mean()).backward()
        optimiser.step()
    learnt = target
    for _ in range(5):
        learnt = LOSS.learn(picture, learnt)
    torch.testing.assert_close(learnt[2][0], row.detach(), rtol=1e-4, atol=1e-5)


def test_it_learns_only_from_inside_a_map() -> None:
    picture = stripes("across", 1)
    weight = torch.zeros(1, 1, 24, 24)
    weight[..., :12] = 1
    other = picture.clone()
    other[..., 12:] = 9
    target = LOSS.target(stripes("down", 0))
    one, two = LOSS.learn(picture, target, weight), LOSS.learn(other, target, weight)
    assert torch.equal(one[2], two[2])


def test_it_learns_nothing_from_a_picture_gone_astray() -> None:
    picture = stripes("across", 1)
    target = LOSS.target(stripes("down", 0))
    picture[0, 0, 3, 3] = float("nan")
    assert torch.equal(LOSS.learn(picture, target)[2], target[2])


def test_value_in_float64() -> None:
    """Patch by patch, with the critic's formula."""
    picture, target = stripes("across", 1, 7).double(), taught(stripes("across", 1), 20)
    patches, _, critic = (t.double().numpy() for t in target)
    mean = patches.mean((0, 2, 3))
    std = patches.std((0, 2, 3))
    row, filters = critic[0], 9 * 4 * LOSS.hidden
    first = row[:filters].reshape(LOSS.hidden, 4, 3, 3)
    bias, second = row[filters : filters + LOSS.hidden], row[filters + LOSS.hidden : -1]
    plane = (picture.numpy()[0] - mean[:, None, None]) / std[:, None, None]
    plane = np.pad(plane, ((0, 0), (1, 1), (1, 1)), mode="edge")
    hinges = []
    for y in range(7):
        for x in range(7):
            seen = (first * plane[:, y : y + 3, x : x + 3]).sum((1, 2, 3)) + bias
            score = second @ np.where(seen > 0, seen, 0.2 * seen) + row[-1]
            hinges.append(max(0.0, 1 - score))
    assert float(LOSS(picture.float(), target)) == pytest.approx(np.mean(hinges), rel=1e-4)
