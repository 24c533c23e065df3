"""Losses equal torch's, forward and backward, with every reduction."""

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, together

import tacit
from tacit.torch.ops.functions import TOTALS

X = draw((4, 3))[0].log_softmax(1)
Y = torch.tensor([2, 0, 1, 2])
PLANES = draw((2, 3, 2, 2))[0].log_softmax(1)
W = torch.tensor([0.5, 1.5, 2.0])

NLL = {
    "plain": (X, Y, {}),
    "sum": (X, Y, {"reduction": "sum"}),
    "none": (X, Y, {"reduction": "none"}),
    "weights": (X, Y, {"weight": W}),
    "weights sum": (X, Y, {"weight": W, "reduction": "sum"}),
    "weights none": (X, Y, {"weight": W, "reduction": "none"}),
    "single": (X[0], Y[0], {}),
    "planes": (PLANES, torch.tensor([[[0, 1], [2, 2]], [[1, 0], [2, 1]]]), {}),
    "planes none": (PLANES, torch.tensor([[[0, 1], [2, 2]], [[1, 0], [2, 1]]]), {"reduction": "none"}),
    "planes weights": (
        PLANES,
        torch.tensor([[[0, 1], [2, 2]], [[1, 0], [2, 1]]]),
        {"weight": W},
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
        y = s.labels(target, 3, owner=1) if secret else target
        loss = F.nll_loss(x, y, **options)
        (loss * 2).sum().backward()
        return s.reveal([loss, x.grad]) if secret else [s.reveal(loss), x.grad.read()]

    x = values.clone().requires_grad_()
    loss = F.nll_loss(x, target, **options)
    (loss * 2).sum().backward()
    close(together(work, 2, protocol), [loss, x.grad])


@pytest.mark.parametrize("options", [{"ignore_index": 1}, {"weight": W, "ignore_index": 2}])
def test_labels_to_be_ignored_are_public(options):
    def work(s):
        x = s.secret(X, owner=0).requires_grad_()
        loss = F.nll_loss(x, Y, **options)
        loss.backward()
        with pytest.raises(tacit.Unsupported, match="ignore_index"):
            F.nll_loss(x, s.labels(Y, 3, owner=1), **options)
        return [s.reveal(loss), x.grad.read()]

    x = X.clone().requires_grad_()
    loss = F.nll_loss(x, Y, **options)
    loss.backward()
    close(together(work), [loss, x.grad])


def test_labels_of_public_values():
    def work(s):
        return s.reveal(F.nll_loss(X, s.labels(Y, 3, owner=1)))

    close([together(work, 3, "spdz")], [F.nll_loss(X, Y)])


def test_the_gradient_of_nll_loss_opens_nothing_and_says_what_its_rows_sum_to():
    def work(s):
        x, y = s.secret(X, owner=0).requires_grad_(), s.labels(Y, 3, owner=1)
        F.nll_loss(x, y).backward()
        total = TOTALS.of(s.number(x.grad), 1)
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


# Losses of two numbers.

A = draw((6, 4), seed=3)[0] * 2
B = draw((6, 4), seed=4)[0]
BITS = (B > 0).float()
SIGNS = 2 * BITS - 1
FIRST = torch.sigmoid(A)
PAIRS = {
    "huber": (F.huber_loss, A, B),
    "huber sum": (lambda x, y: F.huber_loss(x, y, reduction="sum", delta=0.5), A, B),
    "huber none": (lambda x, y: F.huber_loss(x, y, reduction="none"), A, B),
    "smooth l1": (F.smooth_l1_loss, A, B),
    "smooth l1 beta": (lambda x, y: F.smooth_l1_loss(x, y, reduction="none", beta=0.25), A, B),
    "smooth l1 sharp": (lambda x, y: F.smooth_l1_loss(x, y, beta=0.0), A, B),
    "l1": (F.l1_loss, A, B),
    "l1 none": (lambda x, y: F.l1_loss(x, y, reduction="none"), A, B),
    "bce logits": (F.binary_cross_entropy_with_logits, A, BITS),
    "bce logits weights": (
        lambda x, y: F.binary_cross_entropy_with_logits(
            x, y, weight=torch.linspace(0.5, 1, 4), pos_weight=torch.linspace(1, 2, 4), reduction="sum"
        ),
        A,
        BITS,
    ),
    "bce": (lambda x, y: F.binary_cross_entropy(x, y, reduction="sum"), FIRST, BITS),
    "bce weights": (lambda x, y: F.binary_cross_entropy(x, y, weight=torch.linspace(0.5, 1, 4)), FIRST, BITS),
    "soft margin": (F.soft_margin_loss, A, SIGNS),
    "hinge embedding": (F.hinge_embedding_loss, A.abs(), SIGNS),
    "margin ranking": (lambda x, y: F.margin_ranking_loss(x, y, SIGNS, margin=0.1), A, B),
    "hinge": (lambda x, y: (1 - x * y).clamp(min=0).mean(), A, SIGNS),
    "cosine of one-hots": (lambda x, y: F.kl_div(x, y.abs() + 0.1, reduction="sum"), A, B),
    "poisson": (F.poisson_nll_loss, A / 2, BITS),
}
SECRET_TARGETS = [n for n in PAIRS if n != "cosine of one-hots"]


def both(name, secret):
    loss, x, y = PAIRS[name]

    def work(x, y, reveal=lambda v: v.detach()):
        x = x.requires_grad_()
        out = loss(x, y)
        (out * 2).sum().backward()
        return [reveal(out), reveal(x.grad)]

    def secretly(s):
        return work(s.secret(x, owner=0), s.secret(y, owner=1) if secret else y, s.reveal)

    return secretly, work(x.clone(), y)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize(("name", "secret"), [(n, True) for n in SECRET_TARGETS] + [(n, False) for n in PAIRS])
def test_losses_of_two_numbers(name, secret, protocol):
    secretly, right = both(name, secret)
    close(together(secretly, 2, protocol), right, 5e-3)


# Cross-entropy of logits.

LOGITS = draw((5, 4), seed=7)[0] * 2
KINDS = torch.tensor([3, 0, 1, 3, 2])
SOFT = draw((5, 4), seed=8)[0].softmax(1)
V = torch.tensor([0.5, 1.0, 2.0, 1.5])
ENTROPY = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "smoothing": {"label_smoothing": 0.1},
    "smoothing sum": {"label_smoothing": 0.1, "reduction": "sum"},
    "weights": {"weight": V},
    "weights and smoothing": {"weight": V, "label_smoothing": 0.1},
}


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("target", ["secret", "public", "one-hot", "probabilities", "public probabilities"])
@pytest.mark.parametrize("name", ENTROPY)
def test_cross_entropy(name, target, protocol):
    options = ENTROPY[name]
    plain = {"secret": KINDS, "public": KINDS, "one-hot": F.one_hot(KINDS, 4).float()}.get(target, SOFT)

    def work(s):
        x = s.secret(LOGITS, owner=0).requires_grad_()
        y = (
            s.labels(plain, 4, owner=1)
            if target == "secret"
            else plain
            if "public" in target
            else s.secret(plain, owner=1)
        )
        loss = F.cross_entropy(x, y, **options)
        (loss * 2).sum().backward()
        return s.reveal([loss, x.grad])

    x = LOGITS.clone().requires_grad_()
    loss = F.cross_entropy(x, plain, **options)
    (loss * 2).sum().backward()
    close(together(work, 2, protocol), [loss, x.grad], 4e-3)


def test_cross_entropy_of_three_parties_and_of_planes():
    planes, kinds = draw((2, 3, 2, 2))[0], torch.tensor([[[0, 1], [2, 2]], [[1, 0], [2, 1]]])

    def work(s):
        x = s.secret(planes, owner=2).requires_grad_()
        loss = F.cross_entropy(x, s.labels(kinds, 3, owner=1))
        loss.backward()
        return s.reveal([loss, x.grad])

    x = planes.clone().requires_grad_()
    loss = F.cross_entropy(x, kinds)
    loss.backward()
    close(together(work, 3, "spdz"), [loss, x.grad], 4e-3)


def test_a_cross_entropy_that_nobody_reveals_takes_no_logarithm():
    def openings(shown):
        def work(s):
            x, y = s.secret(LOGITS, owner=0).requires_grad_(), s.labels(KINDS, 4, owner=1)
            loss = F.cross_entropy(x, y)
            loss.backward()
            s.reveal([x.grad, loss] if shown else x.grad)
            return len(s.engine.protocol.ledger)

        return together(work, 2, "spdz")

    assert openings(False) < openings(True) - 2
