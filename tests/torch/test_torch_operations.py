"""A table of operations, forward and backward, against PyTorch."""

import pytest
import torch
import torch.nn.functional as F
from secretly import draw, same, secrets, shown, together

T = torch.tensor
PUBLIC = draw((3, 4), (4,), (4, 5), (2, 3, 2, 2), seed=7)

CASES = {
    "add": (lambda x, y: x + y, [(3, 4), (3, 4)]),
    "add broadcast": (lambda x, y: x + y, [(3, 4), (4,)]),
    "add alpha": (lambda x, y: torch.add(x, y, alpha=0.3), [(3, 4), (3, 1)]),
    "add number": (lambda x: 1 + x + 0.25, [(3, 4)]),
    "add public": (lambda x: x + PUBLIC[0], [(4,)]),
    "add integers": (lambda x: x + torch.arange(4), [(3, 4)]),
    "add one twice": (lambda x: x + x, [(3,)]),
    "sub": (lambda x, y: x - y, [(3, 4), (1, 4)]),
    "sub self": (lambda x: x - x + x, [(3, 4)]),
    "sub public": (lambda x: PUBLIC[0] - x - PUBLIC[1], [(3, 4)]),
    "rsub": (lambda x: 2 - x, [(3, 4)]),
    "neg": (lambda x: -x, [(3,)]),
    "mul": (lambda x, y: x * y, [(3, 4), (4,)]),
    "mul number": (lambda x: 0.3 * x * 2, [(3,)]),
    "mul zero": (lambda x: x * 0.0, [(3,)]),
    "mul public": (lambda x: PUBLIC[0] * x, [(4,)]),
    "mul mask": (lambda x: x * (PUBLIC[0] > 0), [(3, 4)]),
    "mul scalar tensor": (lambda x: x * T(0.7), [(3, 4)]),
    "mul self": (lambda x: x * x, [(3, 4)]),
    "div": (lambda x: x / 3 / T([1.0, 2.0, 5.0]), [(2, 3)]),
    "div scalar tensor": (lambda x: x / T(7.0), [(3,)]),
    "square": (lambda x: x.square() + x**2, [(5,)]),
    "cube": (lambda x: x**3, [(5,)]),
    "power 5": (lambda x: (0.5 * x) ** 5, [(5,)]),
    "power 1": (lambda x: x**1, [(5,)]),
    "polynomial": (lambda x: 0.125 * x**2 + 0.5 * x + 0.25, [(3, 4)]),
    "horner": (lambda x: x * (0.125 * x + 0.5) + 0.25, [(3, 4)]),
    "used twice": (lambda x: (x * 2).sum() + (x * x).sum(), [(4,)]),
    "used public then secret": (lambda x: x.sum() + (3 * x).mean() + (x * x * x).sum(), [(4,)]),
    "mm": (lambda x, y: x @ y, [(3, 4), (4, 2)]),
    "mm transposed": (lambda x, y: x.t() @ y.mT, [(4, 3), (2, 4)]),
    "mm public": (lambda x: x @ PUBLIC[2] + (PUBLIC[2].t() @ x.t()).t(), [(3, 4)]),
    "mm self": (lambda x: x @ x.t(), [(3, 4)]),
    "bmm": (lambda x, y: torch.bmm(x, y), [(2, 3, 4), (2, 4, 2)]),
    "bmm transposed": (lambda x, y: x.transpose(1, 2) @ y, [(2, 4, 3), (2, 4, 2)]),
    "matmul broadcast": (lambda x, y: x @ y, [(2, 3, 4), (4, 5)]),
    "matmul vector": (lambda x, y: x @ y, [(3, 4), (4,)]),
    "vector matmul": (lambda x, y: x @ y, [(4,), (4, 3)]),
    "dot": (lambda x, y: x @ y, [(4,), (4,)]),
    "mv public": (lambda x: PUBLIC[0] @ x, [(4,)]),
    "outer": (lambda x, y: torch.outer(x, y), [(3,), (4,)]),
    "addmm": (lambda b, x, y: torch.addmm(b, x, y, beta=0.5, alpha=2), [(2,), (3, 4), (4, 2)]),
    "addmm public bias": (lambda x, y: torch.addmm(PUBLIC[0], x, y), [(3, 2), (2, 4)]),
    "linear": (F.linear, [(3, 4), (2, 4), (2,)]),
    "linear of three axes": (F.linear, [(2, 3, 4), (2, 4), (2,)]),
    "linear without bias": (F.linear, [(3, 4), (2, 4)]),
    "einsum": (lambda x, y: torch.einsum("bij,bkj->bik", x, y), [(2, 3, 4), (2, 5, 4)]),
    "baddbmm": (lambda b, x, y: torch.baddbmm(b, x, y), [(2, 3, 2), (2, 3, 4), (2, 4, 2)]),
    "addmv": (lambda b, x, y: torch.addmv(b, x, y), [(3,), (3, 4), (4,)]),
    "addcmul": (lambda b, x, y: torch.addcmul(b, x, y, value=0.5), [(3,), (3,), (3,)]),
    "lerp": (lambda x, y: torch.lerp(x, y, 0.3), [(3,), (3,)]),
    "sum": (lambda x: x.sum(), [(3, 4)]),
    "sum dim": (lambda x: x.sum(1) + x.sum((0, 1)), [(3, 3)]),
    "sum keepdim": (lambda x: x.sum(-1, keepdim=True) * x, [(3, 4)]),
    "mean": (lambda x: x.mean() + x.mean(0), [(3, 4)]),
    "mean dims": (lambda x: x.mean((-1, -2), keepdim=True), [(2, 3, 4)]),
    "cumsum": (lambda x: x.cumsum(1), [(2, 3, 2)]),
    "view": (lambda x: x.view(4, 3).reshape(-1).unflatten(0, (2, 6)), [(3, 4)]),
    "flatten": (lambda x: x.flatten(1), [(2, 3, 4)]),
    "permute": (lambda x: x.permute(2, 0, 1).transpose(0, 1), [(2, 3, 4)]),
    "movedim": (lambda x: x.movedim(0, 2).swapaxes(0, 1), [(2, 3, 4)]),
    "expand": (lambda x: x.expand(3, 2, -1), [(2, 1)]),
    "squeeze": (lambda x: x.squeeze().unsqueeze(0).squeeze(0), [(3, 1, 2)]),
    "squeeze dim": (lambda x: x.squeeze(1).squeeze(0), [(3, 1, 2)]),
    "select": (lambda x: x[1] + x[:, -1], [(3, 3)]),
    "slice": (lambda x: x[1:, ::2] * 2, [(3, 5)]),
    "slice of slice": (lambda x: x[1:4][:, 1:][::2], [(5, 3)]),
    "narrow": (lambda x: x.narrow(1, 1, 2), [(2, 4)]),
    "iterate": (lambda x: sum(row * (i + 1) for i, row in enumerate(x)), [(3, 2)]),
    "split": (lambda x: x.split(2, 1)[0] * x.split([2, 3], 1)[0], [(2, 5)]),
    "chunk": (lambda x: x.chunk(2)[0] + x.chunk(2)[1], [(4, 2)]),
    "index": (lambda x: x[T([2, 0, 2])], [(3, 2)]),
    "index mask": (lambda x: x[T([True, False, True])], [(3, 2)]),
    "index dim": (lambda x: x[:, T([1, 0, -1])], [(2, 3)]),
    "index matrix": (lambda x: x[T([[0, 1], [2, 2]])], [(3, 2)]),
    "index pairs": (lambda x: x[T([0, 1]), T([2, 1])], [(2, 3)]),
    "embedding": (lambda x: F.embedding(T([[0, 2], [1, 1]]), x).detach() * x.sum(), [(3, 2)]),
    "cat": (lambda x, y: torch.cat([x, y * 0.3, PUBLIC[0]], 0), [(1, 4), (2, 4)]),
    "cat dim": (lambda x, y: torch.cat([x, y], -1), [(2, 1), (2, 3)]),
    "stack": (lambda x, y: torch.stack([x, y * y], 1), [(2, 3), (2, 3)]),
    "repeat": (lambda x: x.repeat(2, 2, 1), [(2, 3)]),
    "flip": (lambda x: x.flip(0).roll(1, 1), [(2, 3)]),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1)), [(2, 3)]),
    "pad value": (lambda x: F.pad(x, (1, -1), value=0.5).detach() + x, [(2, 3)]),
    "tril": (lambda x: x.tril() + x.triu(1).detach(), [(3, 3)]),
    "trace": (lambda x: (x * torch.eye(3)).sum(), [(3, 3)]),
    "clone": (lambda x: x.clone().contiguous() * x.detach(), [(3,)]),
    "double": (lambda x: x.double().float() * 2, [(3,)]),
    "ones_like": (lambda x: x * torch.ones_like(x) * 3 + torch.zeros_like(x), [(3,)]),
    "full_like": (lambda x: x * torch.full_like(x, 0.3) + x.new_ones(3), [(3,)]),
    "mse": (F.mse_loss, [(3, 4), (3, 4)]),
    "mse sum": (lambda x, y: F.mse_loss(x, y, reduction="sum") * 0.5, [(3, 4), (3, 4)]),
    "mse none": (lambda x, y: F.mse_loss(x, y, reduction="none"), [(3, 4), (3, 4)]),
    "mse public target": (lambda x: F.mse_loss(x, PUBLIC[0]), [(3, 4)]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1), [(2, 3, 5, 4), (2, 3, 3, 3), (2,)]),
    "conv2d stride": (lambda x, w: F.conv2d(x, w, stride=(2, 1), padding=(0, 1)), [(2, 1, 5, 4), (2, 1, 3, 2)]),
    "conv2d of one image": (lambda x, w: F.conv2d(x, w), [(1, 5, 4), (2, 1, 3, 2)]),
    "conv2d public weight": (lambda x: F.conv2d(x, PUBLIC[3], padding=1), [(2, 3, 3, 4)]),
    "conv2d public image": (lambda w, b: F.conv2d(PUBLIC[3], w, b), [(2, 3, 2, 1), (2,)]),
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1), [(2, 3, 7), (2, 3, 3), (2,)]),
    "conv and pool": (
        lambda x, w, b: F.avg_pool2d(F.conv2d(x, w, b, padding=1), 2),
        [(2, 2, 6, 4), (3, 2, 3, 3), (3,)],
    ),
    "conv and odd pool": (lambda x, w, b: F.avg_pool2d(F.conv2d(x, w, b), 2), [(2, 2, 7, 5), (3, 2, 2, 2), (3,)]),
    "conv used twice": (
        lambda x, w: (lambda y: F.avg_pool2d(y, 2).sum() + (y * y).sum())(F.conv2d(x, w)),
        [(1, 1, 4, 4), (1, 1, 1, 1)],
    ),
    "pool": (lambda x: F.avg_pool2d(x, 2), [(2, 3, 5, 4)]),
    "pool overlap": (lambda x: F.avg_pool2d(x, 3, stride=2, padding=1), [(2, 1, 6, 6)]),
    "pool of three": (lambda x: F.avg_pool2d(x, 3), [(2, 1, 6, 6)]),
    "pool divisor": (lambda x: F.avg_pool2d(x, 2, divisor_override=3), [(1, 1, 4, 4)]),
    "conv and overlapping pool": (
        lambda x, w, b: F.avg_pool2d(F.conv2d(x, w, b), 3, stride=1),
        [(1, 1, 5, 5), (2, 1, 2, 2), (2,)],
    ),
    "adaptive pool": (lambda x: F.adaptive_avg_pool2d(x, (2, 1)), [(2, 1, 4, 3)]),
    "global pool": (lambda x: F.adaptive_avg_pool2d(x, 1), [(2, 2, 4, 3)]),
    "pool 1d": (lambda x: F.avg_pool1d(x, 2), [(2, 1, 4)]),
}


def with_gradients(function, tensors):
    y = function(*tensors)
    if not y.requires_grad:
        return [y]
    (y * y * 0.5).sum().backward()
    return [y.detach(), *(t.grad for t in tensors)]


@pytest.mark.quick()
@pytest.mark.parametrize("name", CASES)
def test_equals_torch(name):
    function, shapes = CASES[name]
    data = [0.5 * x for x in draw(*shapes)]
    expected = with_gradients(function, [x.clone().requires_grad_() for x in data])

    def work(s):
        got = with_gradients(function, secrets(s, data, grad=True))
        return [shown(s, g) for g in got]

    same(together(work), expected, 1e-3)


@pytest.mark.parametrize("name", ["polynomial", "mm transposed", "conv and pool", "cat", "index", "power 5"])
def test_equals_torch_under_spdz(name):
    function, shapes = CASES[name]
    data = [0.5 * x for x in draw(*shapes)]
    expected = with_gradients(function, [x.clone().requires_grad_() for x in data])

    def work(s):
        return [shown(s, g) for g in with_gradients(function, secrets(s, data, grad=True))]

    same(together(work, 3 if name == "mm transposed" else 2, "spdz"), expected, 1e-3)


def test_autograd_grad_and_second_use():
    (x0,) = draw((4,))

    def function(x):
        y = x * x * 0.5
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        (h,) = torch.autograd.grad((g * x).sum(), x)
        return [g.detach(), h]

    def work(s):
        return shown(s, function(*secrets(s, [x0], grad=True)))

    same(together(work), function(x0.clone().requires_grad_()), 1e-3)


def test_gradients_accumulate_over_backwards():
    x0, y0 = draw((4,), (4,))

    def function(x, y):
        (3 * x).sum().backward()  # a public gradient first, then a secret one
        (x * y).sum().backward()
        (x * y).sum().backward()
        return x.grad

    def work(s):
        x, y = secrets(s, [x0, y0])
        return shown(s, function(x.requires_grad_(), y))

    same(together(work), function(x0.clone().requires_grad_(), y0), 1e-3)


def test_writes_inside_a_graph():
    (x0,) = draw((3, 4))

    def function(x):
        y = x * 2
        y += x
        y *= 0.5
        y[0] = 0
        (y * y).sum().backward()
        return x.grad

    def work(s):
        return shown(s, function(*secrets(s, [x0], grad=True)))

    same(together(work), function(x0.clone().requires_grad_()), 1e-3)


def test_gradient_hooks_and_retained_gradients():
    (x0,) = draw((4,))

    def function(x):
        y = x * 2
        y.retain_grad()
        x.register_hook(lambda g: g * 0.5)
        (y * y).sum().backward()
        return [x.grad, y.grad]

    def work(s):
        return shown(s, function(*secrets(s, [x0], grad=True)))

    same(together(work), function(x0.clone().requires_grad_()), 1e-3)
