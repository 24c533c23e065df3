"""Rounds and bytes of normalising layers and of an optimizer's step are as docs/functions.md states them."""

import pytest
import torch
import torch.nn.functional as F
from secretly import together

from tacit.torch.tensor import number

ROWS, COLUMNS = 128, 64
NORMS = {
    "layer norm": (lambda x, w, b: F.layer_norm(x, (COLUMNS,), w, b), (16, 20), (3, 17)),
    "batch norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), (16, 18), (3, 17)),
}


class Spent:
    """Rounds, and bytes for each of `count` elements, since it was asked before."""

    def __init__(self, session, count):
        self.engine, self.count, self.before = session.engine, count, (0, 0)
        self()

    def __call__(self, *values):
        self.engine.force(*(number(v).wire for v in values))
        now = self.engine.costs.rounds, self.engine.costs.sends
        spent = now[0] - self.before[0], (now[1] - self.before[1]) / self.count
        self.before = now
        return spent


def entered(s, *shape):
    """A number as a layer gives it."""
    return (s.secret(torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape), owner=0) * 1.0).detach()


def near(spent, stated):
    assert spent[0] == stated[0] and 0.9 * stated[1] <= spent[1] <= stated[1], (spent, stated)


@pytest.mark.parametrize("name", NORMS)
def test_norms(name):
    function, forward, backward = NORMS[name]

    def work(s):
        given = [entered(s, *shape).requires_grad_() for shape in ((ROWS, COLUMNS), (COLUMNS,), (COLUMNS,))]
        gradient, spent = entered(s, ROWS, COLUMNS), Spent(s, ROWS * COLUMNS)
        spent(*given, gradient)
        out = function(*given)
        first = spent(out)
        out.backward(gradient)
        return first, spent(*(x.grad for x in given))

    for got, stated in zip(together(work, 2, "spdz"), (forward, backward), strict=True):
        near(got, stated)


def test_a_step_of_adam():
    def work(s):
        p, spent = entered(s, 1000).requires_grad_(), Spent(s, 1000)
        optimizer = torch.optim.Adam([p], lr=0.01)
        for _ in range(2):
            p.grad = entered(s, 1000)
            spent(p, p.grad)
            optimizer.step()
            state = optimizer.state[p]
            found = spent(p, state["exp_avg"], state["exp_avg_sq"])
        return found

    near(together(work, 2, "spdz"), (16, 303))
