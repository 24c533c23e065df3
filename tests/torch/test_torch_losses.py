"""Losses equal torch's, forward and backward, with every reduction."""

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together

import tacit

X = draw((4, 3))[0].log_softmax(1)
Y = torch.tensor([2, 0, 1, 2])
PLANES = draw((2, 3, 2, 2))[0].log_softmax(1)
W = torch.tensor([0.5, 1.5, 2.0])

NLL = {
    "plain": (X, Y, {}),
    "sum": (X, Y, {"reduction": "sum"}),
    "none": (X, Y, {"reduction": "none"}),
    "weights": (X, Y, {"weight": W, "reduction": "sum"}),
    "weights none": (X, Y, {"weight": W, "reduction": "none"}),
    "single": (X[0], Y[0], {}),
    "planes": (PLANES, torch.tensor([[[0, 1], [2, 2]], [[1, 0], [2, 1]]]), {}),
    "planes none": (PLANES, torch.tensor([[[0, 1], [2, 2]], [[1, 0], [2, 1]]]), {"reduction": "none"}),
    "planes weights": (
        PLANES,
        torch.tensor([[[0, 1], [2, 2]], [[1, 0], [2, 1]]]),
        {"weight": W, "reduction": "sum"},
    ),
}


def close(got, right, tolerance=1e-3):
    for g, r in zip(got, right, strict=True):
        torch.testing.assert_close(g, r.detach(), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("secret", [True, False])
@pytest.mark.parametrize("name", NLL)
def test_nll_loss(name, secret, protocol):
    values, target, options = NLL[name]

    def work(s):
        x = s.secret(values, owner=0).requires_grad_()
        y = s.labels(target, 3) if secret else target
        loss = F.nll_loss(x, y, **options)
        (loss * 2).sum().backward()
        return s.reveal([loss, x.grad]) if secret else [s.reveal(loss), x.grad.read()]

    x = values.clone().requires_grad_()
    loss = F.nll_loss(x, target, **options)
    (loss * 2).sum().backward()
    close(together(work, 2, protocol), [loss, x.grad])


@pytest.mark.parametrize("options", [{"weight": W}, {"ignore_index": 1}, {"weight": W, "ignore_index": 2}])
def test_nll_loss_of_public_labels_with_what_secret_ones_lack(options):
    def work(s):
        x = s.secret(X, owner=0).requires_grad_()
        loss = F.nll_loss(x, Y, **options)
        loss.backward()
        with pytest.raises(tacit.Unsupported, match=r"ignore_index|divides"):
            F.nll_loss(x, s.labels(Y, 3), **options)
        return [s.reveal(loss), x.grad.read()]

    x = X.clone().requires_grad_()
    loss = F.nll_loss(x, Y, **options)
    loss.backward()
    close(together(work), [loss, x.grad])


def test_labels_of_public_values():
    def work(s):
        return s.reveal(F.nll_loss(X, s.labels(Y, 3)))

    close([together(work, 3, "spdz")], [F.nll_loss(X, Y)])


def test_the_gradient_of_nll_loss_opens_nothing_and_says_what_its_rows_sum_to():
    def work(s):
        x, y = s.secret(X, owner=0).requires_grad_(), s.labels(Y, 3)
        F.nll_loss(x, y).backward()
        total = s.number(x.grad).wire.companions["total"]
        got = s.reveal(x.grad)
        torch.testing.assert_close(got.sum(1), torch.full((4,), float(total)))
        return [r.kind for r in s.engine.protocol.ledger]

    assert together(work, 2, "spdz") == ["input", "output"]


def test_labels_that_do_not_fit():
    def work(s):
        x = s.secret(X, owner=0)
        with pytest.raises(RuntimeError, match="do not fit"):
            F.nll_loss(x, s.labels(Y, 4, owner=0))
        with pytest.raises(IndexError, match="label 7"):
            F.nll_loss(x, torch.tensor([0, 7, 1, 1]))
        with pytest.raises(tacit.Unsupported, match="one-hot"):
            F.nll_loss(x, s.labels(Y, 3, owner=0) * 2)

    together(work, 1)
