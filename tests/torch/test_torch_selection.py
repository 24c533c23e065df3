"""Comparisons, ranges, the largest, and max-pooling equal torch's, forward and backward, ties included."""

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together
from torch import nn

import tacit

X = (draw((2, 3, 6, 7))[0] * 2).round() / 2  # many ties
PROTOCOLS = [("clear", 2), ("spdz", 2)]


def equal(function, values, protocol="spdz", parties=2, tolerance=1e-3, **options):
    """function(*tensors) and its gradients, secret and in the clear."""
    def work(tensors):
        outs = function(*tensors)
        outs = outs if isinstance(outs, tuple | list) else [outs]
        smooth = [o for o in outs if o.requires_grad]
        weights = draw(*(o.shape for o in smooth), seed=5)
        if smooth:
            sum((o * w).sum() for o, w in zip(smooth, weights, strict=True)).backward()
        grads = [t.grad for t in tensors if t.grad is not None]
        return [*outs, *grads]

    def secretly(s):
        tensors = [s.secret(v.numpy(), owner=i % parties).requires_grad_() for i, v in enumerate(values)]
        return [s.reveal(o) if s.is_secret(o) else o for o in work(tensors)]

    expected = work([v.clone().requires_grad_() for v in values])
    got = together(secretly, parties, protocol, **options)
    assert len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e.detach(), atol=tolerance, rtol=tolerance)


POOLINGS = {
    "2": lambda x: F.max_pool2d(x, 2),
    "3 by 2": lambda x: F.max_pool2d(x, (3, 2), stride=(2, 1)),
    "padding": lambda x: F.max_pool2d(x, 3, 2, padding=1),
    "ceil": lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True),
    "ceil and padding": lambda x: F.max_pool2d(x, 3, 2, padding=1, ceil_mode=True),
    "large windows": lambda x: F.max_pool2d(x, 4, 2),
    "places": lambda x: F.max_pool2d(x, 3, 2, padding=1, return_indices=True),
    "one axis": lambda x: F.max_pool1d(x[0], 3, 2, padding=1),
    "one image": lambda x: F.max_pool2d(x[0], 2),
    "adaptive": lambda x: F.adaptive_max_pool2d(x, (2, 3)),
    "adaptive 1d": lambda x: F.adaptive_max_pool1d(x[0], 2),
    "global": lambda x: F.adaptive_max_pool2d(x, 1),
    "relu": lambda x: F.max_pool2d(F.relu(x + 0.25), 2),
    "then relu": lambda x: F.relu(F.max_pool2d(x - 1.25, 2)),
    "module": lambda x: nn.MaxPool2d(2, ceil_mode=True)(x),
}


@pytest.mark.parametrize(("protocol", "parties"), PROTOCOLS)
@pytest.mark.parametrize("name", POOLINGS)
def test_max_pooling(name, protocol, parties):
    equal(POOLINGS[name], [X], protocol, parties)


def test_max_pooling_of_three_parties():
    equal(POOLINGS["padding"], [X], "spdz", 3, debug=True)


def test_max_pooling_compares_once_for_both_passes():
    def work(s):
        x = s.secret(X, owner=0).requires_grad_()
        y = F.max_pool2d(x, 2)
        (y * y).sum().backward()
        s.reveal([y, x.grad])
        return [r.kind for r in s.engine.protocol.ledger].count("winners")

    assert together(work, 2, "spdz") == 1


def test_max_pooling_that_is_refused():
    def work(s):
        x = s.secret(X, owner=0)
        with pytest.raises(tacit.Unsupported, match="dilation"):
            F.max_pool2d(x, 2, dilation=2)
        y, places = F.max_pool2d(x, 2, return_indices=True)
        with pytest.raises(tacit.Unsupported, match="max_unpool"):
            F.max_unpool2d(y, places, 2)

    together(work, 1)
