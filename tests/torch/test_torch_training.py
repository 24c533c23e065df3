"""Unmodified models, losses and optimisers: forward, gradients and two steps as in PyTorch."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, fresh, same, secrets, shown, together
from torch import nn

from tacit import Format
from tacit.errors import Unsupported
from tacit.torch import is_secret


class Polynomial(nn.Module):
    def forward(self, x):
        return 0.125 * x**2 + 0.5 * x + 0.25


class Square(nn.Module):
    def forward(self, x):
        return x**2


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.again = nn.Linear(4, 4, bias=False)
        self.again.weight = self.inner.weight
        self.scale = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x):
        return self.again(self.inner(x) ** 2) * self.scale


class Blocks(nn.Module):
    """Slices, concatenation and a residual sum."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.out = nn.Linear(2, 3), nn.Linear(2, 3), nn.Linear(6, 6)

    def forward(self, x):
        y = torch.cat([self.left(x[:, :2]), self.right(x[:, 2:])], 1)
        return y + self.out(y).square() * 0.1


def cnn(*layers):
    return nn.Sequential(*layers)


torch.manual_seed(1)
X = torch.randn(6, 6)
MODELS = {
    "linear": (nn.Linear(4, 2), (6, 4)),
    "linear without bias": (nn.Linear(4, 2, bias=False), (6, 4)),
    "sequence": (nn.Linear(4, 2), (2, 3, 4)),
    "squares": (nn.Sequential(nn.Linear(4, 5), Square(), nn.Linear(5, 2)), (6, 4)),
    "three layers": (
        nn.Sequential(nn.Linear(4, 5), Polynomial(), nn.Linear(5, 4), Polynomial(), nn.Linear(4, 2)),
        (6, 4),
    ),
    "tied": (Tied(), (5, 4)),
    "blocks": (Blocks(), (5, 4)),
    "cnn": (
        cnn(nn.Conv2d(1, 2, 3, padding=1), nn.AvgPool2d(2), Polynomial(), nn.Flatten(), nn.Linear(18, 3)),
        (3, 1, 6, 6),
    ),
    "cnn pooled last": (
        cnn(nn.Conv2d(1, 2, 3, padding=1), Polynomial(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(18, 3)),
        (3, 1, 6, 6),
    ),
    "cnn deep": (
        cnn(
            *(nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False), Polynomial(), nn.Conv2d(3, 2, 2), nn.AvgPool2d(2)),
            *(Polynomial(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)),
        ),
        (2, 2, 10, 10),
    ),
    "cnn 1d": (cnn(nn.Conv1d(2, 3, 3), nn.AvgPool1d(2), Square(), nn.Flatten(), nn.Linear(9, 2)), (3, 2, 8)),
}
LOSSES = {
    "mse": F.mse_loss,
    "mse sum": lambda o, t: 0.1 * F.mse_loss(o, t, reduction="sum"),
    "written out": lambda o, t: ((o - t) ** 2).mean() + 0.05 * o.sum(),
}
OPTIMISERS = {
    "sgd": dict(lr=0.1),
    "momentum": dict(lr=0.05, momentum=0.9),
    "nesterov": dict(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.01),
    "dampening": dict(lr=0.05, momentum=0.9, dampening=0.5, maximize=True),
    "foreach": dict(lr=0.05, momentum=0.9, weight_decay=0.01, foreach=True),
}
CASES = [(m, "mse", "momentum") for m in MODELS]
CASES += [("squares", loss, opt) for loss, opt in itertools.product(LOSSES, OPTIMISERS)]


def trained(model, x, y, loss, options, steps=2):
    """[output, gradients of the first step, parameters]"""
    optimiser = torch.optim.SGD(model.parameters(), **options)
    first = []
    for _ in range(steps):
        optimiser.zero_grad()
        output = model(x)
        loss(output, y).backward()
        first = first or [output.detach(), *(p.grad.clone() for p in model.parameters())]
        optimiser.step()
    return [*first, *(p.detach() for p in model.parameters())]


@pytest.mark.parametrize(("model", "loss", "optimiser"), CASES)
def test_trains_as_torch(model, loss, optimiser):
    compare(model, loss, optimiser, 2, "clear")


@pytest.mark.parametrize(
    ("model", "optimiser", "parties"), [("squares", "nesterov", 3), ("cnn", "momentum", 2), ("tied", "sgd", 2)]
)
def test_trains_as_torch_under_spdz(model, optimiser, parties):
    compare(model, "mse", optimiser, parties, "spdz")


def test_trains_as_torch_without_a_third_party():
    """Values are wider there: they are truncated less often."""
    compare("cnn", "mse", "sgd", 2, "spdz", format=Format(16, 6), dealer=False)


def compare(model, loss, optimiser, parties, protocol, **session):
    base, shape = MODELS[model]
    (x0,) = draw(shape)
    (y0,) = draw(base(x0).shape, seed=1)
    expected = trained(fresh(base), x0, y0, LOSSES[loss], OPTIMISERS[optimiser])

    def work(s):
        x, y = secrets(s, [x0, y0])
        return shown(s, trained(s.share(fresh(base), owner=s.parties - 1), x, y, LOSSES[loss], OPTIMISERS[optimiser]))

    same(together(work, parties, protocol, **session), expected, 2e-3)


def test_zeroed_gradients_and_a_scheduler():
    base, shape = MODELS["squares"]
    x0, y0 = draw(shape, (6, 2))

    def train(model, x, y):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.StepLR(optimiser, 1, 0.5)
        for _ in range(3):
            optimiser.zero_grad(set_to_none=False)
            F.mse_loss(model(x), y).backward()
            F.mse_loss(model(x[:3]), y[:3]).backward()
            optimiser.step()
            schedule.step()
        return [p.detach() for p in model.parameters()]

    def work(s):
        return shown(s, train(s.share(fresh(base), owner=0), *secrets(s, [x0, y0])))

    same(together(work), train(fresh(base), x0, y0), 2e-3)


def test_an_optimiser_made_before_sharing_stays_valid():
    base = nn.Linear(3, 1)
    x0, y0 = draw((4, 3), (4, 1))

    def train(model, optimiser, x, y):
        F.mse_loss(model(x), y).backward()
        optimiser.step()
        return [p.detach() for p in model.parameters()]

    def work(s):
        model = fresh(base)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        return shown(s, train(s.share(model, owner=0), optimiser, *secrets(s, [x0, y0])))

    model = fresh(base)
    same(together(work), train(model, torch.optim.SGD(model.parameters(), lr=0.1), x0, y0), 1e-3)


def test_frozen_extractor_needs_no_products():
    """Public layers over secret data are local but for rescaling, and so are the gradients that go through them."""
    extractor = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 4)).requires_grad_(False)
    x0, y0 = draw((3, 1, 6, 6), (3, 2))
    head = nn.Linear(4, 2)

    def run(x, y, head):
        x.requires_grad_()
        features = extractor(x)
        F.mse_loss(head(features), y).backward()
        return features.detach(), x.grad, head.weight.grad

    def work(s):
        x, y = secrets(s, [x0, y0])
        with torch.no_grad():
            s.engine.force(s.number(extractor(x)).wire)
        opened = [r.kind for r in s.engine.protocol.ledger if r.kind != "input"]
        return shown(s, run(x, y, s.share(fresh(head), owner=0))), opened

    got, opened = together(work, 2, "spdz")
    assert opened == ["truncation"]  # of the pooled features, between two layers
    same(got, list(run(x0.clone(), y0, fresh(head))), 1e-3)


def test_reveal_a_model_to_one_party():
    base = nn.Sequential(nn.Linear(3, 2), Square())
    (x0,) = draw((4, 3))

    def work(s):
        model = s.share(fresh(base), owner=1)
        s.reveal(model, to=1)
        assert all(is_secret(p) == (s.me != 1) for p in model.parameters())
        if s.me == 1:
            same(model(x0), base(x0), 1e-3)
        assert s.engine.scope == []
        return 0

    together(work, 2, "spdz")


def test_sharing_keeps_ties_and_names_layers():
    base = Tied()

    def work(s):
        model = s.share(fresh(base), owner=0)
        assert model.again.weight is model.inner.weight
        assert [n for n, _ in model.named_parameters()] == [n for n, _ in base.named_parameters()]
        wire = s.number(model(secrets(s, draw((2, 4)))[0])).wire
        labels = [wire.label, wire.inputs[0].inputs[0].label]
        assert s.engine.scope == []
        s.reveal(model)
        assert not model.inner._forward_hooks
        return [label.partition(" ")[2] for label in labels]

    assert together(work) == ["mul", "again(Linear) matmul"]


def test_one_session_twice_in_one_process():
    """Parties share no state: two runs at once do not meet."""
    (x0,) = draw((3,))

    def work(s):
        return together(lambda t: shown(t, t.secret(x0.numpy(), owner=0) * 2), 1), shown(
            s, s.secret(x0.numpy(), owner=0) * 3
        )

    same(together(work), (x0 * 2, x0 * 3), 1e-3)


def test_inference_mode_and_a_copied_model():
    base, shape = MODELS["cnn"]
    (x0,) = draw(shape)

    def work(s):
        model = copy.deepcopy(s.share(fresh(base), owner=0))
        (x,) = secrets(s, [x0])
        with torch.inference_mode():
            return shown(
                s, [model(x), model(x[1:]), F.linear(x[0, 0], model[4].weight[:, :6]), F.linear(x[:, 0], X @ X.t())]
            )

    with torch.no_grad():
        expected = [base(x0), base(x0[1:]), F.linear(x0[0, 0], base[4].weight[:, :6]), F.linear(x0[:, 0], X @ X.t())]
    same(together(work), expected, 2e-3)


def test_a_state_dict_is_loaded_and_copied():
    """Plain values of a public checkpoint, and secret ones of another model."""
    base, other = nn.Linear(3, 2), nn.Linear(3, 2)
    x0, y0 = draw((4, 3), (4, 2))

    def train(model, x, y):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        F.mse_loss(model(x), y).backward()
        optimiser.step()
        return model

    def work(s):
        model, copied = s.share(fresh(base), owner=0), s.share(fresh(base), owner=0)
        model.load_state_dict(other.state_dict())
        x, y = secrets(s, [x0, y0])
        copied.load_state_dict(train(model, x, y).state_dict())
        return shown(s, list(copied.parameters()))

    same(together(work), [p.detach() for p in train(fresh(other), x0, y0).parameters()], 1e-3)


class Sorted(nn.Module):
    def forward(self, x):
        return x.sort().values


def test_an_error_inside_a_layer_leaves_no_scope():
    def work(s):
        model = s.share(nn.Sequential(nn.Linear(3, 2), Sorted()), owner=0)
        with pytest.raises(Unsupported, match=r"aten\.sort"):
            model(secrets(s, draw((2, 3)))[0])
        return s.engine.scope

    assert together(work) == []


def test_a_gradient_that_something_still_holds_is_recorded_alike():
    """Autograd then keeps a clone instead of the gradient itself; one party's garbage must not make the graphs differ."""
    x0, y0 = draw((4, 3), (4, 2))
    base = nn.Linear(3, 2)

    def work(s):
        model = s.share(fresh(base), owner=0)
        held = []
        if s.me == 0:
            for p in model.parameters():
                p.register_hook(lambda g: held.append(g))
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        x, y = secrets(s, [x0, y0])
        for _ in range(3):
            optimiser.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimiser.step()
            s.engine.step()
        return shown(s, list(model.parameters()))

    together(work, 2, "spdz")
