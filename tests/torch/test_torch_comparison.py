"""ReLU and its kin equal torch's, forward and backward; one comparison serves both."""

import copy

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together
from torch import nn

import tacit

CASES = {
    "relu": F.relu,
    "leaky relu": lambda x: F.leaky_relu(x, 0.1),
    "abs": torch.abs,
    "l1": lambda x: F.l1_loss(x, torch.full((4, 5), 0.25)),
    "relu of a sum": lambda x: F.relu(x + 0.3 * x.abs()),
}


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("name", CASES)
def test_forward_and_backward(name, protocol):
    values = draw((4, 5))[0] * 3
    values[(values.abs() < 0.02) | ((values - 0.25).abs() < 0.02)] = 1.5  # nearer to a corner either side is right

    def work(s):
        x = s.secret(values, owner=0).requires_grad_()
        out = CASES[name](x)
        out.sum().backward()
        return s.reveal([out, x.grad])

    plain = values.clone().requires_grad_()
    expected = CASES[name](plain)
    expected.sum().backward()
    for got, right in zip(together(work, 2, protocol), (expected, plain.grad), strict=True):
        torch.testing.assert_close(got, right.detach(), atol=2e-3, rtol=2e-3)


def test_near_zero_a_relu_is_off_by_its_resolution_at_most():
    values = torch.linspace(-0.05, 0.05, 500)

    def work(s):
        return s.reveal(F.relu(s.secret(values, owner=0)))

    assert (together(work, 2, "spdz") - F.relu(values)).abs().max() <= 2**-8


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
def test_absolute_values_and_signs_are_exact(protocol):
    """An absolute value is never negative, nor the sign of a small gradient a guess: nothing that is divided by it would hold."""
    values = torch.cat([torch.linspace(-(2**-7), 2**-7, 201), torch.tensor([-1.0, 3.0])])
    values = (values * 2**16).round() / 2**16

    def work(s):
        x = s.secret(values, owner=0)
        return s.reveal([x.abs(), x.sign(), F.l1_loss(x, torch.zeros_like(x), reduction="none"), x.norm(p=1)])

    for got, right in zip(
        together(work, 2, protocol), (values.abs(), values.sign(), values.abs(), values.norm(p=1)), strict=True
    ):
        torch.testing.assert_close(got, right, atol=0, rtol=1e-6)


def test_an_absolute_value_is_compared_once_for_both_passes():
    def work(s):
        x = s.secret(draw((5, 3))[0], owner=0).requires_grad_()
        x.abs().sum().backward()
        s.reveal([x.abs(), x.grad])
        return [r.kind for r in s.engine.protocol.ledger].count("comparison")

    assert together(work, 2, "spdz") == 1


def test_a_relu_is_compared_once_for_both_passes():
    def work(s):
        model = s.share(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)), owner=0)
        x = s.secret(draw((5, 3))[0], owner=0)
        model(x).sum().backward()
        s.reveal(model[0].weight.grad)
        return [r.kind for r in s.engine.protocol.ledger].count("comparison")

    assert together(work, 2, "spdz") == 1


@pytest.mark.parametrize(("protocol", "tolerance"), [("clear", 0.005), ("spdz", 0.05)])
def test_a_network_with_relus_trains_as_in_the_clear(protocol, tolerance):
    """Under spdz the gradient at a value near zero may be either of a ReLU's two."""
    base = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    x, y = draw((16, 4), (16, 2))

    def steps(model, x, y):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(4):
            optimiser.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimiser.step()

    def work(s):
        model = s.share(copy.deepcopy(base), owner=0)
        steps(model, s.secret(x, owner=0), s.secret(y, owner=1))
        return s.reveal([model[0].weight, model[2].weight])

    plain = copy.deepcopy(base)
    steps(plain, x, y)
    for got, right in zip(together(work, 2, protocol), (plain[0].weight, plain[2].weight), strict=True):
        torch.testing.assert_close(got, right.detach(), atol=tolerance, rtol=tolerance)


def test_in_place_activations_keep_their_gates():
    """What came out is brought to another scale when it is written; its gradient still goes where the input was positive."""
    values = torch.cat([torch.linspace(-1, -0.02, 100), torch.linspace(0.02, 1, 100)])

    def work(s):
        x = s.secret(values, owner=0, format=tacit.Format(16, 1)).requires_grad_()
        z = s.secret(values, owner=0).requires_grad_()
        (F.relu_(x * x * 0.3 - 0.2).sum() + F.leaky_relu(z * 1.5, 0.01, inplace=True).sum()).backward()
        return s.reveal([x.grad, z.grad])

    x, z = values.clone().requires_grad_(), values.clone().requires_grad_()
    (F.relu_(x * x * 0.3 - 0.2).sum() + F.leaky_relu(z * 1.5, 0.01, inplace=True).sum()).backward()
    near = (x * x * 0.3 - 0.2).abs() < 0.01
    got, leaky = together(work, 2, "spdz")
    torch.testing.assert_close(got[~near], x.grad[~near], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(leaky, z.grad, atol=2e-3, rtol=2e-3)
