"""Layers that normalise equal torch's: what comes out, all gradients, and the statistics that they keep."""

import copy

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together
from torch import nn


def scattered(layer):
    """Weights and biases that are not 1 and 0."""
    for i, p in enumerate(layer.parameters()):
        p.data = 1 + 0.3 * draw(tuple(p.shape), seed=10 + i)[0]
    return layer


IMAGES = draw((6, 4, 3, 3))[0] * torch.tensor([0.1, 1.0, 3.0, 20.0]).reshape(1, 4, 1, 1) + 5
ROWS = draw((8, 6))[0] * 2 + 1

LAYERS = {
    "layer norm": (lambda: nn.LayerNorm(6), ROWS),
    "layer norm of two axes": (lambda: nn.LayerNorm((3, 3)), IMAGES),
    "layer norm without weights": (lambda: nn.LayerNorm(6, elementwise_affine=False), ROWS),
    "layer norm without bias": (lambda: nn.LayerNorm(6, bias=False), ROWS),
    "rms norm": (lambda: nn.RMSNorm(6), ROWS),
    "group norm": (lambda: nn.GroupNorm(2, 4), IMAGES),
    "group norm without weights": (lambda: nn.GroupNorm(2, 4, affine=False), IMAGES),
    "instance norm": (lambda: nn.InstanceNorm2d(4, affine=True), IMAGES),
    "instance norm with statistics": (lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), IMAGES),
    "batch norm of rows": (lambda: nn.BatchNorm1d(6), ROWS),
    "batch norm of images": (lambda: nn.BatchNorm2d(4), IMAGES),
    "batch norm without weights": (lambda: nn.BatchNorm2d(4, affine=False), IMAGES),
    "batch norm without statistics": (lambda: nn.BatchNorm2d(4, track_running_stats=False), IMAGES),
    "batch norm, cumulative": (lambda: nn.BatchNorm1d(6, momentum=None), ROWS),
}


def passes(layer, x, steps=2):
    """Two forward and backward passes in training, one without; then what the layer holds."""
    shown = []
    for i in range(steps + 1):
        layer.train(i < steps)
        layer.zero_grad()
        x.grad = None
        out = layer(x)
        (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
        shown += [out, x.grad, *(p.grad for p in layer.parameters())]
    return [*shown, *(b for b in layer.buffers() if b.is_floating_point())]


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("name", LAYERS)
def test_shared_layers(name, protocol):
    make, values = LAYERS[name]
    base = scattered(make())

    def work(s):
        layer = s.share(copy.deepcopy(base), owner=0)
        return s.reveal(passes(layer, s.secret(values, owner=1).requires_grad_()))

    expected = passes(copy.deepcopy(base), values.clone().requires_grad_())
    for got, right in zip(together(work, 2, protocol), expected, strict=True):
        torch.testing.assert_close(got, right.detach(), rtol=4e-3, atol=4e-3)


@pytest.mark.parametrize("make", [lambda: nn.LayerNorm(6), lambda: nn.BatchNorm1d(6)])
def test_public_layers_over_secret_data_and_shared_layers_over_public_data(make):
    base = scattered(make()).eval().requires_grad_(False)

    def work(s):
        return s.reveal([base(s.secret(ROWS, owner=0)), s.share(copy.deepcopy(base), owner=0)(ROWS)])

    for got in together(work, 2, "spdz"):
        torch.testing.assert_close(got, base(ROWS), rtol=3e-3, atol=3e-3)


def test_shared_layers_learn_from_public_data():
    def work(s):
        layer = s.share(copy.deepcopy(base), owner=0)
        layer(ROWS).pow(2).mean().backward()
        return s.reveal([layer.weight.grad, layer.running_mean])

    base = scattered(nn.BatchNorm1d(6))
    plain = copy.deepcopy(base)
    plain(ROWS).pow(2).mean().backward()
    for got, right in zip(together(work, 2, "spdz"), (plain.weight.grad, plain.running_mean), strict=True):
        torch.testing.assert_close(got, right, rtol=3e-3, atol=3e-3)


@pytest.mark.parametrize("spread", [1e-3, 1e-2, 1.0, 100.0])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_rows_of_any_size_are_normalised(spread, offset):
    values = torch.round((draw((20, 50))[0] * spread + offset) * 2**16) / 2**16

    def work(s):
        return s.reveal(F.layer_norm(s.secret(values, owner=0), (50,)))

    for protocol in ("clear", "spdz"):
        torch.testing.assert_close(
            together(work, 2, protocol), F.layer_norm(values.double(), (50,)).float(), rtol=0.01, atol=0.01
        )


def test_constant_rows_are_normalised_to_nothing():
    def work(s):
        x = s.secret(torch.full((3, 5), 7.0), owner=0).requires_grad_()
        out = F.layer_norm(x, (5,))
        out.sum().backward()
        return s.reveal([out, x.grad])

    for got in together(work, 2, "spdz"):
        torch.testing.assert_close(got, torch.zeros(3, 5), rtol=0, atol=0.02)


@pytest.mark.parametrize("make", [lambda: nn.LayerNorm(6), lambda: nn.BatchNorm1d(6), lambda: nn.GroupNorm(2, 6)])
def test_one_root_for_both_passes(make):
    def work(s):
        layer, x = s.share(make(), owner=0), s.secret(ROWS, owner=0).requires_grad_()
        layer(x).pow(2).sum().backward()
        s.reveal([x.grad, layer.weight.grad])
        return [r.kind for r in s.engine.protocol.ledger].count("comparison")

    assert together(work, 2, "spdz") == 1


def test_no_value_leaves_its_bits():
    def work(s):
        for make, values in LAYERS.values():
            s.reveal(passes(s.share(scattered(make()), owner=0), s.secret(values, owner=1).requires_grad_(), 1))
        return 0

    together(work, 2, "clear", debug=True)


def test_a_network_with_batch_norm_trains_as_in_the_clear():
    base = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 2)
    )
    x, y = draw((12, 1, 4, 4), (12, 2))

    def steps(model, x, y):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        for _ in range(4):
            optimiser.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimiser.step()
        model.eval()
        return [model[0].weight, model[1].running_var, model[4].weight, model[5].weight, model(x)]

    def work(s):
        shared = steps(s.share(copy.deepcopy(base), owner=0), s.secret(x, owner=0), s.secret(y, owner=1))
        return s.reveal(shared)

    for got, right in zip(together(work, 2, "clear"), steps(copy.deepcopy(base), x, y), strict=True):
        torch.testing.assert_close(got, right.detach(), rtol=0.02, atol=0.02)
