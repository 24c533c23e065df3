"""Comparisons, ranges, the largest, and max-pooling equal torch's, forward and backward, ties included."""

import gc

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together
from torch import nn

import tacit
from tacit.graph.wires import Wire

X = (draw((2, 3, 6, 7))[0] * 2).round() / 2  # many ties
PROTOCOLS = [("clear", 2), ("spdz", 2)]


def equal(function, values, protocol="spdz", parties=2, tolerance=1e-3, **options):
    """function(*tensors) and its gradients, secret and in the clear."""

    def work(tensors):
        outs = function(*tensors)
        outs = outs if isinstance(outs, tuple | list) else [outs]
        smooth = [o for o in outs if o.requires_grad]
        weights = [
            w.reshape(o.shape) for o, w in zip(smooth, draw(*((o.numel(),) for o in smooth), seed=5), strict=True)
        ]
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
    "a long axis": lambda x: F.max_pool1d(x[0], 6),
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


# Comparisons and logic.

V = X[0]
Z = V.flip(2)
N = torch.tensor(0.3)

BOOLEANS = {
    "> number": lambda x, y: x > 0.5,
    ">= number": lambda x, y: x >= 0.5,
    "< number": lambda x, y: x < -1,
    "<= number": lambda x, y: x <= -1,
    "== number": lambda x, y: x == 0.5,
    "!= number": lambda x, y: x != 0.5,
    "> tensor": lambda x, y: x > Z,
    "tensor <=": lambda x, y: torch.le(Z, x),
    "== tensor": lambda x, y: x == Z,
    "== row": lambda x, y: x == Z[0, 0],
    "> secret": lambda x, y: x > y,
    ">= secret": lambda x, y: x >= y,
    "< secret": lambda x, y: x < y,
    "<= secret": lambda x, y: x <= y,
    "== secret": lambda x, y: x == y,
    "!= secret": lambda x, y: x != y,
    "> broadcast": lambda x, y: x > y[:1, :, :1],
    "single": lambda x, y: x[0, 0, 0] > y[0, 0, 1],
    "not": lambda x, y: ~(x > y),
    "and": lambda x, y: (x > y) & (x > 0),
    "and public": lambda x, y: (x > y) & (Z > 0),
    "or": lambda x, y: (x > y) | (x > 0),
    "or public": lambda x, y: (Z > 0) | (x > y),
    "xor": lambda x, y: (x > y) ^ (x > 0),
    "xor public": lambda x, y: (x > y) ^ (Z > 0),
    "logical": lambda x, y: (x > y).logical_and(x < 1).logical_or(x == 0).logical_xor(y > 0).logical_not(),
    "in place": lambda x, y: (x > y).logical_or_(x < 0).logical_and_(y > 0),
    "sum": lambda x, y: (x > y).sum(),
    "sum along": lambda x, y: (x > y).sum((0, 2), keepdim=True),
    "mean": lambda x, y: (x > y).float().mean(1),
    "mean of integers": lambda x, y: (x > y).long().sum(0).double() / 3,
    "any": lambda x, y: (x > 1.5).any(),
    "any along": lambda x, y: (x > 1.5).any(2),
    "all": lambda x, y: (x > -1).all(1, keepdim=True),
    "any of many": lambda x, y: (x > 0).any((0, 1)),
    "integers": lambda x, y: (x > y).long() * 2 - (y > 0).int() + 1,
    "integer of numbers": lambda x, y: (x * 1.5).long() == (x * 1.5).int(),
    "booleans of numbers": lambda x, y: x.bool(),
    "a product with one": lambda x, y: (x > 0) * y + (y > 0) * Z,
    "where": lambda x, y: torch.where(x > 0, x, y),
    "where public": lambda x, y: torch.where(x > 0, Z, torch.tensor(0.25)),
    "where one": lambda x, y: torch.where(x > 0, 0.0, y),
    "masked fill": lambda x, y: x.masked_fill(y > 0, 0.125),
    "masked out": lambda x, y: (
        x.masked_fill(y > 0, -torch.inf).softmax(2) + x.masked_fill(Z > 1, -torch.inf).softmax(2)
    ),
    "not a number": lambda x, y: x.isnan() | (x > 0) & x.isfinite(),
    "stacked": lambda x, y: torch.cat([x > 0, y > 0]).reshape(2, -1)[:, ::2],
    "typed": lambda x, y: (x > 0).to(torch.float64),
}


@pytest.mark.parametrize(("protocol", "parties"), [*PROTOCOLS, ("spdz", 3)])
def test_comparisons_and_logic(protocol, parties):
    def work(s):
        x, y = s.secret(V, owner=0), s.secret(Z, owner=1)
        made = [f(x, y) for f in BOOLEANS.values()]
        return [m.dtype for m in made], s.reveal(made)

    types, values = together(work, parties, protocol, debug=True)
    for name, dtype, got in zip(BOOLEANS, types, values, strict=True):
        right = BOOLEANS[name](V, Z)
        assert (dtype, got.dtype) == (right.dtype, right.dtype), name
        torch.testing.assert_close(got, right, atol=2e-3 if name == "masked out" else 1e-4, rtol=1e-4, msg=name)


def test_a_secret_boolean_decides_nothing():
    def work(s):
        x = s.secret(V, owner=0)
        with pytest.raises(tacit.Unsupported, match="reveal"):
            if (x > 0).any():
                return 1
        with pytest.raises(tacit.Unsupported, match="reveal"):
            x.masked_select(x > 0)
        with pytest.raises(tacit.Unsupported, match="booleans"):
            x.logical_not()
        with pytest.raises(tacit.Unsupported, match=r"\.float\(\)"):
            (x > 0)[0] @ (x > 0)[0].t()
        return 0

    together(work, 1)


# Ranges, the largest, whole parts.

AWAY = V + 0.0625  # from corners and from each other, where torch spreads gradients among equal ones
DISTINCT = torch.randperm(60, generator=torch.Generator().manual_seed(0)).reshape(3, 4, 5) / 16 - 1.8

RANGES = {
    "clamp": lambda x: x.clamp(-1, 0.5),
    "clamp from": lambda x: x.clamp(min=-0.5),
    "clamp to": lambda x: x.clamp_max(0.7),
    "clamp in place": lambda x: (x * 1).clamp_(-1, 0.5),
    "clamp nowhere": lambda x: x.clamp(1, -1),
    "clip": lambda x: torch.clip(x, -0.3, 0.3),
    "clamp by tensors": lambda x: x.clamp(Z - 1, Z + 1),
    "clamp by secrets": lambda x: x.clamp(x.detach().flip(0) - 1.03, x.detach().flip(0) + 1.03),
    "hardtanh": F.hardtanh,
    "relu6": lambda x: F.relu6(4 * x),
    "hardsigmoid": lambda x: F.hardsigmoid(2 * x),
    "hardswish": lambda x: F.hardswish(2 * x),
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
    "threshold": lambda x: F.threshold(x, 0.3, -2.0),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.3])),
    "prelu of a secret": lambda x: F.prelu(x, x[0, 0, :1] * 0.2),
    "maximum": lambda x: torch.maximum(x, x.flip(1) * 0.9),
    "minimum": lambda x: torch.minimum(x, x.flip(1) * 0.9),
    "fmax": lambda x: torch.fmax(x, x.flip(1) * 0.9),
    "maximum with public": lambda x: torch.maximum(Z, x),
    "minimum with public": lambda x: torch.min(x, torch.tensor(0.3)),
}

MASK = torch.tensor([True, False, False, True, True])
LARGEST = {
    "max": lambda x: x.max(),
    "min": lambda x: x.min(),
    "max along": lambda x: x.max(1),
    "min along": lambda x: x.min(-1, keepdim=True),
    "max along few": lambda x: x.max(0, keepdim=True),
    "amax": lambda x: x.amax((0, 2)),
    "amin": lambda x: x.amin(1, keepdim=True),
    "amax of all": lambda x: x.amax(),
    "aminmax": lambda x: torch.aminmax(x, dim=2),
    "argmax": lambda x: x.argmax(1),
    "argmin": lambda x: x.argmin(2, keepdim=True),
    "argmax of all": lambda x: x.argmax(),
    "argmax of all kept": lambda x: x.argmax(keepdim=True),
    "floor": lambda x: x.floor(),
    "ceil": lambda x: x.ceil(),
    "trunc": lambda x: x.trunc() * x,
    "frac": lambda x: x.frac(),
    "round": lambda x: (x * 1.03).round(),
    "gathered": lambda x: x.gather(1, x.argmax(1, keepdim=True)),
    "masked by public": lambda x: x.masked_select(MASK) ** 2,
    "gathered by public": lambda x: x.gather(2, torch.tensor([0, 3, 3]).expand(3, 4, 3)),
}


@pytest.mark.parametrize(("protocol", "parties"), PROTOCOLS)
@pytest.mark.parametrize("name", RANGES)
def test_ranges(name, protocol, parties):
    equal(RANGES[name], [AWAY], protocol, parties)


@pytest.mark.parametrize(("protocol", "parties"), PROTOCOLS)
@pytest.mark.parametrize("name", LARGEST)
def test_the_largest(name, protocol, parties):
    equal(LARGEST[name], [DISTINCT], protocol, parties, debug=True)


@pytest.mark.parametrize("name", ["max along", "min along", "argmax", "argmin"])
def test_of_equal_ones_the_first_counts(name):
    def work(s):
        return s.reveal(list(_tuple(LARGEST[name](s.secret(V, owner=0)))))

    for got, right in zip(together(work, 2, "spdz"), _tuple(LARGEST[name](V)), strict=True):
        assert torch.equal(got, right)


def test_of_equal_ones_the_first_takes_the_gradient():
    def work(s):
        x = s.secret(torch.tensor([1.0, 3, 3, 2]), owner=0).requires_grad_()
        (x.max() + x.amax(0)).backward()
        return s.reveal(x.grad)

    assert torch.equal(together(work), torch.tensor([0.0, 2, 0, 0]))


def _tuple(x):
    return tuple(x) if isinstance(x, tuple) else (x,)


@pytest.mark.parametrize(
    ("name", "values"),
    [(n, AWAY) for n in RANGES if n not in ("clamp nowhere", "clamp by tensors", "clamp by secrets")]
    + [(n, DISTINCT) for n in ("max", "amax", "max along", "amin", "aminmax")],
)
def test_the_gradient_compares_nothing_again(name, values):
    function = (RANGES | LARGEST)[name]

    def work(s):
        x = s.secret(values, owner=0).requires_grad_()
        outs = [o for o in _tuple(function(x)) if o.requires_grad]

        def compared(*shown):
            seen = len(s.engine.protocol.ledger)
            s.reveal(list(shown))
            return [r.kind for r in s.engine.protocol.ledger[seen:] if r.kind in ("comparison", "winners")]

        some = compared(*outs)
        sum(o.sum() for o in outs).backward()
        return some, compared(x.grad) if s.is_secret(x.grad) else []

    some, again = together(work, 2, "spdz")
    assert again == []
    assert some


@pytest.mark.parametrize("kind", ["secrets", "public values", "thresholds", "ranges"])
def test_what_data_are_compared_with_in_each_step_is_forgotten(kind):
    def work(s):
        x = s.secret(draw((4, 3))[0], owner=0)
        counts = []
        for i in s.steps(60):
            new = torch.full((4, 3), i / 100) + torch.arange(3)
            compared = {
                "secrets": lambda new=new: torch.maximum(x, x[:1] + new),
                "public values": lambda new=new: torch.maximum(x, new),
                "thresholds": lambda i=i: x > i / 100,
                "ranges": lambda i=i: x.clamp(-i / 100 - 0.01, i / 100),
            }[kind]
            s.reveal(compared())
            if i in (29, 59):
                gc.collect()
                counts.append(sum(type(w) is Wire for w in gc.get_objects()))
        return counts

    early, late = together(work, 1)
    assert late <= early
