"""Terms add up as they say, against a computation by hand."""

from __future__ import annotations

import pytest
import torch

from impasto.engine.objective import IMAGE, Goal, Objective, Term, goal_for, looked
from impasto.losses import Content, Gram, TotalVariation
from impasto.testing import gradient_picture, thin_vgg

NET = thin_vgg(dtype=torch.float64)
PHOTO = gradient_picture(40, 48, torch.float64)
ART = torch.rand(1, 3, 36, 64, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
X = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def gram(features: torch.Tensor) -> torch.Tensor:
    flat = features[0].flatten(1)
    return flat @ flat.T / flat.shape[1]


def test_weighted_sum_by_hand() -> None:
    content = Term("content", Content("mean"), ("relu2_2", "relu3_1"), 3.0)
    style = Term("style", Gram("hw", "mean"), ("relu1_1", "relu2_1"), 5.0, (0.25, 2.0))
    smooth = Term("tv", TotalVariation(2.0), (IMAGE,), 7.0)
    goals = [
        goal_for(content, NET, [PHOTO], [1.0]),
        goal_for(style, NET, [ART], [1.0]),
        goal_for(smooth, NET, [PHOTO], [1.0]),
    ]
    values = Objective(NET, goals)(X)
    layers = ("relu1_1", "relu2_1", "relu2_2", "relu3_1")
    x, p, a = (NET.taps(t, layers) for t in (X, PHOTO, ART))
    by_hand = {
        "content": 3 * sum((x[n] - p[n]).square().mean() / 2 for n in ("relu2_2", "relu3_1")),
        "style": 5
        * (
            0.25 * (gram(x["relu1_1"]) - gram(a["relu1_1"])).square().mean()
            + 2.0 * (gram(x["relu2_1"]) - gram(a["relu2_1"])).square().mean()
        ),
        "tv": 7 * (X.diff(dim=2).square().mean() + X.diff(dim=3).square().mean()),
    }
    assert values.keys() == by_hand.keys()
    for name, expected in by_hand.items():
        torch.testing.assert_close(values[name], torch.as_tensor(expected))


def test_pictures_looked_at_together_have_the_values_and_gradients_of_each() -> None:
    terms = [
        Term("content", Content("mean"), ("relu2_2",), 3.0),
        Term("style", Gram("hw", "mean"), ("relu1_1", "relu2_1"), 5.0),
        Term("tv", TotalVariation(2.0), (IMAGE,), 7.0),
    ]
    goals = [goal_for(t, NET, [ART if t.name == "style" else PHOTO], [1.0]) for t in terms]
    pictures = [t.clone().requires_grad_(True) for t in (X, X.flip(1), PHOTO)]
    views = looked(NET, pictures, ["relu2_2", "relu1_1", "relu2_1", IMAGE])
    for seen, picture in zip(views, pictures, strict=True):
        assert seen.picture is picture
        alone = Objective(NET, goals)(picture)
        torch.testing.assert_close(Objective(seen, goals)(picture), alone)
        expected = torch.autograd.grad(sum(alone.values()), picture)
        again = Objective(seen, goals)(picture)
        made = torch.autograd.grad(sum(again.values()), picture, retain_graph=True)
        torch.testing.assert_close(made, expected)


def test_eyes_that_have_looked_look_again_only_at_anything_else() -> None:
    (seen,) = looked(NET, [PHOTO], ["relu1_1"])
    assert seen.taps(PHOTO, ["relu1_1"])["relu1_1"] is seen.found["relu1_1"]
    torch.testing.assert_close(seen.taps(X, ["relu1_1"]), NET.taps(X, ["relu1_1"]))
    torch.testing.assert_close(seen.taps(PHOTO, ["relu3_1"]), NET.taps(PHOTO, ["relu3_1"]))


def test_blend_of_two_paintings_is_between_them() -> None:
    term = Term("style", Gram("hw", "mean"), ("relu2_1",))
    other = ART.flip(1) * 0.3
    one, two = (goal_for(term, NET, [p], [1.0]).targets["relu2_1"][0] for p in (ART, other))
    both = goal_for(term, NET, [ART, other], [0.3, 0.7]).targets["relu2_1"][0]
    torch.testing.assert_close(both, 0.3 * one + 0.7 * two)


def test_terms_of_weight_zero_cost_nothing() -> None:
    dead = Goal(Term("deep", Content(), ("relu5_3",), 0.0), {})
    tv = goal_for(Term("tv", TotalVariation(), (IMAGE,)), NET, [X], [1.0])
    objective = Objective(NET, [dead, tv])
    assert objective.layers == [IMAGE]
    assert list(objective(X)) == ["tv"]


def test_gradient_reaches_the_picture() -> None:
    goal = goal_for(Term("style", Gram(), ("relu1_1",)), NET, [ART], [1.0])

    def total(x: torch.Tensor) -> torch.Tensor:
        return sum(Objective(NET, [goal])(x).values(), x.new_zeros(()))

    small = X[..., :6, :5].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(total, small, atol=1e-6)


def test_layer_weights_must_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        Term("style", Gram(), ("relu1_1",), 1.0, (1.0, 2.0)).shares()
