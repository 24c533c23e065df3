"""What is known of a value is true of it: at its scale, in its bits, with these parameters, and after a write no more."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import tacit
from tacit.graph.operations import RandomBits
from tacit.graph.wires import Wire
from tacit.numbers.arithmetic import Number
from tacit.numbers.known import RECENT, Fact, follow

X = torch.tensor([[1.53, -0.77, 0.41], [-1.82, 0.29, 1.13], [0.67, 2.19, -1.31]])
Y = torch.tensor([0, 2, 1])
V = torch.tensor([1.0, 4.0, 0.25])
POSITIVE = X.abs() + 0.25

FUNCTIONS = {
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.25),
    "abs": torch.abs,
    "sign": lambda x: x.sign() * x,
    "clamp": lambda x: x.clamp(-1, 1),
    "hardtanh": F.hardtanh,
    "hardswish": F.hardswish,
    "floor": lambda x: x.floor() + x,
    "round": lambda x: (x + 0.125).round() + x,
    "compare": lambda x: (x > 0.6).float() * x,
    "maximum": lambda x: torch.maximum(x, X.roll(1, 0)),
    "max": lambda x: x.max(1).values,
    "max of the first axis": lambda x: x.amax(0),
    "min": lambda x: x.amin(1),
    "argmax": lambda x: x.argmax(1).float() + x.sum(1),
    "max_pool2d": lambda x: F.max_pool2d(x.reshape(1, 1, 3, 3), 2, 1),
    "softmax": lambda x: x.softmax(1),
    "softmax of the first axis": lambda x: x.softmax(0),
    "log_softmax": lambda x: x.log_softmax(1),
    "log_softmax of the first axis": lambda x: x.log_softmax(0),
    "logsumexp": lambda x: x.logsumexp(1),
    "cross entropy": lambda x: F.cross_entropy(x, Y),
    "nll of two log_softmax": lambda x: F.nll_loss(2 * F.log_softmax(x, 1), Y, reduction="sum"),
    "nll of minus log_softmax": lambda x: F.nll_loss(-F.log_softmax(x, 1) * 0.5, Y),
    "nll of log_softmax of the first axis": lambda x: F.nll_loss(F.log_softmax(x, 0), Y),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": lambda x: F.softplus(x) + F.softplus(x, beta=2),
    "elu": lambda x: F.elu(x, 0.5),
    "celu": lambda x: F.celu(x, 0.5) + F.celu(x, 2.0),
    "exp": lambda x: (x / 2).exp(),
    "reciprocal": lambda x: 1 / (x * x + 0.5),
    "divide": lambda x: X / (x * x + 0.5),
    "by a root": lambda x: X / ((x * x + 0.25).sqrt() / 2 + 1e-3),
    "sqrt": lambda x: (x * x + 0.25).sqrt(),
    "log": lambda x: (x * x + 0.25).log(),
    "layer_norm": lambda x: F.layer_norm(x, (3,), V, V),
    "layer_norm, other eps": lambda x: F.layer_norm(x, (3,), eps=0.5),
    "group_norm": lambda x: F.group_norm(x.reshape(1, 3, 3), 1),
    "batch norm of a batch": lambda x: F.batch_norm(x, None, None, training=True),
    "batch norm by x": lambda x: F.batch_norm(x, V, (x * x).detach()[0] + 0.25),
    "std": lambda x: x.std(1),
    "norm": lambda x: x.norm(dim=1),
    "huber": lambda x: F.huber_loss(x, X.roll(1, 1)),
    "l1": lambda x: F.l1_loss(x, X.roll(1, 1)),
    "bce": lambda x: F.binary_cross_entropy_with_logits(x, (X > 0).float()),
    "attention": lambda x: F.scaled_dot_product_attention(*(x.reshape(1, 1, 3, 3),) * 3),
}

CHANGES = {
    "twice": lambda x: 2 * x,
    "half": lambda x: x / 2,
    "minus": lambda x: -x,
    "four times, turned": lambda x: (4 * x).t(),
    "a part": lambda x: x[:, [0, 2, 1]] * 0.5,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_a_value_and_then_of_others_with_its_wire(name):
    """The value, and the gradients: after the function was taken of x, of 2 x, of x / 2 ... (two of which are the same wire)."""
    f = FUNCTIONS[name]

    def results(x):
        found = []
        for g in [lambda x: x, *CHANGES.values()]:
            x.grad = None
            out = f(g(x))
            out.backward(torch.ones(out.shape) if out.dim() else None)
            found += [out.detach(), x.grad.clone()]
        with torch.no_grad():
            x.mul_(2)
            found.append(f(x))
            x.add_(0.5)
            found.append(f(x))
        return found

    def work(s):
        found = results(s.secret(X, owner=0).requires_grad_())
        return [s.reveal(x) if s.is_secret(x) else x for x in found]

    (got,) = tacit.run(work, 1, protocol="clear")
    for ours, right in zip(got, results(X.clone().requires_grad_()), strict=True):
        torch.testing.assert_close(ours, right, rtol=4e-3, atol=4e-3)


def test_batch_norm_of_other_running_variances():
    def work(s):
        norm = nn.BatchNorm1d(3).eval()
        norm.running_var.copy_(V)
        norm = s.share(norm, owner=0)
        x, found = s.secret(X, owner=0), []
        for factor in (1, 4, 0.25):
            norm.running_var.mul_(factor)
            found.append(norm(x))
        return s.reveal(found)

    (got,) = tacit.run(work, 1, protocol="clear")
    for ours, variance in zip(got, (V, 4 * V, V), strict=True):
        torch.testing.assert_close(ours, F.batch_norm(X, torch.zeros(3), variance), rtol=2e-3, atol=2e-3)


def wire():
    return Wire(RandomBits((2,)), (), (2,), "test")


def test_a_fact_is_true_at_its_scale_in_its_bits_with_its_parameters():
    w, kind, whole, value = wire(), Fact("kind"), Fact("whole", integers=True), Fact("value", bounded=False)
    x = Number(w, 16, 28)
    for fact in (kind, whole, value):
        fact.note(x, "found", 3)
        assert fact.of(x, 3) == "found"
        assert fact.of(x) is fact.of(x, 4) is fact.of(Number(wire(), 16, 28), 3) is None
    fewer, more, scaled = Number(w, 16, 27), Number(w, 16, 29), Number(w, 17, 28)
    assert [f.of(fewer, 3) for f in (kind, whole, value)] == ["found"] * 3
    assert [f.of(more, 3) for f in (kind, whole, value)] == [None, None, "found"]
    assert [f.of(scaled, 3) for f in (kind, whole, value)] == [None, "found", None]


def test_lasting_facts_follow_a_truncation():
    old, new = wire(), wire()
    lasting, passing = Fact("lasting", lasting=True), Fact("passing")
    for fact in (lasting, passing):
        fact.note(Number(old, 20, 30), "found")
    follow(new, old, 4)
    assert lasting.of(Number(new, 16, 26)) == "found"
    assert lasting.of(Number(new, 20, 26)) is passing.of(Number(new, 16, 26)) is None


def test_the_oldest_is_forgotten():
    x, kind = Number(wire(), 16, 28), Fact("kind")
    for i in range(RECENT + 1):
        kind.note(x, i, i)
    assert [kind.of(x, i) for i in (0, 1, RECENT)] == [None, 1, RECENT]


def test_nothing_else_looks_into_the_table():
    root = Path(tacit.__file__).parent
    users = {p.relative_to(root).as_posix() for p in root.rglob("*.py") if ".facts" in p.read_text()}
    assert users == {"numbers/known.py", "graph/wires.py"}
