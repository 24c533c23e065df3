"""Dropout: a public mask that all parties draw alike, in the forward pass and in the backward pass."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together
from torch import nn

import tacit

X = draw((40, 50))[0]


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
def test_what_is_kept_is_scaled_and_its_gradient_likewise(protocol):
    def work(s):
        x = s.secret(X, owner=0).requires_grad_()
        out = F.dropout(x, 0.25)
        out.sum().backward()
        return s.reveal([out, x.grad])

    out, grad = together(work, 2, protocol)
    kept = out != 0
    assert 0.7 < kept.float().mean() < 0.8
    torch.testing.assert_close(out, X / 0.75 * kept, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(grad, kept / 0.75, atol=1e-3, rtol=1e-3)


def test_every_call_draws_anew_and_evaluation_drops_nothing():
    def work(s):
        x, layer = s.secret(X, owner=0), nn.Dropout(0.5)
        first, second = layer(x), layer(x)
        layer.eval()
        return s.reveal([first, second, layer(x)])

    first, second, evaluated = together(work)
    assert ((first == 0) != (second == 0)).any()
    torch.testing.assert_close(evaluated, X, atol=1e-4, rtol=0)


def test_the_seed_decides():
    def work(s):
        return s.reveal(F.dropout(s.secret(X, owner=0), 0.5)) == 0

    one, same, other = together(work, seed=1), together(work, seed=1), together(work, seed=2)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_whole_channels():
    def work(s):
        return s.reveal(F.dropout2d(s.secret(torch.ones(8, 16, 3, 3), owner=0), 0.5))

    dropped = (together(work) == 0).float().mean((2, 3))
    assert set(dropped.reshape(-1).tolist()) == {0.0, 1.0}


def test_what_is_no_probability_or_a_generator_of_ones_own_is_refused():
    def work(s):
        x = s.secret(X, owner=0)
        with pytest.raises(tacit.Unsupported, match="generator"):
            torch.empty_like(x).bernoulli_(0.5, generator=torch.Generator())
        for chance in (1.5, -0.1, float("nan")):
            with pytest.raises(ValueError, match="between 0 and 1"):
                torch.empty_like(x).bernoulli_(chance)
        with pytest.raises(tacit.Unsupported, match="holds secrets"):
            x.bernoulli_(0.5)
        return np.zeros(1)

    tacit.run(work, 1, protocol="clear", backend="torch")
