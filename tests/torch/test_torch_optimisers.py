"""PyTorch's optimisers and schedulers on secret parameters: their steps equal those in the clear."""

import copy

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together
from torch import nn
from torch.optim import lr_scheduler

import tacit
from tacit.errors import OutOfRange, Unsupported

X, Y = draw((12, 3), (12, 2))
BASE = nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.Linear(4, 2))

OPTIMISERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.05),
    "adam, each": lambda p: torch.optim.Adam(p, lr=0.05, foreach=True),
    "adam, one by one": lambda p: torch.optim.Adam(p, lr=0.05, foreach=False),
    "adam, decaying": lambda p: torch.optim.Adam(p, lr=0.05, weight_decay=0.1),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=0.05, amsgrad=True),
    "amsgrad, each": lambda p: torch.optim.Adam(p, lr=0.05, amsgrad=True, foreach=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05),
    "adamw, each": lambda p: torch.optim.AdamW(p, lr=0.05, foreach=True),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.05),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.02),
    "rmsprop, each": lambda p: torch.optim.RMSprop(p, lr=0.02, foreach=True),
    "rmsprop, momentum": lambda p: torch.optim.RMSprop(p, lr=0.02, momentum=0.9, alpha=0.9),
    "rmsprop, centred": lambda p: torch.optim.RMSprop(p, lr=0.02, centered=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "adagrad, each": lambda p: torch.optim.Adagrad(p, lr=0.1, foreach=True),
    "rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
    "rprop, each": lambda p: torch.optim.Rprop(p, lr=0.01, foreach=True),
    "adamax": lambda p: torch.optim.Adamax(p, lr=0.05),
    "large eps": lambda p: torch.optim.Adam(p, lr=0.05, eps=0.1),
}


def train(model, optimiser, x, y, steps=3, clip=None, scheduler=None):
    for _ in range(steps):
        optimiser.zero_grad()
        F.mse_loss(model(x), y).backward()
        if clip is not None:
            clip(model.parameters())
        optimiser.step()
        if scheduler is not None:
            scheduler.step()
    return [p.detach() for p in model.parameters()]


def alike(make, protocol="clear", tolerance=2e-3, base=BASE, data=(X, Y), **options):
    """Training in secret and in the clear."""

    def work(s):
        model = s.share(copy.deepcopy(base), owner=0)
        x, y = (s.secret(d, owner=i) for i, d in enumerate(data))
        scheduled = make(model.parameters())
        optimiser, scheduler = scheduled if isinstance(scheduled, tuple) else (scheduled, None)
        return s.reveal(train(model, optimiser, x, y, scheduler=scheduler, **options))

    plain = copy.deepcopy(base)
    scheduled = make(plain.parameters())
    optimiser, scheduler = scheduled if isinstance(scheduled, tuple) else (scheduled, None)
    expected = train(plain, optimiser, *data, scheduler=scheduler, **options)
    for got, right in zip(together(work, 2, protocol), expected, strict=True):
        torch.testing.assert_close(got, right, rtol=0, atol=tolerance)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps(name, protocol):
    alike(OPTIMISERS[name], protocol)


def follow(optimiser, x):
    """Three steps of parameters whose gradient is x."""
    p = torch.zeros_like(x) if type(x) is torch.Tensor else x * 0.0
    p = p.detach().requires_grad_()
    made = optimiser([p])
    for _ in range(3):
        made.zero_grad()
        (p * x).sum().backward()
        made.step()
    return p


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("name", ["adam", "amsgrad", "adamw", "rmsprop", "adagrad"])
def test_small_gradients_make_steps_of_the_same_size(name, protocol):
    """At a gradient of 5e-5 Adam's v is 2.5e-12 after a step; from 3e-5 down there may be no step, but never a large one."""
    gradients = torch.tensor([0.1, 1e-2, 1e-3, -1e-3, 3e-4, 1e-4, -1e-4, 5e-5])
    tiny = torch.tensor([3e-5, 1e-5, -1e-5, 1e-6, 1e-7, 0.0])

    def work(s):
        x = s.secret(torch.cat([gradients, tiny]) * 2**8, owner=0, format=tacit.Format(24, 5)) * 2**-8
        return s.reveal(follow(OPTIMISERS[name], x))

    got = together(work, 2, protocol)
    right = follow(OPTIMISERS[name], torch.cat([gradients, tiny]))
    count = len(gradients)
    torch.testing.assert_close(got[:count], right[:count], rtol=0.1, atol=1e-3)
    assert (got[count:].abs() <= 1.5 * right.abs().max()).all()


@pytest.mark.parametrize("name", ["adam", "amsgrad", "rmsprop", "adagrad", "adagrad, each"])
def test_no_gradient_is_no_step(name):
    """0 / (sqrt(0) + 1e-8) is 0, and does not saturate."""
    base = nn.Linear(2, 2)

    def work(s):
        model = s.share(copy.deepcopy(base), owner=0)
        x, y = s.secret(torch.zeros(3, 2), owner=0), s.secret(base.bias.detach().expand(3, 2), owner=1)
        optimiser = OPTIMISERS[name](model.parameters())
        return s.reveal(train(model, optimiser, x * 1, y)[:1])

    for protocol in ("clear", "spdz"):
        (weight,) = together(work, 2, protocol)
        torch.testing.assert_close(weight, base.weight.detach(), rtol=0, atol=1e-3)


def clipped(norm, **options):
    return lambda parameters: nn.utils.clip_grad_norm_(parameters, norm, **options)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize(
    "clip",
    [
        clipped(0.1),
        clipped(100.0),
        clipped(0.1, foreach=False),
        clipped(0.1, norm_type=1),
        clipped(0.1, error_if_nonfinite=True),
        lambda parameters: nn.utils.clip_grad_value_(parameters, 0.05),
    ],
)
def test_clipped_gradients(clip, protocol):
    alike(lambda p: torch.optim.SGD(p, lr=0.5), protocol, clip=clip)


SCHEDULERS = {
    "step": lambda o: lr_scheduler.StepLR(o, 1, gamma=0.5),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 3),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=4),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "warm": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=3),
}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_schedulers(name, optimiser):
    def make(parameters):
        made = torch.optim.Adam(parameters, lr=0.05) if optimiser == "adam" else torch.optim.SGD(parameters, lr=0.1)
        return made, SCHEDULERS[name](made)

    alike(make)


def test_a_step_takes_one_comparison_a_parameter():
    def work(s):
        model = s.share(nn.Linear(3, 2), owner=0)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
        train(model, optimiser, s.secret(X, owner=0), s.secret(Y, owner=1), steps=2)
        s.reveal([model.weight, model.bias])
        return [r.shape for r in s.engine.protocol.ledger if r.kind == "comparison"]

    assert sorted(shape[1:] for shape in together(work, 2, "spdz")) == [(2,), (2,), (2, 3), (2, 3)]


@pytest.mark.slow
def test_no_value_leaves_its_bits():
    def work(s):
        for make in OPTIMISERS.values():
            model = s.share(copy.deepcopy(BASE), owner=0)
            s.reveal(train(model, make(model.parameters()), s.secret(X, owner=0), s.secret(Y, owner=1)))
        return 0

    together(work, 2, "clear", debug=True)


COARSE = tacit.Format(8, 18)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("each", [False, True])
def test_steps_that_no_parameter_can_show_are_refused(each, protocol):
    """2^-28 times the largest gradient, 2^18, is below half a unit of the last place, 2^-9."""

    def work(s):
        p = s.secret(torch.ones(3), owner=0).requires_grad_()
        optimiser = torch.optim.SGD([p], lr=2.0**-28, foreach=each)
        (p * s.secret(torch.full((3,), 1000.0), owner=1)).sum().backward()
        with pytest.raises(OutOfRange, match="more fraction bits"):
            optimiser.step()

    tacit.run(work, 2, protocol=protocol, format=COARSE)


def test_a_schedule_may_end_near_nothing():
    def work(s):
        p = s.secret(torch.ones(3), owner=0).requires_grad_()
        optimiser = torch.optim.SGD([p], lr=0.5)
        for lr in (0.0, 0.5, 2.0**-30):
            optimiser.param_groups[0]["lr"] = lr
            p.grad = s.secret(torch.ones(3), owner=1)
            optimiser.step()
        return s.reveal(p)

    torch.testing.assert_close(tacit.run(work, 2, protocol="clear", format=COARSE)[0].detach(), torch.full((3,), 0.5))


def test_small_steps_are_right_on_average():
    """A tenth of a unit: up or down at random, but for `clear`, which rounds to the nearest unit."""
    count, steps, unit = 2000, 20, 2.0**-8

    def work(s):
        p = s.secret(torch.zeros(count), owner=0).requires_grad_()
        optimiser = torch.optim.SGD([p], lr=0.1)
        for _ in range(steps):
            p.grad = s.secret(torch.full((count,), unit), owner=1)
            optimiser.step()
        return s.reveal(p)

    moved = {p: tacit.run(work, 2, protocol=p, format=COARSE)[0].detach() for p in ("clear", "spdz")}
    assert not moved["clear"].any()
    assert abs(moved["spdz"].mean() / (-0.1 * unit * steps) - 1) < 0.1  # 6 standard deviations


@pytest.mark.parametrize(
    "step",
    [
        lambda p: torch.optim.Adam([p], fused=True).step(),
        lambda p: torch.optim.LBFGS([p]).step(lambda: (p * p).sum()),
        lambda p: lr_scheduler.ReduceLROnPlateau(torch.optim.SGD([p], lr=0.1)).step((p * p).sum()),
    ],
)
def test_refused(step):
    def work(s):
        p = s.secret(torch.ones(2), owner=0).requires_grad_()
        (p * p).sum().backward()
        with pytest.raises(Unsupported, match=r"fused=False|reveal"):
            step(p)
        return 0

    together(work, 1)
