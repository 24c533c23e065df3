"""Attention and a transformer's encoder layer equal torch's: forward, backward, two optimiser steps, and at evaluation."""

import copy

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together
from torch import nn

torch.manual_seed(3)
LAYERS = {
    "encoder layer": nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0),
    "norm first, gelu": nn.TransformerEncoderLayer(
        8, 2, 16, batch_first=True, dropout=0.0, norm_first=True, activation="gelu"
    ),
}
X = draw((2, 3, 8), seed=1)[0]


class Attention(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)
        self.options = options

    def forward(self, x):
        return self.inner(x, x, x, **self.options)[0]


ATTENTION = {
    "weights": Attention(),
    "no weights": Attention(need_weights=False),
    "causal": Attention(need_weights=False, is_causal=True, attn_mask=torch.ones(3, 3).triu(1).bool()),
    "mask": Attention(attn_mask=torch.eye(3).bool()),
    "keys": Attention(key_padding_mask=torch.tensor([[False, False, True], [False, False, False]])),
}


def trained(module, x, loss_of, steps=2):
    """Outputs before and after, and the gradients of the first step."""
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    results = [module(x)]
    for step in range(steps):
        optimiser.zero_grad()
        loss_of(module(x)).backward()
        if step == 0:
            results += [p.grad.clone() for p in module.parameters()]
        optimiser.step()
    results.append(module(x))
    module.eval()
    with torch.no_grad():
        results.append(module(x))
    return results


def compared(module, protocol, parties=2):
    def loss_of(out):
        return ((out - 0.5) ** 2).mean()

    def work(s):
        secret = s.share(copy.deepcopy(module), owner=0)
        return s.reveal(trained(secret, s.secret(X, owner=0), loss_of))

    expected = trained(copy.deepcopy(module), X, loss_of)
    found = together(work, parties, protocol)
    assert len(found) == len(expected)
    for got, right in zip(found, expected, strict=True):
        torch.testing.assert_close(got, right.detach(), atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize("name", ATTENTION)
def test_attention(name):
    compared(ATTENTION[name], "clear")


@pytest.mark.parametrize("name", LAYERS)
def test_encoder_layer(name):
    compared(LAYERS[name], "clear")


def test_encoder_layer_on_spdz():
    compared(LAYERS["encoder layer"], "spdz")


def test_attention_of_three_parties():
    compared(ATTENTION["causal"], "spdz", 3)


def test_masks_at_evaluation():
    layer = copy.deepcopy(LAYERS["encoder layer"]).eval()
    hidden = torch.ones(3, 3).triu(1).bool()

    def work(s):
        secret = s.share(copy.deepcopy(layer), owner=0).eval()
        with torch.no_grad():
            return s.reveal(secret(s.secret(X, owner=0), src_mask=hidden))

    with torch.no_grad():
        torch.testing.assert_close(together(work), layer(X, src_mask=hidden), atol=5e-3, rtol=5e-3)


def test_scaled_dot_product_attention():
    q, k, v = draw((2, 2, 4, 6), (2, 2, 5, 6), (2, 2, 5, 6))

    def run(q, k, v):
        q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, scale=0.3)
        (out**2).sum().backward()
        return [out, q.grad, k.grad, v.grad]

    def work(s):
        return s.reveal(run(*(s.secret(x, owner=i % s.parties) for i, x in enumerate((q, k, v)))))

    for got, right in zip(together(work), run(q, k, v), strict=True):
        torch.testing.assert_close(got, right.detach(), atol=3e-3, rtol=3e-3)
