"""Public masks far below the format: softmax and its kin give what torch gives, with exact zeros, in every protocol."""

import copy

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together
from torch import nn

import tacit

PROTOCOLS = {"clear": 2, "spdz": 2, "shamir": 3}
CAUSAL = torch.ones(4, 4).triu(1).bool()
PADDING = torch.tensor([[False, False, False, True], [False, False, True, True]])
SCORES = draw((2, 4, 4), seed=5)[0] * 3
VALUES = [-1e9, -1e4, -5000.0, -1e30, torch.finfo(torch.float32).min, -torch.inf]


@pytest.fixture(params=PROTOCOLS)
def compared(request):
    def run(function, *values, tolerance=2.0**-11, **options):
        def work(s):
            return s.reveal(function(*[s.secret(v.numpy(), owner=i % s.parties) for i, v in enumerate(values)]))

        got = together(work, PROTOCOLS[request.param], request.param, **options)
        torch.testing.assert_close(got, function(*values), atol=tolerance, rtol=tolerance)
        return got

    return run


def additive(value):
    return torch.zeros(4, 4).masked_fill(CAUSAL, value)


WAYS = {
    "fill": lambda x, v: x.masked_fill(CAUSAL, v),
    "add": lambda x, v: x + additive(v),
    "where": lambda x, v: torch.where(CAUSAL, torch.tensor(v), x),
    "fill in place": lambda x, v: x.clone().masked_fill_(CAUSAL, v),
    "scaled": lambda x, v: x.masked_fill(CAUSAL, v) * 0.3,
    "moved": lambda x, v: x.masked_fill(CAUSAL, v).transpose(-1, -2).reshape(2, 1, 4, 4).transpose(-1, -2)[:, 0],
    "padding as well": lambda x, v: x.masked_fill(CAUSAL, v).masked_fill(PADDING[:, None], v),
    "a bias as well": lambda x, v: x + additive(v) + torch.arange(4.0),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", VALUES)
def test_softmax(compared, way, value):
    got = compared(lambda x: WAYS[way](x, value).softmax(-1), SCORES)
    hidden = CAUSAL if way != "padding as well" else CAUSAL | PADDING[:, None]
    if value < -(2.0**13) and (way, value) != ("scaled", -1e4):  # lower than all others, whatever they are
        assert not got[hidden.expand(got.shape)].any()


@pytest.mark.quick(2)
@pytest.mark.parametrize("value", VALUES)
def test_what_is_made_of_masked_scores(compared, value):
    def made(x):
        y = x.masked_fill(CAUSAL, value)
        e = (y - y.max(-1, keepdim=True)[0]).exp()
        logarithm = y.log_softmax(-1)
        picked = F.nll_loss(logarithm.reshape(8, 4), torch.zeros(8, dtype=torch.int64))
        return [y.amax(-1), y.logsumexp(-1), e / e.sum(-1, keepdim=True), torch.sigmoid(y), torch.relu(y), picked]

    for i in range(6):
        compared(lambda x, i=i: made(x)[i], SCORES)


@pytest.mark.parametrize("value", [-1e9, -torch.inf])
def test_gradients(compared, value):
    def gradient(x):
        x = x.detach().requires_grad_()
        y = x.masked_fill(CAUSAL, value)
        (y.softmax(-1)[..., 0].sum() + y.log_softmax(-1)[..., 0].sum()).backward()
        return x.grad

    compared(gradient, SCORES, tolerance=2.0**-9)


def test_scores_at_the_edge_of_the_format(compared):
    x = torch.tensor([[-4095.0, -4094.0, 3.0], [4095.0, 4094.0, 4095.5]])
    mask = torch.tensor([[False, False, True], [False, False, True]])
    for value in (-1e9, -torch.inf):
        compared(lambda x, v=value: x.masked_fill(mask, v).softmax(-1), x)


def test_rows_that_are_hidden_everywhere(compared):
    hidden = torch.tensor([[True, True, True, True]] + 3 * [[False, False, True, True]])
    compared(lambda x: x.masked_fill(hidden, -1e9).softmax(-1), SCORES)
    compared(lambda x: (x.to(x.dtype) + torch.zeros(4, 4).masked_fill(hidden, -1e4)).softmax(-1), SCORES)
    with pytest.raises(tacit.OutOfRange, match="hides all 4 places of a row"):
        compared(lambda x: x.masked_fill(hidden, -torch.inf).softmax(-1), SCORES)


def test_max_pooling_of_padded_with_minus_infinity(compared):
    compared(lambda x: F.max_pool1d(F.pad(x, (1, 1), value=-torch.inf), 3, 1), -SCORES.abs())
    compared(lambda x: F.max_pool2d(F.pad(x[:, None], (1, 1, 1, 1), value=-torch.inf), 3, 1), -SCORES.abs())


def test_minima_beside_plus_infinity(compared):
    compared(lambda x: x.masked_fill(CAUSAL, torch.inf).amin(-1), SCORES)


def test_a_mean_of_masked_scores_is_refused(compared):
    """It is minus infinity, or too large."""
    for value in (-1e9, -torch.inf):
        with pytest.raises(tacit.OutOfRange):
            compared(lambda x, v=value: x.masked_fill(CAUSAL, v).mean(-1) * x[..., 0], SCORES)


class Decoder(nn.Module):
    """A causal transformer with padding, as scripts write it: scores, a mask, softmax."""

    def __init__(self, value):
        super().__init__()
        torch.manual_seed(7)
        self.value = value
        self.joined, self.out, self.norm = nn.Linear(8, 24), nn.Linear(8, 8), nn.LayerNorm(8)

    def forward(self, x):
        q, k, v = self.joined(self.norm(x)).chunk(3, -1)
        scores = q @ k.transpose(-1, -2) / 8**0.5
        scores = scores.masked_fill(CAUSAL, self.value) + torch.zeros(2, 1, 4).masked_fill(PADDING[:, None], self.value)
        return x + self.out(scores.softmax(-1) @ v)


@pytest.mark.parametrize("value", [-1e9, -1e4, torch.finfo(torch.float32).min, -torch.inf])
def test_a_transformer_of_ones_own(compared, value):
    model = Decoder(value)

    def trained(x):
        net = copy.deepcopy(model)
        net.zero_grad()
        (net(x) ** 2).mean().backward()
        return torch.cat([net(x).detach().reshape(-1), net.joined.weight.grad.reshape(-1)])

    x = draw((2, 4, 8), seed=2)[0]

    def secretly(s):
        net = s.share(copy.deepcopy(model), owner=0)
        out = net(s.secret(x.numpy(), owner=0))
        (out**2).mean().backward()
        return s.reveal(torch.cat([out.detach().reshape(-1), net.joined.weight.grad.reshape(-1)]))

    torch.testing.assert_close(together(secretly), trained(x), atol=5e-3, rtol=5e-3)


def test_what_masks_cost():
    """A softmax with a mask has the rounds of one without, and at most the bytes of one opening more."""

    def costs(function):
        def work(s):
            x = s.secret(SCORES.numpy(), owner=0)
            s.reveal(function(x @ x.transpose(-1, -2)).softmax(-1))
            return s.engine.costs.rounds, s.engine.costs.sends

        return tacit.run(work, parties=2, backend="torch")[0]

    plain = costs(lambda x: x)
    for value in VALUES:
        rounds, sends = costs(lambda x, v=value: x + additive(v))
        assert rounds == plain[0] and sends <= plain[1] + 8 * SCORES.numel()
