"""Activations, exponentials and softmax equal torch's, forward and backward."""

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together
from torch import nn

import tacit
from tacit.errors import Unsupported

CASES = {
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "softplus, beta 2": lambda x: F.softplus(x, beta=2.0),
    "softplus, beta 0.3": lambda x: F.softplus(x, beta=0.3),
    "logsigmoid": F.logsigmoid,
    "elu": F.elu,
    "elu, alpha 0.5": lambda x: F.elu(x, alpha=0.5),
    "elu in place": lambda x: F.elu(x * 1.0, alpha=1.5, inplace=True),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, alpha=2.0),
    "softmax": lambda x: x.softmax(-1),
    "softmax of the first axis": lambda x: x.softmax(0),
    "softmax of a middle axis": lambda x: x.reshape(2, 4, 15).softmax(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "log_softmax of the first axis": lambda x: x.log_softmax(0),
    "logsumexp": lambda x: x.logsumexp(1),
    "logsumexp of all": lambda x: x.reshape(2, 4, 15).logsumexp((0, 2), keepdim=True),
    "softmax of one": lambda x: x[:, :1].softmax(1) * x[:, :1],
    "softmin": lambda x: F.softmin(x, dim=1),
}


def compared(function, values, weights, protocol, tolerance, format=tacit.Format()):  # noqa: B008
    """The value, and the gradient of a weighted sum of it."""

    def work(s):
        x = s.secret(values, owner=0).requires_grad_()
        out = function(x)
        (out * weights.expand(out.shape)).sum().backward()
        return s.reveal([out, x.grad])

    plain = values.clone().requires_grad_()
    expected = function(plain)
    (expected * weights.expand(expected.shape)).sum().backward()
    got = together(work, 2, protocol, format=format)
    for ours, right in zip(got, (expected, plain.grad), strict=True):
        torch.testing.assert_close(ours, right.detach(), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("name", CASES)
def test_forward_and_backward(name, protocol):
    compared(CASES[name], draw((12, 10))[0] * 2, torch.tensor(0.75), protocol, 2e-3)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "gelu", "silu", "mish", "softplus", "logsigmoid", "elu", "exp"])
def test_over_the_whole_domain(name):
    """Exponentials end at the largest number."""
    values = torch.cat([torch.linspace(-31.5, 31.5, 500), torch.linspace(-3, 3, 300)])
    if name == "exp":
        values = values.clamp(max=3.4)
    compared(CASES[name], values, torch.tensor(1.0), "spdz", 2e-3, tacit.Format(16, 5))


def test_a_public_gradient_and_a_secret_one():
    values, factors = draw((6, 10), (6, 10))

    def work(s):
        x = s.secret(values, owner=0).requires_grad_()
        w = s.secret(factors, owner=1)
        (x.softmax(1) * w + x.log_softmax(1) * w).sum().backward()
        return s.reveal(x.grad)

    plain = values.clone().requires_grad_()
    (plain.softmax(1) * factors + plain.log_softmax(1) * factors).sum().backward()
    torch.testing.assert_close(together(work, 2, "spdz"), plain.grad, atol=4e-3, rtol=2e-3)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "softplus", "logsigmoid", "elu", "softplus, beta 0.3"])
def test_both_passes_compare_once(name):
    def work(s):
        x = s.secret(draw((20,))[0], owner=0).requires_grad_()
        CASES[name](x).sum().backward()
        s.reveal(x.grad)
        return [r.kind for r in s.engine.protocol.ledger].count("comparison")

    assert together(work, 2, "spdz") == 1


@pytest.mark.parametrize("format", [(16, 12), (16, 6)])
def test_cross_entropy(format):
    values, labels = draw((16, 10))[0], torch.arange(16) % 10

    def work(s):
        x = s.secret(values, owner=0).requires_grad_()
        loss = F.cross_entropy(x, labels)
        loss.backward()
        return s.reveal([loss, x.grad])

    plain = values.clone().requires_grad_()
    expected = F.cross_entropy(plain, labels)
    expected.backward()
    loss, grad = together(work, 2, "spdz", format=tacit.Format(*format))
    torch.testing.assert_close(loss, expected.detach(), atol=2e-3, rtol=0)
    torch.testing.assert_close(grad, plain.grad, atol=2e-4, rtol=0)


def test_a_loss_that_nobody_reveals_takes_no_logarithm():
    """And where the labels are one-hots, known in public or not, the gradient takes no product of secrets."""
    labels = torch.arange(16) % 10

    def work(s):
        x = s.secret(draw((16, 10))[0], owner=0).requires_grad_()
        loss = F.cross_entropy(x, labels)
        loss.backward()
        s.reveal(x.grad)
        rounds, kinds = s.engine.costs.rounds, [r.kind for r in s.engine.protocol.ledger]
        s.reveal(loss)
        return rounds, kinds.count("comparison"), s.engine.costs.rounds - rounds

    rounds, comparisons, more = together(work, 2, "spdz", format=tacit.Format(16, 6))
    assert rounds <= 30
    assert comparisons == 1
    assert more >= 8


def test_a_perceptron_learns_as_in_the_clear():
    x, y = draw((32, 6))[0], torch.arange(32) % 3
    base = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))

    def steps(model, x):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(3):
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimiser.step()

    def work(s):
        import copy

        model = s.share(copy.deepcopy(base), owner=0)
        steps(model, s.secret(x, owner=0))
        return s.reveal([model[0].weight, model[4].weight])

    import copy

    plain = copy.deepcopy(base)
    steps(plain, x)
    for got, right in zip(together(work, 2, "spdz"), (plain[0].weight, plain[4].weight), strict=True):
        torch.testing.assert_close(got, right.detach(), atol=3e-3, rtol=3e-3)


def test_whole_numbers_and_shapes():
    def work(s):
        labels = s.secret(torch.arange(-3, 4), owner=0)
        return [s.reveal(labels.float().exp()), s.reveal(s.secret(torch.tensor(0.5), owner=0).sigmoid())]

    exps, half = together(work, 2, "spdz")
    torch.testing.assert_close(exps, torch.arange(-3, 4).float().exp(), atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(half, torch.tensor(0.5).sigmoid(), atol=1e-3, rtol=0)


def test_a_softplus_that_breaks_off_early_is_refused():
    def work(s):
        x = s.secret(torch.zeros(3), owner=0)
        with pytest.raises(Unsupported, match="threshold"):
            F.softplus(x, threshold=1.0)
        return 0

    together(work, 1)
