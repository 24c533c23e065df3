"""Every opening of a training step, by name: each value is opened at most once for each kind of mask."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, fresh, secrets, together
from test_torch_training import Polynomial, Square
from torch import nn

from tacit import Format
from tacit.field import size

MLP = nn.Sequential(nn.Linear(4, 6), Square(), nn.Linear(6, 2))
CNN = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AvgPool2d(2), Polynomial(), nn.Flatten(), nn.Linear(32, 3))


def ledgers(base, data, options, steps=3, rows=4, **session):
    """(what, shape, kind) of each opening, step by step; batches are gathered by index from one data set."""

    def work(s):
        model = s.share(fresh(base), owner=0)
        x, y = secrets(s, data)
        optimiser = torch.optim.SGD(model.parameters(), **options)
        ledger, steps_of = s.engine.protocol.ledger, []
        for step in range(steps):
            seen = len(ledger)
            chosen = torch.arange(rows) + rows * (step % (len(data[0]) // rows))
            optimiser.zero_grad()
            F.mse_loss(model(x[chosen]), y[chosen]).backward()
            optimiser.step()
            s.engine.step()
            steps_of.append([(r.label.partition(" ")[2], tuple(r.shape), r.kind) for r in ledger[seen:]])
        return steps_of

    return together(work, 2, "spdz", **session)


MLP_STEP = [
    ("1(Square) truncate", (4, 6), "truncation"),  # z, to be squared
    ("2(Linear) truncate", (4, 6), "truncation"),  # a = z^2 ...
    ("2(Linear) truncate", (4, 6), "plain"),  # ... for the matrix products with W2 and with the gradient
    ("0.weight add", (6, 4), "plain"),  # W1, written in the step before
    ("2.weight add", (2, 6), "plain"),  # W2, also for the gradient of a
    ("backward of 2(Linear) truncate", (4, 2), "truncation"),  # output - target ...
    ("backward of 2(Linear) truncate", (4, 2), "plain"),  # ... for both matrix products
    ("backward of 1(Square) truncate", (4, 6), "truncation"),  # da, for the product with z
    ("backward of 0(Linear) truncate", (4, 6), "truncation"),  # dz = 2 z da ...
    ("backward of 0(Linear) truncate", (4, 6), "plain"),  # ... for the matrix product with x
    # lr times the gradient, at the place's scale
    *[(f"{name} truncate", shape, "truncation") for name, shape in (("0.weight", (6, 4)), ("0.bias", (6,)))],
    *[(f"{name} truncate", shape, "truncation") for name, shape in (("2.weight", (2, 6)), ("2.bias", (2,)))],
]

CNN_STEP = [
    ("2(Polynomial) truncate", (4, 2, 4, 4), "truncation"),  # z, pooled, to be squared
    ("4(Linear) truncate", (4, 2, 4, 4), "truncation"),  # a
    ("4(Linear) truncate", (4, 2, 4, 4), "plain"),
    ("0.weight add", (2, 1, 3, 3), "plain"),
    ("4.weight add", (3, 32), "plain"),
    ("backward of 4(Linear) truncate", (4, 3), "truncation"),  # output - target, times 2/n
    ("backward of 4(Linear) truncate", (4, 3), "plain"),
    ("backward of 2(Polynomial) truncate", (4, 32), "truncation"),  # da
    ("backward of 0(Conv2d) truncate", (4, 2, 4, 4), "truncation"),  # dz, pooled: nothing of the unpooled size
    ("backward of 0(Conv2d) truncate", (4, 2, 4, 4), "plain"),
    *[(f"{name} truncate", shape, "truncation") for name, shape in (("0.weight", (2, 1, 3, 3)), ("0.bias", (2,)))],
    ("4.weight truncate", (3, 32), "truncation"),
    ("4.bias truncate", (3,), "truncation"),  # a sum of what was truncated already
]


def test_openings_of_an_mlp():
    check(ledgers(MLP, draw((8, 4), (8, 2)), dict(lr=0.1)), MLP_STEP, (8, 4))


def test_openings_of_a_cnn():
    check(ledgers(CNN, draw((8, 1, 8, 8), (8, 3)), dict(lr=0.1)), CNN_STEP, (8, 1, 8, 8))


@pytest.mark.parametrize(("dealer", "forward"), [(True, 2), (False, 1)])
def test_truncations_for_each_neuron(dealer, forward):
    """Without a dealer a truncation costs more than openings: z is truncated to be squared, da to be multiplied by z."""
    data = draw((4, 1, 8, 8), (4, 3))
    (step,) = ledgers(CNN, data, dict(lr=0.1), steps=1, format=Format(16, 6), dealer=dealer)
    sizes = Counter(
        name.startswith("backward") for name, shape, kind in step if kind == "truncation" and size(shape) == 128
    )
    assert sizes == {False: forward, True: 1}


def check(steps, expected, data_shape):
    first, second, third = steps
    inputs = [opening for opening in first if opening[2] == "input"]
    assert sum(shape == data_shape for _, shape, _ in inputs) == 1
    assert all(name.split()[0] != "data" for name, _, _ in second + third)  # nor is it opened again, in any batch
    assert normalised(second) == normalised(third) == normalised(expected)
    # In the first step the parameters are inputs, whose openings come with them.
    parameters = [(name, shape) for name, shape, kind in expected if kind == "plain" and ".weight" in name]
    fresh_ones = normalised([o for o in expected if o[:2] not in parameters or o[2] != "plain"])
    assert normalised([o for o in first if o[2] != "input"]) == fresh_ones


def normalised(openings):
    """A gradient is opened as what autograd made it of: a transpose, or with an axis of length 1."""
    return Counter((name, tuple(sorted(n for n in shape if n != 1)), kind) for name, shape, kind in openings)


def test_many_steps_open_no_more_than_the_second():
    """No chain of updates grows over the steps until something is opened anew."""
    steps = ledgers(CNN, draw((8, 1, 8, 8), (8, 3)), dict(lr=0.1), steps=30)
    assert all(step == steps[1] for step in steps[1:])


def test_steps_with_momentum_repeat_their_requests():
    options = dict(lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True)
    for base, data in ((MLP, draw((8, 4), (8, 2))), (CNN, draw((8, 1, 8, 8), (8, 3)))):
        _, second, third, fourth = ledgers(base, data, options, steps=4)
        assert second == third == fourth


def test_requests_of_steps_repeat():
    """Kinds and shapes of all material, not only of openings."""

    def work(s):
        model = s.share(fresh(CNN), owner=0)
        x, y = secrets(s, draw((4, 1, 8, 8), (4, 3)))
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        taken, asked = [], s.engine.source.request

        def request(requests):
            taken[-1] += [(type(r).__name__, tuple(r.shape)) for r in requests]
            return asked(requests)

        s.engine.source.request = request
        for _ in range(4):
            taken.append([])
            optimiser.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimiser.step()
            s.engine.step()
        return taken

    _, second, third, fourth = together(work, 2, "spdz")
    assert second == third == fourth


def test_a_square_opens_one_value_and_views_open_nothing():
    def work(s):
        x = s.secret(draw((3, 4))[0].numpy(), owner=0)
        s.reveal([x * x, x.t() @ x, x[1] ** 2, x.reshape(2, 6) @ x.reshape(6, 2), (x * 0.5) @ x.t()])
        return [r.kind for r in s.engine.protocol.ledger]

    assert together(work, 2, "spdz").count("plain") == 0


def test_an_unseen_loss_is_never_computed():
    def work(s):
        x, y = secrets(s, draw((3, 4), (3, 4)), grad=True)
        loss = F.mse_loss(x, y)
        loss.backward()
        s.engine.force(s.number(x.grad).wire)
        return s.number(loss).wire.pending

    assert together(work, 2, "spdz")
