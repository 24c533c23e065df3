"""Quotients, roots, logarithms, powers, norms and variances equal torch's, forward and backward."""

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, secrets, together

from tacit.errors import Unsupported


def positive(*shape, seed=0):
    return draw(shape, seed=seed)[0].abs() + 0.3


X = draw((4, 5))[0]
Y = positive(4, 5, seed=1) * torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
Z = positive(4, 1, seed=2)
P = positive(4, 5, seed=3)
PUBLIC = positive(4, 5, seed=4)

CASES = {
    "quotient": (lambda x, y: x / y, (X, Y)),
    "rows": (lambda x, y: x / y, (X, Z)),
    "columns": (lambda x, y: x / y, (X[:1], Y)),
    "public numerator": (lambda x: PUBLIC / x, (Y,)),
    "number over secret": (lambda x: 3 / x, (Y,)),
    "reciprocal": (lambda x: x.reciprocal() + 1 / x, (Y,)),
    "in place": (lambda x, y: (x * 1).div_(y), (X, Y)),
    "ratio of a sum": (lambda x: x / x.sum(1, keepdim=True), (P,)),
    "sqrt": (lambda x: x.sqrt(), (P,)),
    "rsqrt": (lambda x: x.rsqrt(), (P,)),
    "by a root": (lambda x, y: x / y.sqrt(), (X, P)),
    "log": (lambda x: x.log(), (P,)),
    "log2": (lambda x: x.log2(), (P,)),
    "log10": (lambda x: x.log10(), (P,)),
    "log1p": (lambda x: x.log1p(), (P - 0.9,)),
    "power -1": (lambda x: x**-1, (Y,)),
    "power -2": (lambda x: x**-2, (Y,)),
    "power 0.5": (lambda x: x**0.5, (P,)),
    "power -0.5": (lambda x: x**-0.5, (P,)),
    "power 1.5": (lambda x: x**1.5, (P,)),
    "power -1.5": (lambda x: x**-1.5, (P,)),
    "power 0.3": (lambda x: x**0.3, (P,)),
    "power of public": (lambda x: 2**x, (X,)),
    "power of secrets": (lambda x, y: x**y, (P, X)),
    "addcdiv": (lambda x, y, z: torch.addcdiv(x, y, z, value=0.3), (X, X, P)),
    "norm": (lambda x: x.norm(), (X,)),
    "norms": (lambda x: x.norm(dim=1) + torch.linalg.vector_norm(x, 2, 1), (X,)),
    "norm 1": (lambda x: x.norm(1, dim=1), (X,)),
    "normalize": (lambda x: F.normalize(x, dim=1), (X,)),
    "cosine": (lambda x, y: F.cosine_similarity(x, y), (X, Y)),
    "distance": (lambda x, y: F.pairwise_distance(x, y), (X, Y)),
    "var": (lambda x: x.var(), (X,)),
    "var of columns": (lambda x: x.var(0, correction=0), (X,)),
    "std": (lambda x: x.std(1, keepdim=True), (X,)),
    "var and mean": (lambda x: sum(torch.var_mean(x, 1)), (X,)),
    "std and mean": (lambda x: sum(torch.std_mean(x, 1)), (X,)),
}


def forward_and_backward(function, tensors):
    out = function(*tensors)
    (out * torch.linspace(0.5, 1.5, out.numel()).reshape(out.shape)).sum().backward()
    return [out, *(t.grad for t in tensors)]


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("name", CASES)
def test_forward_and_backward(name, protocol):
    function, values = CASES[name]

    def work(s):
        return s.reveal(forward_and_backward(function, secrets(s, values, grad=True)))

    expected = forward_and_backward(function, [v.clone().requires_grad_() for v in values])
    for got, right in zip(together(work, 2, protocol), expected, strict=True):
        torch.testing.assert_close(got, right.detach(), rtol=3e-3, atol=2e-3)


def test_small_denominators_that_the_quotient_needs():
    """1/y alone would not fit the format."""
    x, y = torch.tensor([2.0**-13, -(2.0**-12), 2.0**-15]), torch.tensor([2.0**-15, 2.0**-14, -(2.0**-13)])

    def work(s):
        a, b = secrets(s, [x, y])
        return s.reveal([a / b, torch.ones(3) / b])

    for protocol in ("clear", "spdz"):
        got, ones = together(work, 2, protocol)
        torch.testing.assert_close(got, x / y, rtol=2e-3, atol=1e-3)
        torch.testing.assert_close(ones, torch.sign(y) * 4096, rtol=1e-5, atol=1e-3)


def test_nothing_divided_by_nothing_is_nothing():
    def work(s):
        (x,) = secrets(s, [torch.tensor([0.0, 2.0, -2.0])])
        (zero,) = secrets(s, [torch.zeros(3)])
        return s.reveal([x / zero, torch.addcdiv(zero, zero, zero.sqrt() + 1e-8)])

    quotients, steps = together(work, 2, "spdz")
    torch.testing.assert_close(quotients, torch.tensor([0.0, 4096.0, -4096.0]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(steps, torch.zeros(3), rtol=0, atol=1e-5)


def test_small_variances_keep_their_precision():
    values = 3 + 1e-3 * draw((50, 4))[0]

    def work(s):
        (x,) = secrets(s, [values])
        rounded = torch.round(values * 2**16) / 2**16
        return s.reveal([x.var(0) * 2**16, x.std(0) * 2**8]), [rounded.var(0) * 2**16, rounded.std(0) * 2**8]

    for protocol in ("clear", "spdz"):
        (variances, roots), right = together(work, 2, protocol)
        torch.testing.assert_close(variances, right[0], rtol=0.1, atol=0)
        torch.testing.assert_close(roots, right[1], rtol=0.01, atol=0)


def test_a_division_normalises_once_for_both_passes():
    def work(s):
        x, y = secrets(s, [X, Y], grad=True)
        (x / y).sum().backward()
        s.reveal([x.grad, y.grad])
        print([(r.label, r.shape) for r in s.engine.protocol.ledger if r.kind == "comparison"])
        return [r.shape[0] for r in s.engine.protocol.ledger if r.kind == "comparison"]

    thresholds = together(work, 2, "spdz")
    assert sum(n > 1 for n in thresholds) == 1  # and two for each quotient, which may not fit


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.div(x, x, rounding_mode="floor"),
        lambda x: torch.div(x, x, rounding_mode="trunc"),
        lambda x: x.norm(3),
        lambda x: x**100,
        lambda x: (-2) ** x,
        lambda x: x / torch.zeros(4, 5),
        lambda x: x[:1].var(0),
    ],
)
def test_refused(function):
    def work(s):
        (x,) = secrets(s, [X])
        with pytest.raises(Unsupported, match=r"div|norm|pow|variance"):
            function(x)
        return 0

    together(work, 1)
