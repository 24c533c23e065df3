"""Aliases and writes: views write through, detach shares, a write keeps the scale of its place."""

import copy

import pytest
import torch
from secretly import draw, same, secrets, shown, together

from tacit.torch import number

X, Y = draw((3, 4), (4,))


def row_written(x, y):
    x[1] = y
    return x


def column_added(x, y):
    x[:, 2] += 2
    return x


def part_of_part(x, y):
    x[1:][0][::2].copy_(y[:2])
    return x


def transposed(x, y):
    x.t()[0] = y[:3]
    return x


def reshaped(x, y):
    x.view(2, 6)[1, :4].mul_(y)
    return x


def number_into_rows(x, y):
    x[::2] = 0.5
    x[torch.tensor([1])] = 0.25
    return x


def indices(x, y):
    x[torch.tensor([2, 0])] = y
    x[torch.tensor([0, 1]), torch.tensor([0, 3])] += y[:2]
    return x


def detached(x, y):
    x.detach().add_(y)
    return x


def data(x, y):
    x.data.mul_(0.5)
    x.data[0].zero_()
    return x


def view_before_write(x, y):
    row = x[1]
    x.add_(1)
    return row * 2


def detached_view(x, y):
    row = x[1].detach()
    row.fill_(3.0)
    return [x, row]


def clone_is_apart(x, y):
    z = x.clone()
    z.zero_()
    z += y
    return [x, z]


def into_zeros(x, y):
    z = torch.zeros_like(x)
    z[1] = y
    z[0, 2:] = 1.5
    return z


def out_arguments(x, y):
    z = torch.empty_like(x)
    torch.add(x, y, alpha=2, out=z)
    torch.mul(z, 0.5, out=z)
    return z


def loops(x, y):
    a, b = x.clone(), y.clone()
    torch._foreach_mul_([a, b], 0.5)
    torch._foreach_add_([a, b], [x, y], alpha=2)
    return [a, b, *torch._foreach_mul([a, b], [2.0, 3.0])]


def chained(x, y):
    x.mul_(0.9).add_(y, alpha=0.1).sub_(1).div_(4).neg_()
    x.pow_(2).addcmul_(x, y.expand(3, 4), value=0.5).lerp_(y, 0.25)
    return x


def squeezed(x, y):
    z = x.clone().unsqueeze_(0)
    z[0, 1] = y
    return z.squeeze_(0)


def copied(x, y):
    z = copy.deepcopy(x)
    z.add_(1)
    return [x, z]


def public_values(x, y):
    x.copy_(torch.ones(4))
    x[0].copy_(y)
    return x


def masks(x, y):
    mask = torch.tensor([True, False, True, False])
    return [x.masked_fill(mask, 2.0), torch.where(mask, x, y), torch.where(mask, 0.0, x)]


CASES = [
    *(row_written, column_added, part_of_part, transposed, reshaped, number_into_rows, indices, detached, data),
    *(view_before_write, detached_view, clone_is_apart, into_zeros, out_arguments, loops, chained, squeezed, copied),
    *(public_values, masks),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_writes_as_torch(case):
    with torch.no_grad():
        expected = case(X.clone(), Y.clone())

    def work(s):
        with torch.no_grad():
            return shown(s, case(*secrets(s, [X, Y])))

    same(together(work), expected, 1e-3)


def test_a_write_keeps_scale_and_bits_and_is_forced_at_the_end_of_a_step():
    def work(s):
        x, y = secrets(s, [X, Y])
        before = number(x)
        with torch.no_grad():
            for _ in range(3):
                x.add_(y * y, alpha=-0.1)
            x.mul_(0.3)
        after = number(x)
        assert after is not before and after.wire.pending
        s.engine.step()
        assert not after.wire.pending
        return [before.scale, before.bits] == [after.scale, after.bits]

    assert together(work)


def test_reading_twice_gives_one_number():
    """What was opened of a value is known whatever it is read through."""

    def work(s):
        (x,) = secrets(s, [X])
        row = x[1]
        assert number(x) is number(x.detach()) and number(x.t()) is number(x.t())
        assert number(row) is number(row.detach())
        return 0

    together(work)


def test_data_takes_another_secret():
    def work(s):
        x, z = secrets(s, [X, 2 * X])
        x.data = z
        z.zero_()
        return shown(s, x)

    same(together(work), 0 * X)


WHOLE = {
    "a mask is scaled": lambda x: (x > 0).float().mul_(0.5),
    "a mask is shifted": lambda x: (x > 0).double().sub_(0.1),
    "a part of a mask": lambda x: (x > 0).float().index_fill_(0, torch.tensor([0]), 0.25),
    "some of a mask": lambda x: (x > 0).float().index_put((torch.tensor([0, 2]),), x[:2]),
    "a view of a mask": lambda x: _filled((x > 0).float()),
    "a mask is filled": lambda x: ((x > 0) * 1.0).masked_fill_(x < 0, 0.3),
    "a count is divided": lambda x: (x > 0).sum(1).float().div_(6),
    "whole parts": lambda x: x.floor().add_(0.5).mul_(0.3),
    "signs": lambda x: x.sign().clamp_(-0.7, 0.2),
    "zeros that take a mask": lambda x: torch.zeros_like(x).add_(x > 0).mul_(0.3),
    "large numbers": lambda x: (x * 1024).mul_(1 / 1024).add_(0.01),
    "smoothed labels": lambda x: torch.nn.functional.one_hot(x.argmax(1), 3).float().mul_(0.9).add_(0.1 / 3),
}


def _filled(z):
    z.view(-1)[3:5] = 0.7
    return z


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("name", WHOLE)
def test_places_of_real_numbers_keep_fractions_though_they_began_whole(name, protocol):
    values = draw((4, 3))[0]

    def work(s):
        return s.reveal(WHOLE[name](s.secret(values, owner=0)))

    torch.testing.assert_close(together(work, 2, protocol), WHOLE[name](values), atol=1e-3, rtol=1e-3)


def test_a_gradient_that_began_as_a_mask_takes_fractions():
    def work(x):
        torch.relu(x).sum().backward()
        (x * 0.3).sum().backward()
        x.grad.mul_(0.5)
        return x.grad

    values = draw((4, 3))[0]
    got = together(lambda s: s.reveal(work(s.secret(values, owner=0).requires_grad_())))
    torch.testing.assert_close(got, work(values.clone().requires_grad_()), atol=1e-3, rtol=1e-3)
