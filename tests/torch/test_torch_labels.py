"""Secret class labels and other indices: what PyTorch does with integers, done with their one-hots."""

import copy

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together
from torch import nn

import tacit

Y = torch.tensor([2, 0, 1, 2, 1])
X = draw((5, 3))[0]
TABLE = draw((3, 4), seed=1)[0]
PROTOCOLS = ["clear", "spdz"]

USES = {
    "itself": lambda y, x, t: y,
    "one-hot": lambda y, x, t: F.one_hot(y, 3),
    "wider one-hot": lambda y, x, t: F.one_hot(y, 5).float(),
    "embedding": lambda y, x, t: F.embedding(y, t),
    "embedding of a table": lambda y, x, t: F.embedding(y.reshape(5, 1), t),
    "rows": lambda y, x, t: t[y],
    "rows of public": lambda y, x, t: TABLE[y] * t[0, 0],
    "gather": lambda y, x, t: x.gather(1, y[:, None]),
    "view": lambda y, x, t: t[y[1:].reshape(2, 2).t()[None].expand(2, 2, 2)],
    "rows of labels": lambda y, x, t: t[y[torch.tensor([4, 0, 0])]],
    "joined": lambda y, x, t: t[torch.cat([y, y[:2]])],
    "== class": lambda y, x, t: y == 1,
    "!= class": lambda y, x, t: y != 2,
    "== no class": lambda y, x, t: y == 7,
    "== public": lambda y, x, t: y == torch.tensor([2, 2, 1, 9, 1]),
    "== classes": lambda y, x, t: y[:, None] == torch.tensor([1, 2]),
    "== itself": lambda y, x, t: y == y.flip(0),
    "correct": lambda y, x, t: (x.argmax(1) == y).float().mean(),
    "correct of more classes": lambda y, x, t: x.repeat(1, 2).argmax(1) == y,
    "> class": lambda y, x, t: y > 0,
    "arithmetic": lambda y, x, t: 2 * y + 1 - y,
    "numbers": lambda y, x, t: y.float() * 0.5 + x[:, 0],
    "sum": lambda y, x, t: y.sum() - (y * y).sum(),
    "largest": lambda y, x, t: y.max(),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", USES)
def test_uses_of_labels(name, protocol):
    use = USES[name]

    def work(y, x, t):
        x, t = x.requires_grad_(), t.requires_grad_()
        out = use(y, x, t)
        if out.requires_grad:
            (out * out).sum().backward()
        return [out, *(v.grad for v in (x, t) if v.grad is not None)]

    def secretly(s):
        shown = work(s.labels(Y, 3, owner=1), s.secret(X, owner=0), s.secret(TABLE, owner=1))
        return [s.reveal(v) if s.is_secret(v) else v for v in shown]

    expected = work(Y, X.clone(), TABLE.clone())
    got = together(secretly, 2, protocol, debug=True)
    assert len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e.detach(), atol=1e-3, rtol=1e-3)


def test_labels_say_what_they_are():
    def work(s):
        y = s.labels(Y, 3, owner=2)
        (batch,) = s.batches(y, batch_size=5, shuffle=False)
        return [y.dtype, y.shape, batch.dtype, s.reveal(batch)]

    dtype, shape, also, values = together(work, 3, "spdz")
    assert (dtype, also, shape) == (torch.int64, torch.int64, (5,))
    assert torch.equal(values, Y)


def test_batches_of_labels_open_nothing():
    def work(s):
        y, t = s.labels(Y, 3, owner=1), s.secret(TABLE, owner=0)
        shown = [F.embedding(batch, t) for batch in s.batches(y, batch_size=2, shuffle=False)]
        s.reveal(shown)
        return [r.kind for r in s.engine.protocol.ledger]

    assert together(work, 2, "spdz") == ["input", "input", "output", "output", "output"]


def test_how_many_are_right_compares_only_for_the_largest():
    def work(s):
        x, y = s.secret(X, owner=0), s.labels(Y, 3, owner=1)
        s.reveal((x.argmax(1) == y).float().mean())
        return sorted(r.kind for r in s.engine.protocol.ledger)

    assert together(work, 2, "spdz") == ["input", "input", "output", "winners"]


def test_an_embedding_trains_as_in_the_clear():
    base = nn.Sequential(nn.Embedding(3, 4, padding_idx=1), nn.Linear(4, 2))
    target = draw((5, 2))[0]

    def steps(model, y, t):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimiser.zero_grad()
            F.mse_loss(model(y), t).backward()
            optimiser.step()
        return model[0].weight

    def work(s):
        model = s.share(copy.deepcopy(base), owner=0)
        return s.reveal(steps(model, s.labels(Y, 3, owner=1), s.secret(target, owner=0)))

    def public(s):
        model = s.share(copy.deepcopy(base), owner=0)
        return s.reveal(steps(model, Y, s.secret(target, owner=0)))

    right = steps(copy.deepcopy(base), Y, target).detach()
    for got in (together(work, 2, "spdz"), together(work), together(public)):
        torch.testing.assert_close(got, right, atol=2e-3, rtol=2e-3)


def test_integers_stay_integers():
    def work(s):
        y = s.labels(Y, 3, owner=0)
        copy = y.clone()
        copy += 1
        copy[0] = 7
        for write in (
            lambda: y.add_(0.5),
            lambda: y.copy_(s.secret(X[:, 0], owner=0)),
            lambda: y.mul_(s.secret(X[:, 0], owner=0)),
        ):
            with pytest.raises((tacit.Unsupported, RuntimeError), match=r"would write|can't be cast"):
                write()
        return s.reveal([copy, y])

    changed, same = together(work, 1)
    assert torch.equal(changed, torch.tensor([7, 1, 2, 3, 2])) and torch.equal(same, Y)


def test_integers_between_real_ends_are_real():
    def work(s):
        y = s.labels(Y, 3, owner=0)
        low, ends = s.secret([0.5] * 5, owner=0), torch.full((5,), 1.5)
        shown = [y.clamp(0.5, 1.5), y.clamp(1, 2), y.clamp(max=ends), y.clamp_min(0.5), y.clamp(low)]
        return s.reveal(shown)

    low, ends = torch.full((5,), 0.5), torch.full((5,), 1.5)
    right = [Y.clamp(0.5, 1.5), Y.clamp(1, 2), Y.clamp(max=ends), Y.clamp_min(0.5), Y.clamp(low)]
    for got, expected in zip(together(work, 1), right, strict=True):
        torch.testing.assert_close(got, expected, atol=0, rtol=0)


def test_labels_come_out_of_a_data_loader():
    def work(s):
        table = torch.utils.data.TensorDataset(s.secret(X, owner=0), s.labels(Y, 3, owner=1))
        return s.reveal([F.cross_entropy(x[:, :3], y) for x, y in torch.utils.data.DataLoader(table, batch_size=2)])

    right = [F.cross_entropy(X[i : i + 2, :3], Y[i : i + 2]) for i in (0, 2, 4)]
    for got, expected in zip(together(work, 2, "spdz"), right, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-3)


def test_indices_that_are_refused():
    def work(s):
        y, x, t = s.labels(Y, 3, owner=0), s.secret(X, owner=0), s.secret(TABLE, owner=0)
        for refused, why in [
            (lambda: t[y + 1], "one-hot"),
            (lambda: t[y * 2], "one-hot"),
            (lambda: t[-y], "one-hot"),
            (lambda: t.t()[y], "3 classes on an axis of length 4"),
            (lambda: x[torch.arange(5), y], "x\\[labels\\]"),
            (lambda: x.gather(1, y[:2, None]), "alike"),
            (lambda: y @ y, "float"),
        ]:
            with pytest.raises((tacit.Unsupported, RuntimeError), match=why):
                refused()

    together(work, 1)
